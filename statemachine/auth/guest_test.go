package auth_test

import (
	"testing"

	"copse/statemachine/auth"
)

// etcd holds users to this rule, and not the guest.
func TestTheGuestNeedsAStarForWhatIsRecursive(t *testing.T) {
	s := auth.NewState(true, nil, []*auth.Role{{Name: auth.Guest, Permissions: auth.Permissions{Read: []string{"/t", "/u*"}}}})
	for path, want := range map[string][2]bool{"/t": {true, false}, "/u": {true, true}} {
		if got := [2]bool{s.May(auth.TheGuest, auth.Read, path, false), s.May(auth.TheGuest, auth.Read, path, true)}; got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}
