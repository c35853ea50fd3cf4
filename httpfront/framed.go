package httpfront

import (
	"strconv"
	"sync/atomic"
	"time"

	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

// framed keeps the last event as it is sent, for all that wait for it.
type framed struct {
	notice        *tree.EncodedEvent
	asked         bool // since the last sweep: who comes then shares it too
	json, sse     form
	json64, sse64 form // with values in base64
}

// form is one way to send an event. One that is printed in parts has neither text nor bytes: each client's backlog
// prints it as the client takes it, and all share the values.
type form struct {
	bytes  []byte  // a chunk, and the last one; nil: nobody has asked for it
	text   []byte  // without them
	parted *parted // instead of both
	shared *shared // nil: nobody has it in a backlog
}

// parted is an event of which no form is made as a whole.
type parted struct {
	head []byte // what comes before the JSON, and behind it
	json piece
	tail string
	held int // by all who are sent it
}

// of returns n in the form that p gets.
func (f *framed) of(p *parked, n *tree.EncodedEvent) *form {
	if f.notice != n {
		*f = framed{notice: n}
	}
	f.asked = true
	form := f.last(p)
	if form.bytes != nil || form.parted != nil {
		return form
	}
	as64, sse := form == &f.json64 || form == &f.sse64, form == &f.sse || form == &f.sse64
	if n.Parted() {
		form.parted = newParted(n, as64, sse)
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
	f := &parted{json: piece{index: n.Index}, held: n.Held()}
	text, size := n.Whole(as64)
	if f.json.bytes = text; text == nil {
		f.json.json = &partedJSON{notice: n, as64: as64, size: size}
	}
	if sse {
		f.head, f.tail = appendSSEHead(nil, n), sseTail
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

// whole is what p gets of f, which is the event at index, if it is one piece.
func (p *parked) whole(f *form, index tree.Index) piece {
	switch {
	case !p.chunked:
		return piece{index: index, bytes: f.text}
	case p.watch.Stream:
		return piece{index: index, bytes: f.bytes[:len(f.bytes)-len(lastChunk)]}
	}
	return piece{index: index, bytes: f.bytes}
}

// partsOf is what p gets of f.
func (p *parked) partsOf(f *parted) []piece {
	head, tail := f.head, f.tail
	if p.chunked {
		size := strconv.AppendInt(nil, int64(len(head)+f.json.size()+len(tail)), 16)
		head = append(append(size, "\r\n"...), head...)
		if tail += "\r\n"; !p.watch.Stream {
			tail += lastChunk
		}
	}
	return []piece{{index: f.json.index, bytes: head}, f.json, {index: f.json.index, bytes: []byte(tail)}}
}

// sendEvent sends as much of the event that is being delivered as the socket takes, and keeps the rest.
func (l *parkedConns) sendEvent(p *parked, index tree.Index, f *form) {
	if f.parted == nil {
		l.write(p, p.whole(f, index))
		return
	}
	waits := p.sock == nil || p.backlog != nil
	if p.backlog == nil {
		p.backlog, p.since = &backlog{}, l.tick
	}
	pieces := p.partsOf(f.parted)
	last := len(pieces) - 1
	pieces[last] = l.count(p, pieces[last])
	for _, part := range pieces {
		p.backlog.add(part)
	}
	if !waits {
		l.flush(p)
	}
}

// unread counts that the event has got into another backlog.
func (f *form) unread(budget *inflight.Budget) *shared {
	if f.shared == nil {
		bytes := len(f.bytes)
		if f.parted != nil {
			bytes = f.parted.held
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

// inbox is where a pollLoop gets its messages.
type inbox struct {
	mailbox   chan message
	admission admission
}

// admission is what a pollLoop has for events that are printed in parts. Its mailbox has at most one of them, for
// which there is room among what requests under way hold: that bounds the bytes in the mailbox, which is bounded by
// messages.
type admission struct {
	turn    chan struct{} // capacity 1; full while one is on its way
	refused atomic.Int64  // until then nobody waits for room: somebody has in vain
}

// admit waits until m, which is an event that is printed in parts, may get into the mailbox, and claims what it holds.
// Those who don't read lose their connections meanwhile (sweep). If that isn't enough, m becomes the end of the watch,
// whose client comes back. Who waits for room doesn't keep others from their turn.
func (p *pollLoop) admit(m *message) {
	patience := bodyPatience
	if time.Now().UnixNano() < p.admission.refused.Load() {
		patience = 0 // a hub with many such events would stand still for as many times as long
	}
	if held := int64(m.notice.Held()); p.options.heads.inFlight.Take(inflight.Streams, held, patience) {
		m.claim = held
	} else {
		m.refused = true
		p.admission.refused.Store(time.Now().Add(bodyPatience).UnixNano())
	}
	select {
	case p.admission.turn <- struct{}{}:
	case <-p.stopped:
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
