package httpfront

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

// terms are what a watch asks for that v2 doesn't have.
type terms struct {
	// Fixed before the watch is registered.
	late  *watchHead    // of an answer that begins when it ends; nil: the head is sent at once
	known []tree.Index  // of the states that its client has; the answer is 304 if it still has one in the end
	also  []need        // beside the one that the grant has
	sse   bool          // events are sent as server-sent events
	as64  bool          // events show values as value64
	wait  time.Duration // waitMax; 0: there is no limit
	beat  time.Duration // from one heartbeat to the next; 0: there are none
	// ahead: when the watch begins, this member hasn't come to the events that it is for.
	ahead bool

	// Owned by the poll loop's run.
	last  tree.Index // of the events that have been delivered
	until uint32     // the tick at which the wait ends; 0: never
	every uint32     // ticks from one heartbeat to the next; 0: there are none
}

// watchHead is the head of a watch's answer.
type watchHead struct {
	http11, close bool
	fields        []byte // CORS, the type and the cluster
	state         tree.State
}

// appendStatus appends what begins the head.
func (h *watchHead) appendStatus(dst []byte, status string) []byte {
	if h.http11 {
		dst = append(dst, "HTTP/1.1 "...)
	} else {
		dst = append(dst, "HTTP/1.0 "...)
	}
	return append(append(dst, status...), h.fields...)
}

// appendPosition appends what says how far this member had come in st, but with another index, and the date.
func (h *watchHead) appendPosition(dst []byte, at tree.Index, st *tree.State, date time.Time) []byte {
	dst = appendField(dst, headerEtcdIndex)
	dst = strconv.AppendUint(dst, uint64(at), 10)
	dst = appendField(dst, headerRaftIndex)
	dst = strconv.AppendUint(dst, st.RaftIndex, 10)
	dst = appendField(dst, headerRaftTerm)
	dst = strconv.AppendUint(dst, st.RaftTerm, 10)
	dst = append(dst, "\r\nDate: "...)
	dst = fasthttp.AppendHTTPDate(dst, date)
	if h.http11 && h.close {
		dst = append(dst, "\r\nConnection: close"...)
	}
	return dst
}

// appendNotModified appends a whole answer: the client has what tag stands for.
func (h *watchHead) appendNotModified(dst, tag []byte, st *tree.State, date time.Time) []byte {
	dst = h.appendStatus(dst, "304 Not Modified")
	dst = append(appendField(dst, headerETag), tag...)
	return append(h.appendPosition(dst, st.Index, st, date), "\r\n\r\n"...)
}

// append appends the head, for a connection that leaves fasthttp, with the index that it
// shows. The events follow in chunks, or without them for HTTP/1.0, where the connection's end
// is the answer's end.
func (h *watchHead) append(dst []byte, at tree.Index, date time.Time) []byte {
	dst = h.appendPosition(h.appendStatus(dst, "200 OK"), at, &h.state, date)
	if h.http11 {
		dst = append(dst, "\r\nTransfer-Encoding: chunked"...)
	}
	return append(dst, "\r\n\r\n"...)
}

// began sets what counts from the moment at which p is parked.
func (l *parkedConns) began(p *parked) {
	if t := p.terms; t != nil {
		t.every = l.ticks(t.beat)
		if t.wait > 0 {
			t.until = l.tick + l.ticks(t.wait) + 1 // a part of this tick is over
		}
	}
}

// keep does what p's terms ask for at this tick. Heartbeats of different clients come at
// different ticks, and one that can't be written at once isn't missed: the client has
// bytes to read.
func (l *parkedConns) keep(p *parked) {
	t := p.terms
	switch {
	case t == nil || p.stage != watching:
	case t.until != 0 && l.tick >= t.until:
		l.expire(p)
	case t.every != 0 && p.backlog == nil && (l.tick+uint32(p.token.slot))%t.every == 0:
		l.write(p, piece{bytes: p.chunk(appendBeat(nil, l.beat(p)))})
	}
}

// expire ends a wait that has lasted as long as its client wants.
func (l *parkedConns) expire(p *parked) {
	at := l.reached(p)
	l.unwatch(p)
	l.advance(p, answered)
	p.since = l.tick
	var last []byte
	if p.terms.sse {
		last = p.chunk(appendBeat(nil, l.beat(p)))
	}
	t := p.terms
	if t.late != nil && p.grant.stands(l.options.auth(), t) {
		s := l.options.server
		if tag, st, ok := s.stillCurrent(p.grant, &p.watch, t.known); ok {
			l.write(p, piece{bytes: t.late.appendNotModified(nil, s.appendTag(nil, &tag), &st, time.Now())})
			return
		}
	}
	l.write(p, piece{bytes: append(last, p.ending(at)...)})
}

// answer sends the event that ends a wait, behind the head if that is late.
func (l *parkedConns) answer(p *parked, index tree.Index, event *form) {
	if p.terms == nil || p.terms.late == nil {
		l.sendEvent(p, index, event)
		return
	}
	p.backlog, p.since = &backlog{}, l.tick
	p.backlog.add(piece{bytes: p.terms.late.append(nil, index, time.Now())})
	l.sendEvent(p, index, event)
	if p.sock != nil {
		l.flush(p)
	}
}

// ending is what ends an answer without an event, for a late one its head first. at is an
// index up to which p has been given all.
func (p *parked) ending(at tree.Index) (end []byte) {
	if p.terms != nil && p.terms.late != nil {
		end = p.terms.late.append(nil, at, time.Now())
	}
	if p.chunked {
		end = append(end, lastChunk...)
	}
	return end
}

// fence finds out what parked watches have been given. What the hubs have delivered is
// asked for, and counts once the messages are handled that were in the mailbox then.
type fence struct {
	asked   []tree.Index // by hub
	before  int          // messages that still count
	reached []tree.Index // by hub; empty until the first time
}

// ask begins anew, unless the last time isn't over yet.
func (l *parkedConns) ask() {
	f := &l.fence
	if f.before > 0 {
		return
	}
	f.asked = l.options.told(f.asked[:0])
	f.before = len(l.loop.mailbox) // afterwards: what was delivered before is in there
	if f.before == 0 {
		f.pass()
	}
}

// handled counts a message.
func (f *fence) handled() {
	if f.before > 0 {
		if f.before--; f.before == 0 {
			f.pass()
		}
	}
}

func (f *fence) pass() { f.reached = append(f.reached[:0], f.asked...) }

// begin is the index of p's first heartbeat. There is none as long as this member hasn't come to what p's client knows,
// which may be from a member that has: so the client goes on from there, and no heartbeat is ahead of this member.
func (p *parked) begin() tree.Index {
	if p.terms.ahead {
		return 0
	}
	return p.watch.Since - 1
}

// beat is the index of p's next heartbeat.
func (l *parkedConns) beat(p *parked) tree.Index {
	at := l.reached(p)
	if p.terms.ahead && at > max(p.terms.last, l.told(p)) {
		return 0
	}
	return at
}

// reached is an index up to which p has been given all that it is to see.
func (l *parkedConns) reached(p *parked) tree.Index {
	at := p.watch.Since - 1
	if p.terms != nil {
		at = max(at, p.terms.last)
	}
	return max(at, l.told(p))
}

// told is an index up to which p's hub has given all watches everything, and so one that this member has come to; 0: it
// isn't known yet.
func (l *parkedConns) told(p *parked) tree.Index {
	if hub := int(p.watch.Hub); hub < len(l.fence.reached) {
		return l.fence.reached[hub]
	}
	return 0
}
