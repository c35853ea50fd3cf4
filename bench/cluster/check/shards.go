package check

import (
	"copse/bench/etcdstore"
	"copse/bench/placement"
	"copse/bench/v2api"
)

// shards are the oracles: one for each shard of the tree, for each has a past of
// its own. Their indexes are set from outside, so that gaps need no rule.
type shards []*etcdstore.Store

// everything is the scope of the root where there are several shards.
const everything = -1

func (s shards) several() bool { return len(s) > 1 }

// of returns the oracle of the shard that a key lives in.
func (s shards) of(key string) *etcdstore.Store { return s[placement.Slot(key, len(s))] }

// scope is the part of the tree that the header of an answer about a key applies to:
// a shard, or everything.
func (s shards) scope(key string) int {
	if s.several() && placement.Root(key) {
		return everything
	}
	return placement.Slot(key, len(s))
}

// slots are the shards that an answer about a key concerns.
func (s shards) slots(key string) []int {
	if at := s.scope(key); at != everything {
		return []int{at}
	}
	all := make([]int, len(s))
	for slot := range all {
		all[slot] = slot
	}
	return all
}

// part is the part of a listing of the root that belongs to one shard; any other node
// is returned whole.
func (s shards) part(n v2api.Node, slot int) v2api.Node {
	if s.scope(n.Key) != everything {
		return n
	}
	var kept []v2api.Node
	for _, child := range n.Nodes {
		if placement.Slot(child.Key, len(s)) == slot {
			kept = append(kept, child)
		}
	}
	n.Nodes = kept
	return n
}

// shardOf is the oracle that a change belongs to; nil if it is unknown.
func (c *checker) shardOf(at uint64) *etcdstore.Store {
	switch op, s := c.acked[at], c.seen[at]; {
	case op != nil:
		return c.shards.of(op.Event.Node.Key)
	case s != nil:
		return c.shards.of(s.event.Node.Key)
	}
	if hint, ok := c.hints[at]; ok {
		return c.shards.of(hint.Key)
	}
	if c.shards.several() {
		return nil
	}
	return c.shards[0]
}
