package actors_test

import (
	"strings"
	"testing"
	"time"

	"copse/statemachine/tree"
)

// A lock is refreshed in vain while two of three members are down, for longer than its time to
// live. Once they are back its owner still has it, as long as it refreshes it.
func TestTimesToLiveWaitForALeader(t *testing.T) {
	t.Parallel()
	c := foundShards(t, 3, 2)
	const ttl = 3 * time.Second
	write := func(via uint64, op tree.Op) *tree.Error {
		w := setTo("/lock", "owner")
		w.Op, w.Expires = op, w.Now+int64(ttl)
		return c.nodes[via].Do(w).Err
	}
	c.await("shards that know what time it is", func() bool { // with each write, one more may
		for _, key := range []string{"/a", "/b", "/c", "/d", "/lock"} {
			c.set(1, key, "v")
		}
		return c.nodes[1].node.Timed()
	})
	if err := write(1, tree.OpSet); err != nil {
		t.Fatal(err)
	}
	last := time.Now()
	c.stop(2)
	c.stop(3)
	refused := make(chan *tree.Error, 1)
	go func() { // meanwhile
		_, _, _, err := c.nodes[1].Get(nil, tree.Query{Key: "/lock", Quorum: true})
		refused <- err
	}()
	c.await("the end of the lock's time to live", func() bool {
		_ = write(1, tree.OpUpdate) // in vain, until its time-out
		return time.Since(last) > ttl+time.Second
	})
	// It asks two shards, and has one cause.
	if err := <-refused; err == nil || err.Code != tree.CodeRaftInternal || strings.Contains(err.Cause, "\n") {
		t.Errorf("a quorum read without a quorum: %v", err)
	}
	c.launch(2)
	c.launch(3)
	c.await("the lock to be refreshed", func() bool {
		last = time.Now()
		err := write(1, tree.OpUpdate)
		if err != nil && err.Code == tree.CodeKeyNotFound {
			t.Fatalf("the lock is gone: %v", err)
		}
		return err == nil
	})
	c.await("the lock to expire", func() bool {
		_, _, _, err := c.nodes[2].Get(nil, tree.Query{Key: "/lock", Quorum: true})
		return err != nil && err.Code == tree.CodeKeyNotFound
	})
	if kept := time.Since(last); kept < ttl { // last is before the refresh
		t.Errorf("the lock was kept for %v", kept)
	}
}
