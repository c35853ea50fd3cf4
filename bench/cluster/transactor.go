package cluster

import (
	"context"
	"fmt"
	"net/http"

	"copse/bench/cluster/history"
	"copse/bench/v2api"
)

// crowded is the directory of a writer in whose shard, of several, much else happens.
func crowded(root string) string { return root + "/w3" }

// twoWriters are directories of two writers; several shards have them in two.
func twoWriters(root string) []string { return []string{root + "/w1", root + "/w2"} }

// transact is the life of a client that writes to several keys of a writer at once, with an id or not, and
// then reads one of them at another member.
func (c *client) transact(ctx context.Context) {
	defer c.close()
	known := map[string]v2api.Node{} // as its last events showed them
	for n := 0; c.await(ctx) && c.run.pace(ctx); n++ {
		op := history.Op{Txn: &history.Txn{Txn: c.txn(n, known)}}
		op.Method, op.Key = http.MethodPost, op.Txn.Ops[0].Key
		done := &op
		if c.rng.IntN(3) > 0 {
			done = c.insist(ctx, op)
		} else {
			done = c.send(op)
		}
		if done.Outcome != v2api.Acked {
			continue
		}
		for i := range done.Txn.Events {
			known[done.Txn.Events[i].Node.Key] = done.Txn.Events[i].Node
		}
		c.move()
		if c.await(ctx) {
			c.do(v2api.Request{Method: http.MethodGet, Key: done.Event.Node.Key, MinIndex: done.Index})
		}
	}
}

// txn draws a transaction. Its first write has a value, by which the checker knows it.
func (c *client) txn(n int, known map[string]v2api.Node) (t v2api.Txn) {
	dir := fmt.Sprintf("%s/w%d", c.run.root, c.rng.IntN(writers))
	key := func() string { return fmt.Sprintf("%s/k%d", dir, c.rng.IntN(12)) }
	if c.rng.IntN(3) == 0 {
		cond := v2api.Compare{Key: key()}
		switch have, yes := known[cond.Key], c.rng.IntN(2) == 0; {
		case have.Value != "" && yes:
			cond.Value = &have.Value
		case have.Modified != 0 && yes:
			cond.Index = have.Modified
		default:
			cond.Exists = &yes
		}
		t.Compare = append(t.Compare, cond)
	}
	t.Ops = append(t.Ops, v2api.Request{Method: http.MethodPut, Key: key(), Value: c.part(n, 0)})
	for i := range 1 + c.rng.IntN(4) {
		r := v2api.Request{Method: http.MethodPut, Key: key(), Value: c.part(n, i+1)}
		switch c.rng.IntN(20) {
		case 0, 1, 2:
			r.Method, r.Key = http.MethodPost, dir+"/log"
		case 3:
			r = v2api.Request{Method: http.MethodDelete, Key: dir + "/log", Recursive: true}
		case 4, 5:
			r = v2api.Request{Method: http.MethodDelete, Key: r.Key}
		case 6:
			r.PrevExist = "true"
		case 7:
			r.PrevExist = "false"
		case 8, 9:
			r.PrevIndex = known[r.Key].Modified
		}
		t.Ops = append(t.Ops, r)
	}
	return t
}

// part is the value of one write of the nth transaction.
func (c *client) part(n, i int) string { return fmt.Sprintf("%s-%d.%d", c.name, n, i) }
