package httpfront

import (
	"strconv"

	"copse/statemachine/tree"
)

// parked is a connection in the poll loop: one waiting request and, once it is handed over, its
// connection, or one between requests. It is the Sink of its own watch, so that a parked
// long-poll costs one object and its socket.
type parked struct {
	// Fixed before the watch is registered, but for what Backend.Watch sets in it.
	watch tree.Watch
	loop  *pollLoop
	manner

	// Owned by the poll loop's run.
	grant grant // of which only that changes under which it was checked
	stage stage
	signs
	sock    *socket
	conn    *conn // nil: no request has been served since the watch
	token   token
	since   uint32   // the tick of the last progress
	backlog *backlog // nil: everything is written
}

// signs are what the poller has told of a socket, and is to tell.
type signs struct {
	readable bool // there may be something to read
	halfGone bool // the client sends no more than that
	writable bool // the poller reports when the socket takes bytes again
}

// manner is how a request is answered.
type manner struct {
	chunked   bool // false: the body ends with the connection, as in HTTP/1.0
	keepAlive bool
	terms     *terms // nil: as v2 does
}

// stage is the progress of a parked request.
type stage uint8

const (
	watching stage = iota // events may come
	answered              // by its one event, which is still being written
	ending                // like answered, and then the connection closes
	idle                  // the next request may come, and perhaps has begun to
	waiting               // its turn waits for a reply
	gone                  // no longer in the poll loop
)

// Deliver implements tree.Sink.
func (p *parked) Deliver(n *tree.EncodedEvent) {
	m := message{to: p, notice: n}
	if !n.Parted() {
		p.loop.send(m)
	} else if p.loop.admit(&m); !p.loop.send(m) {
		m.dispose()
	}
}

// End implements tree.Sink.
func (p *parked) End() { p.loop.send(message{to: p}) }

// backlog is what is left to send to a client. What events consist of is shared by all
// clients.
type backlog struct {
	pieces []piece
	sent   int // bytes of the first piece, or its next part, that are written already
	size   int // bytes in all pieces
}

type piece struct {
	index  tree.Index // 0: no event
	bytes  []byte
	json   *partedJSON // instead of bytes; nil: there are only those
	shared *shared     // nil: no event
}

// partedJSON is what is left of an event's JSON that is printed part by part.
type partedJSON struct {
	notice *tree.EncodedEvent
	as64   bool
	size   int
	part   int // the next one
}

func (p *piece) size() int {
	if p.json != nil {
		return p.json.size
	}
	return len(p.bytes)
}

func (b *backlog) add(p piece) {
	b.pieces = append(b.pieces, p)
	b.size += p.size()
}

// drop lets go of what is left. b may be nil.
func (b *backlog) drop() {
	if b != nil {
		for _, p := range b.pieces {
			p.shared.drop()
		}
		b.pieces = nil
	}
}

// next returns what is to be sent next, printed into scratch if need be, and what is left of p behind that.
func (p piece) next(scratch *[]byte) (text []byte, left piece, more bool) {
	if p.json == nil {
		return p.bytes, piece{}, false
	}
	after := *p.json
	if *scratch, more = after.notice.AppendPart((*scratch)[:0], after.part, after.as64); !more {
		return *scratch, piece{}, false
	}
	after.part++
	p.json = &after
	return *scratch, p, true
}

// printedAtOnce is about how many bytes are printed for one client before others have their turn.
const printedAtOnce = 1 << 20

// writeTo writes as much as it can without blocking, and reports whether that was all. What is printed part by part
// is printed into scratch, printedAtOnce in a row; a part that isn't written in full is printed again.
func (b *backlog) writeTo(s *socket, scratch *[]byte) (n int, all bool, err error) {
	for len(b.pieces) > 0 {
		first := &b.pieces[0]
		if first.json != nil && n >= printedAtOnce {
			return n, false, nil
		}
		text, left, more := first.next(scratch)
		m, err := s.write(text[b.sent:])
		n += m
		if b.sent += m; err != nil || b.sent < len(text) {
			return n, false, err
		}
		if b.sent = 0; more {
			*first = left
			continue
		}
		first.shared.drop()
		b.size -= first.size()
		b.pieces[0] = piece{}
		b.pieces = b.pieces[1:]
	}
	return n, true, nil
}

// oldest returns the index of the oldest event that isn't written in full.
func (b *backlog) oldest() tree.Index {
	for _, p := range b.pieces {
		if p.index != 0 {
			return p.index
		}
	}
	return 0
}

const lastChunk = "0\r\n\r\n"

// appendWhole appends a chunk of json, and the last one.
func appendWhole(dst, json []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(json)), 16)
	dst = append(dst, "\r\n"...)
	dst = append(dst, json...)
	return append(dst, "\r\n"+lastChunk...)
}
