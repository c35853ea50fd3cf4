package check_test

import (
	"math/rand/v2"
	"slices"

	"copse/bench/cluster/history"
	"copse/bench/placement"
	"copse/bench/v2api"
	"copse/bench/verdict"
)

// rootRead is a listing of all shards.
func rootRead(op *history.Op) bool {
	return !op.Write() && op.Outcome == v2api.Acked && placement.Root(op.Key) && len(op.Event.Node.Nodes) > 4
}

// withPart returns an answer about the root with one shard's part of another's.
func withPart(op, other *history.Op, slot int) *v2api.Event {
	ev := *op.Event
	ev.Node.Nodes = nil
	for _, from := range []*history.Op{op, other} {
		for _, n := range from.Event.Node.Nodes {
			if (placement.Slot(n.Key, 4) == slot) == (from == other) {
				ev.Node.Nodes = append(ev.Node.Nodes, n)
			}
		}
	}
	return &ev
}

// partsDiffer says whether two listings differ in the shard of a key.
func partsDiffer(a, b *history.Op, key string) bool {
	slot := placement.Slot(key, 4)
	modified := func(op *history.Op) (all []uint64) {
		for _, n := range op.Event.Node.Nodes {
			if placement.Slot(n.Key, 4) == slot {
				nodes := map[string]v2api.Node{}
				v2api.Flatten(&n, nodes)
				for _, n := range nodes {
					all = append(all, n.Modified)
				}
			}
		}
		slices.Sort(all)
		return all
	}
	return !slices.Equal(modified(a), modified(b))
}

// shardMutants are what can go wrong where there are several shards only.
var shardMutants = []mutant{
	{"listing of the root without one shard", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, rootRead)
		if op == nil {
			return false
		}
		ev := *op.Event
		slot := placement.Slot(ev.Node.Nodes[0].Key, 4)
		ev.Node.Nodes = slices.DeleteFunc(slices.Clone(ev.Node.Nodes), func(n v2api.Node) bool { return placement.Slot(n.Key, 4) == slot })
		op.Event = &ev
		return true
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"listing of the root with one shard as it was before its index", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool { return rootRead(o) && o.Quorum })
		old := pick(h, rng, func(o *history.Op) bool {
			return op != nil && rootRead(o) && o.Index+100 < op.Index && o.Return < op.Invoke && partsDiffer(op, o, "/w1")
		})
		if old == nil {
			return false
		}
		op.Event = withPart(op, old, placement.Slot("/w1", 4))
		return true
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"local listing of the root in which one shard goes back", func(h *history.History, rng *rand.Rand) bool {
		var local []*history.Op
		for _, op := range h.Ops {
			if op.Conn == 1 && rootRead(op) {
				local = append(local, op)
			}
		}
		if len(local) < 8 {
			return false
		}
		a, b := local[len(local)/4], local[len(local)*3/4]
		if !partsDiffer(a, b, "/w1") {
			return false
		}
		b.Event = withPart(b, a, placement.Slot("/w1", 4))
		return true
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"index of everything that falls on a member", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool { return rootRead(o) && o.Conn == 1 && o.Index > h.Start+100 })
		if op == nil {
			return false
		}
		op.Index -= 100
		return true
	}, []verdict.Kind{verdict.IndexBack}},
	{"index of a shard below what its member showed of everything", func(h *history.History, rng *rand.Rand) bool {
		for i, op := range h.Ops {
			if op.Conn != 1 || !rootRead(op) || op.Index < h.Start+100 {
				continue
			}
			for _, next := range h.Ops[i+1:] {
				if next.Conn == 1 && !rootRead(next) && next.Index == op.Index {
					next.Index--
					return true
				}
			}
		}
		return false
	}, []verdict.Kind{verdict.IndexBack}},
	{"watch of everything told of one shard too late", func(h *history.History, rng *rand.Rand) bool {
		w := h.Watches[0]
		for i := entry(h, rng, 0); i+1 < len(w.Entries); i++ {
			a, b := w.Entries[i], w.Entries[i+1]
			if placement.Slot(a.Event.Node.Key, 4) != placement.Slot(b.Event.Node.Key, 4) {
				w.Entries[i], w.Entries[i+1] = b, a
				return true
			}
		}
		return false
	}, []verdict.Kind{verdict.EventOrder}},
	{"quorum read that is behind its own shard", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool { return quorumRead(o) && !rootRead(o) })
		old := pick(h, rng, func(o *history.Op) bool {
			return op != nil && quorumRead(o) && o.Key == op.Key && o.Index+100 < op.Index && o.Return < op.Invoke
		})
		if old == nil {
			return false
		}
		op.Index, op.Event = old.Index, old.Event
		return true
	}, []verdict.Kind{verdict.StaleRead}},
	{"members that differ in one shard at the end", func(h *history.History, rng *rand.Rand) bool {
		nodes := slices.Clone(h.Finals[2].Tree.Nodes)
		h.Finals[2].Tree.Nodes = slices.Delete(nodes, len(nodes)-1, len(nodes))
		return true
	}, []verdict.Kind{verdict.MemberDiffer}},
}
