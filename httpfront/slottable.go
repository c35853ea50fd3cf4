package httpfront

import (
	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

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

// framed keeps the last event as it is sent, for all that wait for it.
type framed struct {
	notice        *tree.EncodedEvent
	json, sse     form
	json64, sse64 form // with values in base64
}

// form is one way to send an event.
type form struct {
	bytes  []byte  // a chunk, and the last one; nil: nobody has asked for it
	text   []byte  // without them
	shared *shared // nil: nobody has it in a backlog
}

// of returns n in the form that p gets.
func (f *framed) of(p *parked, n *tree.EncodedEvent) *form {
	if f.notice != n {
		*f = framed{notice: n}
	}
	form := f.last(p)
	if form.bytes != nil {
		return form
	}
	text := n.Text()
	if form == &f.json64 || form == &f.sse64 {
		text = n.AppendBase64(nil)
	}
	if form == &f.sse || form == &f.sse64 {
		text = appendSSE(nil, n, text)
	}
	form.text, form.bytes = text, appendWhole(nil, text)
	return form
}

// last returns the form of the last event that p gets.
func (f *framed) last(p *parked) *form {
	switch t := p.terms; {
	case t != nil && t.sse && t.as64:
		return &f.sse64
	case t != nil && t.sse:
		return &f.sse
	case t != nil && t.as64:
		return &f.json64
	}
	return &f.json
}

// part is what p gets of f.
func (p *parked) part(f *form) []byte {
	switch {
	case !p.chunked:
		return f.text
	case p.watch.Stream:
		return f.bytes[:len(f.bytes)-len(lastChunk)]
	}
	return f.bytes
}

// unread counts that the event has got into another backlog.
func (f *form) unread(budget *inflight.Budget) *shared {
	if f.shared == nil {
		f.shared = &shared{budget: budget, bytes: int64(len(f.bytes))}
	}
	if f.shared.backlogs++; f.shared.backlogs == 1 {
		budget.Add(inflight.Streams, f.shared.bytes)
	}
	return f.shared
}

// piece is a part of p's backlog: of the event that is being delivered, unless index is 0. What
// comes before its connection isn't counted, since that may never come.
func (l *parkedConns) piece(p *parked, index tree.Index, bytes []byte) piece {
	part := piece{index: index, bytes: bytes}
	if index != 0 && p.sock != nil {
		part.shared = l.framed.last(p).unread(l.options.heads.inFlight)
	}
	return part
}

// shared is an event in backlogs. However many there are, its bytes count once.
type shared struct {
	budget   *inflight.Budget
	bytes    int64
	backlogs int
}

func (s *shared) drop() {
	if s == nil {
		return
	}
	if s.backlogs--; s.backlogs == 0 {
		s.budget.Give(inflight.Streams, s.bytes)
	}
}

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
