package dump_test

import (
	"errors"
	"strings"
	"testing"

	"copse/statemachine/dump"
	"copse/statemachine/tree"
)

// FuzzRead reads any text in any form: it is a tree, or refused with its place.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		answer, "HTTP/1.1 200 OK\r\nX-Etcd-Index: 12\r\n\r\n" + answer,
		`[{"key":"/a/b","value":"v","ttl":3},{"key":"/e","expiration":"2030-01-01T00:00:00Z","value":null}]`, `{"a":{"b":"\ud83d\ude00","c":{}}}`,
	} {
		f.Add(text, "")
	}
	f.Fuzz(func(t *testing.T, text, format string) {
		r, err := dump.Read(strings.NewReader(text), dump.Options{Format: dump.Format(format), Now: now})
		if err != nil {
			if !errors.Is(err, dump.ErrForm) {
				t.Error(err)
			}
			return
		}
		last := tree.Node{Key: "/", Dir: true}
		for n := range r.Nodes() {
			above := last.Key
			for above != "/" && !tree.Within(above, n.Key) {
				above = tree.Parent(above)
			}
			if last.Key != "/" && tree.CompareKeys(last.Key, n.Key) >= 0 || above != tree.Parent(n.Key) || above == last.Key && !last.Dir || n.Created == 0 || n.Modified < n.Created || tree.Clean(n.Key) != n.Key {
				t.Fatalf("%+v after %+v in %q", n, last, text)
			}
			last = n
		}
	})
}
