package actors_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copse/actors"
	"copse/statemachine/tree"
)

// TestAHandoverLosesNoRequest lets leadership go round while clients write and
// read through every member.
func TestAHandoverLosesNoRequest(t *testing.T) {
	c := found(t, 3, func(o *actors.MemberOptions) {
		o.Host.Heartbeat, o.Host.Election = 100*time.Millisecond, 3*time.Second // leaders change when told to, also on a busy machine
	})
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	requests := make(chan int, len(c.nodes)*4)
	var failed atomic.Int64
	for _, id := range c.ids() {
		for n := range 3 {
			clients.Go(func() {
				key, done := fmt.Sprintf("/w%d-%d", id, n), 0
				for ; ctx.Err() == nil; done++ {
					if r := c.nodes[id].Do(setTo(key, fmt.Sprint(done))); r.Err != nil {
						t.Logf("write %d through member %d: %v", done, id, r.Err)
						failed.Add(1)
					}
				}
				requests <- done
			})
		}
		clients.Go(func() {
			done := 0
			for ; ctx.Err() == nil; done++ {
				if _, _, _, err := c.nodes[id].Get(nil, tree.Query{Key: "/", Quorum: true}); err != nil {
					t.Logf("quorum read %d through member %d: %v", done, id, err)
					failed.Add(1)
				}
			}
			requests <- done
		})
	}
	restless := 0 // handovers that a busy machine hasn't let come to rest
	for range 10 {
		from := c.leader()
		c.await("another leader", func() bool {
			if !c.nodes[from].node.HandOver() {
				restless++
			}
			return c.leader() != from
		})
	}
	stop()
	clients.Wait()
	if n := failed.Load(); n > int64(restless*cap(requests)) {
		t.Errorf("%d requests failed, in 10 handovers, %d of which didn't come to rest", n, restless)
	}
	for range cap(requests) {
		if <-requests == 0 {
			t.Error("a client got nothing done")
		}
	}
}

// TestAMemberHoldsItsWritesForItsLeaderOnly asks in the name of one that doesn't
// lead, and finds that writes go on.
func TestAMemberHoldsItsWritesForItsLeaderOnly(t *testing.T) {
	c := found(t, 3)
	leader, follower := c.leader(), c.follower()
	if err := c.nodes[follower].node.Hold(t.Context(), follower); err != nil {
		t.Fatal(err)
	}
	c.set(follower, "/k", "not held")
	if err := c.nodes[follower].node.Hold(t.Context(), leader); err != nil {
		t.Fatal(err)
	}
	if r := c.nodes[follower].Do(setTo("/k", "held")); r.Err != nil { // for a while, as nobody hands over
		t.Error(r.Err)
	}
	c.holds(leader, "/k", "held")
}
