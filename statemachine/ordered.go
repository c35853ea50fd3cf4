package statemachine

import "copse/statemachine/tree"

// place is which shard a machine is a replica of; docs/SHARDS.md has the rules.
type place struct {
	slot, slots int // slots is 1 where indexes are dense
	order       bool
}

func placeOf(o Options) place {
	if o.Slots <= 1 {
		return place{slots: 1}
	}
	return place{slot: o.Slot, slots: o.Slots, order: o.Order}
}

// data reports whether the place is a data shard of several.
func (p place) data() bool { return p.slots > 1 && !p.order }

// applyAt applies a command of an ordered batch: one that succeeds takes the next
// index, in a batch of creates in the root the next whose name belongs here.
func (m *Machine) applyAt(v *view, batch *tree.BatchReader, c *tree.Command, emit func(*tree.Event)) *tree.Error {
	running := v.meta.last
	at := running // the index before the next
	if batch.Root {
		at = tree.NextNamed(running+1, m.place.slot, m.place.slots) - 1
	}
	left := batch.Range.Last - min(at, batch.Range.Last)
	var failed *tree.Error
	switch {
	case m.place.strays(c, batch.Root):
		failed = &tree.Error{Code: tree.CodeRaftInternal, Cause: "the key lives in another shard"}
	case left == 0 && c.Op != tree.OpExpire:
		failed = &tree.Error{Code: tree.CodeRaftInternal, Cause: "no index is left"}
	default:
		c.Limit = int(min(tree.Index(c.Limit), left))
		failed = tree.Apply(v, c, at, emit)
	}
	if failed != nil {
		failed.Index = running
	}
	v.meta.stats.CountWrite(c.Op, failed == nil)
	return failed
}

// strays reports whether what c is about lives in another shard. A create in order
// in the root belongs to all of them, and into a batch of its kind.
func (p place) strays(c *tree.Command, root bool) bool {
	switch {
	case c.Op == tree.OpExpire:
		return false
	case c.Op == tree.OpCreateInOrder && c.Key == "/":
		return !root
	default:
		return tree.Slot(c.Key, p.slots) != p.slot
	}
}

// settle carries out OpClose: nothing of what was handed out up to the index that
// it names will be applied any more.
func (m *Machine) settle(v *view, c *tree.Command) *tree.Error {
	if !m.place.data() {
		return &tree.Error{Code: tree.CodeRaftInternal, Cause: "nothing is handed out to this shard", Index: v.meta.last}
	}
	v.meta.last = max(v.meta.last, c.PrevIndex)
	return nil
}
