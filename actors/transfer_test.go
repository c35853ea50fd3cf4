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

// TestATransferLosesNoRequest transfers leadership around the cluster while clients
// write and read through every member.
func TestATransferLosesNoRequest(t *testing.T) {
	for _, shards := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) { transfers(t, shards) })
	}
}

func transfers(t *testing.T, shards int) {
	c := foundShards(t, 3, shards, func(o *actors.MemberOptions) {
		o.Host.Heartbeat, o.Host.Election = 100*time.Millisecond, 3*time.Second // on a busy machine too, leaders change only on request
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
	unplanned := 0 // transfers that a busy machine was too slow for
	for range 10 {
		from := c.leader()
		c.await("another leader", func() bool {
			if !c.nodes[from].node.TransferAll() {
				unplanned++
			}
			return c.leader() != from
		})
	}
	stop()
	clients.Wait()
	if n := failed.Load(); n > int64(unplanned*cap(requests)) {
		t.Errorf("%d requests failed in 10 transfers, %d of which did not go by the plan", n, unplanned)
	}
	for range cap(requests) {
		if <-requests == 0 {
			t.Error("a client got nothing done")
		}
	}
}
