package httpfront

import (
	"strconv"

	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

// framed keeps the last event as it is sent, for all that wait for it.
type framed struct {
	notice        *tree.EncodedEvent
	json, sse     form
	json64, sse64 form // with values in base64
}

// form is one way to send an event. One that is printed in parts has neither text nor bytes: each client's backlog
// prints it as the client takes it, and all share the values.
type form struct {
	bytes  []byte  // a chunk, and the last one; nil: nobody has asked for it
	text   []byte  // without them
	parts  *parted // instead of both
	shared *shared // nil: nobody has it in a backlog
}

// parted is a form that is printed in parts.
type parted struct {
	head []byte // what comes before the JSON, and behind it
	json tree.Unprinted
	tail string
	size int // of all three
	held int // by all who are sent it
}

// of returns n in the form that p gets.
func (f *framed) of(p *parked, n *tree.EncodedEvent) *form {
	if f.notice != n {
		*f = framed{notice: n}
	}
	form := f.last(p)
	if form.bytes != nil || form.parts != nil {
		return form
	}
	as64, sse := form == &f.json64 || form == &f.sse64, form == &f.sse || form == &f.sse64
	if n.Parted() {
		form.parts = newParted(n, as64, sse)
		return form
	}
	text := n.Text()
	if as64 {
		text = n.AppendBase64(nil)
	}
	if sse {
		text = appendSSE(nil, n, text)
	}
	form.text, form.bytes = text, appendWhole(nil, text)
	return form
}

func newParted(n *tree.EncodedEvent, as64, sse bool) *parted {
	f := &parted{held: n.Held()}
	if f.json, f.size = n.Unprinted(as64); sse {
		f.head, f.tail = appendSSEHead(nil, n), sseTail
		f.size += len(f.head) + len(f.tail)
	}
	return f
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

// part is what p gets of f, which is n.
func (p *parked) part(f *form, n *tree.EncodedEvent) piece {
	part := piece{index: n.Index}
	switch {
	case f.parts != nil:
		p.partOf(f.parts, &part)
	case !p.chunked:
		part.bytes = f.text
	case p.watch.Stream:
		part.bytes = f.bytes[:len(f.bytes)-len(lastChunk)]
	default:
		part.bytes = f.bytes
	}
	return part
}

// partOf makes a piece of what is printed in parts.
func (p *parked) partOf(f *parted, part *piece) {
	json := f.json
	part.parts, part.tail = &json, []byte(f.tail)
	if p.chunked {
		part.bytes = append(strconv.AppendInt(nil, int64(f.size), 16), "\r\n"...)
		if part.tail = append(part.tail, "\r\n"...); !p.watch.Stream {
			part.tail = append(part.tail, lastChunk...)
		}
	}
	part.size = len(part.bytes) + f.size + len(part.tail) - len(f.tail)
	part.bytes = append(part.bytes, f.head...)
}

// unread counts that the event has got into another backlog.
func (f *form) unread(budget *inflight.Budget) *shared {
	if f.shared == nil {
		bytes := len(f.bytes)
		if f.parts != nil {
			bytes = f.parts.held
		}
		f.shared = &shared{budget: budget, bytes: int64(bytes)}
	}
	if f.shared.backlogs++; f.shared.backlogs == 1 {
		budget.Add(inflight.Streams, f.shared.bytes)
	}
	return f.shared
}

// count counts a piece that gets into p's backlog, if it is of the event that is being delivered. What comes before
// p's connection isn't counted, unless there is a claim for it.
func (l *parkedConns) count(p *parked, part piece) piece {
	switch {
	case part.index == 0:
	case p.sock != nil:
		part.shared = l.framed.last(p).unread(l.options.heads.inFlight)
	case l.claim > 0:
		part.shared = &shared{budget: l.options.heads.inFlight, bytes: l.claim, backlogs: 1}
		l.claim = 0
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

// admission is what a pollLoop has for events that are printed in parts. Its mailbox has at most one of them, for
// which there is room among what requests under way hold: that bounds the bytes in the mailbox, which is bounded by
// messages.
type admission struct {
	turn    chan struct{}      // capacity 1; who has put a value into it may use the rest
	refused *tree.EncodedEvent // the last event for which there was no room
}

// admit waits until m, which is an event that is printed in parts, may get into the mailbox, and claims what it holds.
// Those who don't read lose their connections meanwhile (sweep). If that isn't enough, m becomes the end of the watch,
// whose client comes back.
func (p *pollLoop) admit(m *message) {
	select {
	case p.admission.turn <- struct{}{}:
	case <-p.stopped:
		return
	}
	patience := bodyPatience
	if p.admission.refused == m.notice {
		patience = 0 // the event has waited once
	}
	if held := int64(m.notice.Held()); p.options.heads.inFlight.Take(inflight.Streams, held, patience) {
		m.claim = held
	} else {
		m.refused, p.admission.refused = true, m.notice
	}
}

// handleParted handles an event that has been admitted.
func (l *parkedConns) handleParted(m message) {
	l.claim = m.claim
	switch {
	case !m.refused:
		l.deliver(m.to, m.notice)
	case m.to.stage == watching:
		l.endSlow(m.to)
	}
	l.options.heads.inFlight.Give(inflight.Streams, l.claim)
	l.claim = 0
	<-l.loop.admission.turn
}
