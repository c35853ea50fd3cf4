package statemachine

import "copse/statemachine/tree"

// place identifies the shard that a machine is a replica of; see docs/SHARDS.md.
type place struct {
	slot, slots int // slots is 1 in a cluster that isn't sharded
	order       bool
}

func placeOf(o Options) place {
	if o.Slots <= 1 {
		return place{slots: 1}
	}
	return place{slot: o.Slot, slots: o.Slots, order: o.Slot == OrderSlot}
}

// data reports whether the place is a data shard of a sharded cluster.
func (p place) data() bool { return p.slots > 1 && !p.order }

// applyAt applies a command of a batch with a range of indexes. If it succeeds, it uses the
// next index; in a batch of in-order creates in the root, the next index whose name belongs
// to this shard.
func (m *Machine) applyAt(v *view, batch *tree.BatchReader, c *tree.Command, emit func(*tree.Event)) (failed *tree.Error, err error) {
	running := v.meta.last
	at := running // the index before the one to use
	if batch.Root {
		at = tree.NextNamed(running+1, m.place.slot, m.place.slots) - 1
	}
	left := batch.Range.Last - min(at, batch.Range.Last)
	switch {
	case m.place.misplaced(c, batch.Root):
		failed = elsewhere()
	case left < tree.Index(c.Indexes()) && c.Op != tree.OpExpire:
		failed = &tree.Error{Code: tree.CodeRaftInternal, Cause: "no index is left"}
	default:
		c.Limit = int(min(tree.Index(c.Limit), left))
		failed, err = m.carryOut(v, c, at, emit)
	}
	if failed != nil {
		failed.Index = running
	}
	v.meta.stats.CountWrite(c.Op, failed == nil)
	return failed, err
}

// misplaced reports whether the key of c belongs to another shard. In-order creates in the
// root may go to any shard, but only in batches of their own kind.
func (p place) misplaced(c *tree.Command, root bool) bool {
	switch {
	case c.Op == tree.OpExpire:
		return false
	case c.Op == tree.OpCreateInOrder && c.Key == "/":
		return !root
	default:
		return tree.Slot(c.Key, p.slots) != p.slot
	}
}

func elsewhere() *tree.Error {
	return &tree.Error{Code: tree.CodeRaftInternal, Cause: "the key lives in another shard"}
}

// settle executes OpClose: indexes up to the given one that were handed out to this shard
// and are still unused stay unused.
func (m *Machine) settle(v *view, c *tree.Command) *tree.Error {
	if !m.place.data() {
		return &tree.Error{Code: tree.CodeRaftInternal, Cause: "nothing is handed out to this shard", Index: v.meta.last}
	}
	v.meta.last = max(v.meta.last, c.PrevIndex)
	return nil
}
