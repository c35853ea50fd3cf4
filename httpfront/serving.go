package httpfront

import (
	"bufio"
	"bytes"
	"io"
	"time"
)

// serving is how the poll loop serves requests. Those that are whole, small, and can be answered
// without waiting are answered where they are read, and the answers to what is pipelined are sent
// together. A write is given to its shard, and the connection waits for the reply. Everything else
// gets a goroutine, with what has been read of the connection, until it is answered. So nobody
// waits for another client, or for more than one read of another.
type serving struct {
	in     []byte        // what is being read
	head   bytes.Reader  // of the request at hand
	parser *bufio.Reader // of head
	out    answers       // to be sent
	writer *bufio.Writer // to out
	queued []*parked     // have more to read, once others have had their turn

	turn    *turn   // for the next request
	spare   []*turn // others that are free
	unread  []*turn // to be given to readers
	waiting int     // number of turns that wait: writes, and reads
}

// answers are what is to be sent to one client.
type answers []byte

// Write implements io.Writer.
func (a *answers) Write(b []byte) (int, error) {
	*a = append(*a, b...)
	return len(b), nil
}

const (
	readSize   = 16 << 10  // of what is read of a connection in its turn
	sendSize   = 16 << 10  // of answers that are sent together
	turnSize   = 128 << 10 // of answers after which others have their turn
	spareLimit = 256       // turns that are kept
)

// enter gives p its place among the connections, unless that fails.
func (l *parkedConns) enter(p *parked, sock *socket) bool {
	p.sock, p.since = sock, l.tick
	l.options.meter.gauge(p).Add(1)
	l.slots.put(p)
	add := l.loop.poller.add
	if sock.polled {
		add = l.loop.poller.again
	}
	if err := add(sock.fd, p.token); err != nil {
		l.options.report("wait for a connection", err)
		l.drop(p)
		return false
	}
	sock.polled = true
	return true
}

// admit adds a connection between requests.
func (l *parkedConns) admit(p *parked, sock *socket) {
	p.stage, p.signs = idle, signs{readable: sock.session != nil} // as in park
	if l.enter(p, sock) && (p.readable || len(sock.rest) > 0) {
		l.read(p)
	}
}

// whole returns the length of the request that in begins with, and of its head; 0 as long as the
// head isn't whole. ok is false for what isn't served at once: what is long, doesn't come in one
// piece, or isn't framed as nearly all are.
func whole(in []byte) (head, size int, ok bool) {
	var h headScan
	if !h.scan(in) {
		return 0, 0, len(in) < smallRoom
	}
	odd := h.loose || h.broken || h.chunked || h.foreign || h.large() || h.length > freeBody
	size = h.size + int(h.length)
	return h.size, size, !odd && size <= len(in)
}

// read reads what a client between requests has sent, and serves it.
func (l *parkedConns) read(p *parked) {
	s := p.sock
	begun := len(s.rest) > 0
	in := append(l.in[:0], s.rest...)
	room := max(readSize-len(in), 0) // a watch may have left more
	n, err := 0, error(nil)
	if room > 0 && p.readable {
		n, err = s.read(in[len(in) : len(in)+room])
		p.readable = n == room || n > 0 && p.halfGone
	}
	in = in[:len(in)+n]
	if !begun && n > 0 && (p.conn == nil || p.conn.served) {
		p.since = l.tick // when the next request began
	}
	if err != nil && (err != io.EOF || len(in) == 0) {
		l.drop(p)
		return
	}
	left, more := l.serveAll(p, in)
	if p.stage == gone {
		return
	}
	s.rest = bytes.Clone(left)
	switch {
	case err == io.EOF:
		p.readable = true // the end is found again if an answer has to be sent first
		if p.stage == idle && len(left) > 0 {
			l.leaveTo(p)
		} else if p.stage == idle {
			l.drop(p)
		}
	case p.stage == idle && (p.readable || more):
		l.queue(p)
	}
}

// queue has p read once others have had their turn.
func (l *parkedConns) queue(p *parked) { l.queued = append(l.queued, p) }

// readQueued reads those that are queued, once.
func (l *parkedConns) readQueued() {
	list := l.queued
	l.queued = nil
	for _, p := range list {
		if p.stage == idle {
			l.read(p)
		}
	}
}

// serveAll serves the requests in a client's input, and returns what is left of that. more says that
// another turn is for that, as the answers were long.
func (l *parkedConns) serveAll(p *parked, in []byte) (left []byte, more bool) {
	for sent := 0; len(in) > 0 && p.stage == idle; {
		if sent >= turnSize {
			return in, true
		}
		head, size, ok := whole(in)
		if ok && head == 0 {
			break
		}
		if !ok || !l.serve(p, in[:size], head) {
			if l.send(p); p.stage == idle {
				p.sock.rest = bytes.Clone(in)
				l.leaveTo(p)
			}
			return in, false
		}
		if in = in[size:]; len(l.out) >= sendSize {
			sent += len(l.out)
			l.send(p)
		}
	}
	l.send(p)
	return in, false
}

