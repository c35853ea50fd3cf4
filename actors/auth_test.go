package actors_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"copse/statemachine/auth"
)

// Changes at the same time, on all members, of one user: each has an outcome of its own,
// none is lost, and a change is there on the member that has answered it.
func TestChangesOfUsersAreOneAfterTheOther(t *testing.T) {
	for _, shards := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			c := foundShards(t, 3, shards)
			change := func(id uint64, change auth.Change) auth.Outcome {
				out, err := c.nodes[id].ChangeAuth(&change)
				if err != nil {
					t.Errorf("member %d: %v", id, err)
				}
				return out
			}
			if out := change(1, auth.Change{Op: auth.PutUser, Name: "u", Hash: "h"}); out.Kind != auth.Created {
				t.Fatalf("%+v", out)
			}
			before := c.nodes[1].State().Index
			var all sync.WaitGroup
			for i := range 24 {
				all.Go(func() {
					id, role := uint64(1+i%3), fmt.Sprint(i/2) // two grants of each
					out := change(id, auth.Change{Op: auth.PutUser, Name: "u", Grant: []string{role}})
					u, ok := c.nodes[id].Auth().User("u")
					if !ok || !slices.Contains(u.Roles, role) {
						t.Errorf("member %d has answered %+v, and has %+v", id, out, u)
					}
				})
			}
			all.Wait()
			out := change(2, auth.Change{Op: auth.PutUser, Name: "u", Grant: []string{"last"}})
			if out.Kind != auth.OK || len(out.User.Roles) != 13 {
				t.Errorf("after all grants: %+v", out)
			}
			for id, n := range c.nodes {
				c.await(fmt.Sprintf("the last grant on member %d", id), func() bool {
					u, ok := n.Auth().User("u")
					return ok && slices.Contains(u.Roles, "last") && len(u.Roles) == 13
				})
				if len(n.AuthChanged()) == 0 {
					t.Errorf("member %d doesn't say that users have changed", id)
				}
			}
			if got := c.nodes[1].State().Index; got != before {
				t.Errorf("the index went from %d to %d", before, got)
			}
			if out := change(3, auth.Change{Op: auth.PutUser, Name: "long", Hash: "h", Roles: []string{string(make([]byte, auth.ChangeLimit))}}); out.Kind != auth.Invalid {
				t.Errorf("too long: %+v", out)
			}
		})
	}
}

// Without a quorum a change is answered like any other write: errorCode 300.
func TestChangesOfUsersNeedAQuorum(t *testing.T) {
	t.Parallel()
	c := foundShards(t, 3, 1)
	c.nodes[2].stop()
	c.nodes[3].stop()
	_, err := c.nodes[1].ChangeAuth(&auth.Change{Op: auth.PutUser, Name: "u", Hash: "h"})
	if err == nil || err.Code != 300 {
		t.Errorf("answered with %v", err)
	}
}
