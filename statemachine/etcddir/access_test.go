package etcddir

import (
	"strings"
	"testing"

	"copse/statemachine/tree"
)

func TestAHashThatWouldHoldTheTurnIsLeftOut(t *testing.T) {
	rest := "$" + strings.Repeat("a", 53)
	for hash, usable := range map[string]bool{
		"": true, "$2a$10" + rest: true, "$2y$14" + rest: true, "$2a$15" + rest: false, "$2a$31" + rest: false,
		"$2a$10" + rest + "a": false, "$2a$10" + rest[1:]: false, "$3a$10" + rest: false, "$2a$03" + rest: false, "plain": false,
	} {
		s := newStore()
		for _, key := range []string{"/2", usersKey} {
			s.Put(&tree.Node{Key: key, Dir: true}, nil)
		}
		s.Put(&tree.Node{Key: usersKey + "/ann", Value: []byte(`{"user":"ann","password":"` + hash + `","roles":["r"]}`)}, nil)
		a, left := s.access()
		want := hash
		if !usable {
			want = ""
		}
		if len(a.Users) != 1 || a.Users[0].Hash != want || len(a.Users[0].Roles) != 1 || usable != (len(left) == 0) {
			t.Errorf("%q: users %+v, left out %q", hash, a.Users, left)
		}
	}
}
