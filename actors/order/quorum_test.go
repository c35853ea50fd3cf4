package order

import (
	"math/rand/v2"
	"testing"

	"copse/statemachine/tree"
)

// For one key, the index that a quorum read shows never falls, whichever member is asked: it has
// applied what had been handed out, and what its shard had committed, before the read.
func TestAQuorumReadShowsWhatAnyOtherHasShown(t *testing.T) {
	reads := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		w := newSpanWorld(r, 2+r.IntN(3), 60)
		order, data := 0, make([]int, w.slots) // what is committed
		members := []*spanMember{newSpanMember(t, w), newSpanMember(t, w), newSpanMember(t, w)}
		shown := make([]tree.Index, w.slots)
		for range 400 {
			m, slot := members[r.IntN(3)], r.IntN(w.slots)
			switch r.IntN(5) {
			case 0:
				order = min(order+1, len(w.grants))
			case 1:
				if n := data[slot]; n < len(w.data[slot]) && w.data[slot][n].settled <= w.counter(order) {
					data[slot]++
				}
			case 2:
				m.stepOrder(min(1+r.IntN(2)*r.IntN(5), order-m.order))
			case 3:
				m.stepData(slot, min(1, data[slot]-m.data[slot]))
			case 4:
				for m.order < order {
					m.stepOrder(1)
				}
				for m.data[slot] < data[slot] {
					m.stepData(slot, 1)
				}
				if uint64(m.closed.In(slot)) < m.closed.merged[slot].Load() {
					continue // it would wait
				}
				reads++
				if at := m.closed.In(slot); at < max(shown[slot], m.closed.Index()) {
					t.Fatalf("seed %d: slot %d shows %d, after %d, and the closed index is %d", seed, slot, at, shown[slot], m.closed.Index())
				}
				shown[slot] = m.closed.In(slot)
			}
		}
	}
	if reads < 10000 {
		t.Errorf("only %d reads", reads)
	}
}
