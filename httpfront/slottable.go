package httpfront

import "copse/statemachine/tree"

// slotTable gives each parked connection a slot, whose number the poller knows it by.
// Slots are used again; the generation in a token tells their owners apart.
type slotTable struct {
	list       []*parked
	free       []int32 // slots that are empty
	generation int32
}

// put gives p a slot, and its token.
func (t *slotTable) put(p *parked) {
	t.generation++
	if n := len(t.free); n > 0 {
		p.token = token{slot: t.free[n-1], generation: t.generation}
		t.free = t.free[:n-1]
		t.list[p.token.slot] = p
		return
	}
	p.token = token{slot: int32(len(t.list)), generation: t.generation}
	t.list = append(t.list, p)
}

// get returns the owner of a token, nil if it has left.
func (t *slotTable) get(of token) *parked {
	if p := t.list[of.slot]; p != nil && p.token == of {
		return p
	}
	return nil
}

func (t *slotTable) remove(p *parked) {
	t.list[p.token.slot] = nil
	t.free = append(t.free, p.token.slot)
}

func (t *slotTable) count() int { return len(t.list) - len(t.free) }

// framed keeps the last event as it is sent, for all that wait for it.
type framed struct {
	notice *tree.Notice
	bytes  []byte
}

func (f *framed) whole(n *tree.Notice) []byte {
	if f.notice != n {
		f.notice, f.bytes = n, appendWhole(nil, n.JSON)
	}
	return f.bytes
}

// crowdMemory notices when a crowd has come or gone. What its coming took beside
// what it keeps is several times as much, and the runtime would hold on to it for
// what may come next: here, most often nothing for a long time.
type crowdMemory struct{ last, released int }

// crowdAtLeast is what a crowd is: its memory is worth a look at all of the heap.
const crowdAtLeast = 4096

// settled is told once in a while how many there are.
func (m *crowdMemory) settled(count int) bool {
	quiet := count == m.last
	m.last = count
	if !quiet || max(count-m.released, m.released-count) < crowdAtLeast {
		return false
	}
	m.released = count
	return true
}