// serve serves one request, whose head has so many bytes, or returns false.
func (l *parkedConns) serve(p *parked, request []byte, head int) bool {
	t, c := l.turn, l.connOf(p)
	if l.waiting == waitingLimit {
		return false
	}
	t.of, t.outcome = p, served
	t.ctx.Init2(c, nil, false)
	l.head.Reset(request[:head])
	l.parser.Reset(&l.head)
	if t.ctx.Request.Header.Read(l.parser) != nil {
		t.outcome = mayBlock
	} else {
		c.turn = t
		l.options.server.serveTurn(t, request[head:])
		c.turn = nil
	}
	switch t.outcome {
	case mayBlock:
		l.free(t)
		return false
	case submitted, unread:
		if t.outcome == unread {
			l.unread = append(l.unread, t)
		}
		if t.x.req.kind != kindWrite { // a read may still need a goroutine
			t.request = append(t.request[:0], request...)
		}
		l.waiting++
		l.turn = l.next(l.loop)
		l.advance(p, waiting)
	default:
		l.print(t)
		l.free(t)
	}
	c.served, p.since = true, l.tick
	return true
}

// settle answers a request that has its reply.
func (l *parkedConns) settle(t *turn) {
	l.waiting--
	p := t.of
	t.outcome, p.conn.turn = served, t
	l.options.server.settleTurn(t)
	p.conn.turn = nil
	switch {
	case p.stage == gone:
		l.taken(p)
		l.spareTurn(t)
		return
	case t.outcome != served: // what it needs isn't in memory, or no longer is
		p.sock.rest = append(bytes.Clone(t.request), p.sock.rest...)
		arrived := t.x.arrived
		l.spareTurn(t)
		if p.backlog == nil {
			p.conn.arrived = arrived
			l.leaveTo(p)
			return
		}
		l.advance(p, answered) // which comes first
		p.keepAlive = true
		return
	}
	last := t.ctx.Response.ConnectionClose()
	l.print(t)
	l.spareTurn(t)
	l.advance(p, idle)
	p.since = l.tick
	l.send(p)
	switch {
	case last && p.stage == idle:
		l.drop(p)
	case last && p.stage == answered:
		l.advance(p, ending)
	case p.stage == idle && (p.readable || len(p.sock.rest) > 0):
		l.read(p)
	}
}

// settleAll answers those whose replies are there.
func (l *parkedConns) settleAll() {
	for range len(l.loop.replies) {
		l.settle(<-l.loop.replies) // never blocks: run is the only receiver
	}
}

// send sends the answers, or keeps what the socket doesn't take. p isn't idle then.
func (l *parkedConns) send(p *parked) {
	out := l.out
	if l.out = out[:0]; cap(out) > 2*sendSize {
		l.out = nil
	}
	n, err := 0, error(nil)
	if len(out) == 0 {
		return
	}
	if p.backlog == nil {
		if n, err = p.sock.write(out); err != nil {
			l.drop(p)
			return
		}
		if n == len(out) {
			l.taken(p)
			return
		}
		p.backlog = &backlog{}
	}
	left := out[n:]
	if l.out != nil {
		left = bytes.Clone(left)
	}
	p.backlog.add(piece{bytes: left})
	p.since = l.tick
	if p.stage == idle {
		l.advance(p, answered)
		p.keepAlive = true
	}
	l.await(p)
}

// taken is called when a client has all answers so far, or never will.
func (l *parkedConns) taken(p *parked) {
	if c := p.conn; c != nil && (c.slow != nil || c.answer != 0) && p.stage != waiting {
		l.options.server.answered(c)
	}
}

// connOf returns what p's requests are served on.
func (l *parkedConns) connOf(p *parked) *conn {
	if p.conn == nil {
		p.conn = p.sock.conn(l.loop)
		p.conn.home = p
	}
	return p.conn
}

// leaveTo gives p's connection to a goroutine, which serves what has been read, and more until
// the connection is idle again.
func (l *parkedConns) leaveTo(p *parked) {
	c := l.unpark(p)
	l.leave(p)
	l.options.server.conns.serve(c, l.options.server.serveConn)
}

// unpark makes p's connection ready for a goroutine.
func (l *parkedConns) unpark(p *parked) *conn {
	c := l.connOf(p)
	limit, passed := l.options.readTimeout, time.Duration(l.tick-p.since)*l.interval
	c.reads.restart(max(limit-passed, min(limit, l.interval)))
	c.writes.restart(l.options.writeTimeout)
	c.framing, c.rest, c.ready = framing{}, p.sock.rest, 0
	c.torn.Store(false)
	c.busy.Store(true)
	if c.wire != nil {
		c.wire.parked = false
	}
	p.sock.rest = nil
	return c
}
