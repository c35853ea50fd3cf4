package actors_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

// repeatable is a write that makes a node more each time that it is carried out: alone, in the root,
// where the id decides about the shard, or in a transaction.
func repeatable(id string, kind int) *tree.Command {
	now := time.Now().UnixNano()
	c := tree.Command{Op: tree.OpCreateInOrder, Key: "/queue", Value: []byte(id), Now: now}
	switch kind % 3 {
	case 1:
		c.Key = "/"
	case 2:
		c = txn.Txn{Ops: []tree.Command{c}}.Command(now)
	}
	c.Identify(id)
	return &c
}

// TestARepeatedRequestIsCarriedOutOnce stops the leader again and again while requests are under way, and
// repeats each at other members.
func TestARepeatedRequestIsCarriedOutOnce(t *testing.T) {
	for _, shards := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) { repeats(t, shards) })
	}
}

func repeats(t *testing.T, shards int) {
	const rounds, writers = 4, 66
	c := foundShards(t, 3, shards)
	for id := range c.nodes {
		c.await("members that know requests with ids", func() bool { return c.nodes[id].Do(repeatable("first", 0)).Err == nil })
	}
	for round := range rounds {
		leader := c.leader()
		var first, again [writers]tree.Reply
		each := func(do func(i int, id string)) {
			var all sync.WaitGroup
			for i := range writers {
				all.Go(func() { do(i, fmt.Sprintf("%d-%d", round, i)) })
			}
			all.Wait()
		}
		stopped := make(chan struct{})
		at := c.nodes[leader]
		all := c.ids()
		nodes := map[uint64]node{}
		for id, n := range c.nodes {
			nodes[id] = n
		}
		go func() {
			defer close(stopped)
			at.stop()
		}()
		each(func(i int, id string) { first[i] = nodes[all[i%len(all)]].Do(repeatable(id, i)) })
		<-stopped
		delete(c.nodes, leader)
		via := c.ids()
		for pass := range 2 {
			each(func(i int, id string) {
				c.await("an answer to "+id, func() bool {
					again[i] = c.nodes[via[(i+pass)%len(via)]].Do(repeatable(id, i))
					return again[i].Err == nil
				})
			})
			for i := range writers {
				if pass == 0 && first[i].Err != nil {
					first[i] = again[i]
				}
				if string(again[i].JSON) != string(first[i].JSON) || again[i].State.Index != first[i].State.Index {
					t.Errorf("%d-%d was answered\n%s at %d, and then\n%s at %d", round, i, first[i].JSON, first[i].State.Index, again[i].JSON, again[i].State.Index)
				}
			}
		}
		c.launch(leader)
		c.join(leader)
	}
	for _, n := range c.nodes {
		out, _, _, err := n.Get(nil, tree.Query{Key: "/", Recursive: true, Quorum: true})
		if err != nil {
			t.Fatal(err)
		}
		if files := strings.Count(string(out), `"value":`); files != rounds*writers+1 {
			t.Errorf("%d requests have made %d nodes", rounds*writers+1, files)
		}
	}
}

// TestTransactionsOfSeveralShards: all keys have to live in one.
func TestTransactionsOfSeveralShards(t *testing.T) {
	c := foundShards(t, 1, 4)
	do := func(keys ...string) tree.Reply {
		now := time.Now().UnixNano()
		x := txn.Txn{Compares: []txn.Compare{{Key: keys[0], Absent: true}}}
		for _, key := range keys[1:] {
			x.Ops = append(x.Ops, tree.Command{Op: tree.OpSet, Key: key, Value: []byte("v"), Now: now})
		}
		cmd := x.Command(now)
		return c.nodes[1].Do(&cmd)
	}
	c.await("a member that knows transactions", func() bool { return do("/a/0", "/a/1", "/a/2").Err == nil })
	other := "/b"
	for tree.Slot(other, 4) == tree.Slot("/a", 4) {
		other += "b"
	}
	for _, keys := range [][]string{{other, "/a/3"}, {"/a/0", "/a/3", other}} {
		r := do(keys...)
		want := fmt.Sprintf("the keys live in several shards: /a/3 in shard %d, %s in shard %d", tree.Slot("/a", 4)+2, other, tree.Slot(other, 4)+2)
		if r.Err == nil || r.Err.Code != tree.CodeInvalidField || r.Err.Cause != want {
			t.Errorf("%q: %+v\nwant %s", keys, r.Err, want)
		}
	}
	if r := do("/a/0", "/a/3"); r.Err != nil {
		t.Errorf("nothing was done, and yet %v", r.Err)
	}
}
