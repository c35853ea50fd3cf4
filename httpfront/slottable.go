package httpfront

// slotTable gives each parked connection a slot, by which the poller identifies it. Slots
// are reused; the generation in a token distinguishes their owners.
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

// crowdMemory notices when a crowd has come or left. Its arrival takes several times the
// memory that it keeps, and the runtime would hold on to the rest, often for a long time.
type crowdMemory struct{ last, released int }

// crowdAtLeast is the size of a crowd whose memory is worth a scan of the heap.
const crowdAtLeast = 4096

// settled is called regularly with the number of connections. It reports whether a crowd
// has come or left, and no more are coming.
func (m *crowdMemory) settled(count int) bool {
	quiet := count == m.last
	m.last = count
	if !quiet || max(count-m.released, m.released-count) < crowdAtLeast {
		return false
	}
	m.released = count
	return true
}
