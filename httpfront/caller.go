package httpfront

import (
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// caller is a connection that a reactor takes care of.
type caller struct {
	net.Conn // owns the file
	reactor  *reactor
	fd       int
	token    token
	detours  uint8 // how often it went to fasthttp

	state  atomic.Uint32
	since  atomic.Uint32 // the reactor's tick at the last progress
	ending atomic.Bool   // the client has sent all it will, or has gone

	// Owned by the holder.
	fresh    bool   // nothing has come yet
	writable bool   // the reactor is told when the socket has room again
	in       []byte // read, and not served yet
	out      []byte // an answer's bytes that the socket had no room for
	ask      *ask   // whose outcome has come, and waits to be sent
}

// The states of a caller. It is called if something has happened on its socket
// while it was held.
const (
	callerFree uint32 = iota
	callerHeld
	callerCalled
)

// hold makes the reactor the caller's holder; it reports false if there is one,
// who will then look again.
func (c *caller) hold() bool {
	for {
		switch c.state.Load() {
		case callerFree:
			if c.state.CompareAndSwap(callerFree, callerHeld) {
				return true
			}
		case callerHeld:
			if c.state.CompareAndSwap(callerHeld, callerCalled) {
				return false
			}
		default:
			return false
		}
	}
}

// release lets go of the caller; it reports false, with the caller still held,
// if something has happened meanwhile. The end of what a client sends is told
// once: who hasn't read as far as that has to go on.
func (c *caller) release() bool {
	if c.ending.Load() && len(c.out) == 0 {
		return false
	}
	if c.state.CompareAndSwap(callerHeld, callerFree) {
		return true
	}
	c.state.Store(callerHeld)
	return false
}

// close ends the connection.
func (c *caller) close() {
	c.reactor.forget(c)
	_ = c.Conn.Close() // which also ends the polling
}

// leave takes the connection out of the reactor, which then knows it no more.
func (c *caller) leave() error {
	c.reactor.forget(c)
	return unix.EpollCtl(c.reactor.fd, unix.EPOLL_CTL_DEL, c.fd, nil)
}

// worker is what a goroutine needs to serve callers, one after the other.
type worker struct {
	server *Server
	began  time.Time // of what is served now
	now    time.Time // the same, by the clock that times to live count from
	buf    []byte    // what has been read
	out    []byte    // answers to it
	body   []byte
	text   []byte // parameters, decoded
	x      exchange
}

const (
	workerBuffer = 64 << 10
	workerOut    = 64 << 10 // answers are sent when they are as long as this
)

// look reads the clocks.
func (w *worker) look() {
	w.began = time.Now()
	if w.now = w.began; w.server.opts.Now != nil {
		w.now = w.server.opts.Now()
	}
}

func newWorker(s *Server) *worker {
	return &worker{server: s, buf: make([]byte, workerBuffer)}
}

// progress is how far a caller has got.
type progress uint8

const (
	again    progress = iota + 1 // there may be more
	waits                        // for something to happen on its socket
	departed                     // somebody else holds it now, or it is closed
)

// serve goes on with a caller, whom the goroutine holds, as far as that needs
// no waiting.
func (w *worker) serve(c *caller) {
	if tick := c.reactor.tick.Load(); c.since.Load() != tick {
		c.since.Store(tick)
	}
	if a := c.ask; a != nil {
		c.ask = nil
		p := w.finish(c, a)
		a.free()
		if p == departed || (p == waits || len(c.in) == 0) && c.release() {
			return
		}
	}
	for {
		switch w.advance(c) {
		case waits:
			if c.release() {
				return
			}
		case departed:
			return
		}
	}
}

// finish answers what a caller has waited for.
func (w *worker) finish(c *caller, a *ask) progress {
	w.out = w.out[:0]
	if !a.reads || a.reply.Err != nil {
		w.out = a.append(w.out)
	} else if p := w.readConfirmed(c, a); p != again {
		return p
	}
	return w.send(c, c.in)
}

// advance sends what is unsent, reads once, and serves what it has read.
func (w *worker) advance(c *caller) progress {
	if len(c.out) > 0 {
		if !c.flush() {
			return departed
		}
		if len(c.out) > 0 {
			return waits
		}
		if w.server.conns.closing.Load() && len(c.in) == 0 {
			c.close()
			return departed
		}
	}
	// What was left of the last reading is looked at again: it may have been
	// left behind a request that had to wait.
	had := len(c.in)
	data := append(w.buf[:0], c.in...)
	c.in = nil
	if had > 0 {
		rest, p := w.handle(c, data)
		if p != again {
			return p
		}
		data = data[:copy(data, rest)]
	}
	room := data[len(data):cap(data)]
	n, err := readSocket(c.fd, room)
	switch {
	case err != nil, n == 0 && len(data) == 0:
		c.close()
		return departed
	case n == 0: // the end, within a request
		w.out = w.out[:0]
		return w.detour(c, data)
	case n < 0:
		c.keep(data)
		return waits
	}
	c.fresh = false
	rest, p := w.handle(c, data[:len(data)+n])
	if p != again {
		return p
	}
	c.keep(rest)
	if n < len(room) && !c.ending.Load() {
		return waits // until the socket has more
	}
	return again
}

// keep holds on to bytes that belong to no whole request yet.
func (c *caller) keep(rest []byte) {
	c.in = nil
	if len(rest) > 0 {
		c.in = slices.Clone(rest)
	}
}

// handle serves the requests in data, and returns the rest with again if there
// is nothing to wait for. Otherwise c.in is what is left.
func (w *worker) handle(c *caller, data []byte) (rest []byte, p progress) {
	w.out = w.out[:0]
	for len(data) > 0 {
		if len(w.out) >= workerOut {
			if p := w.send(c, data); p != again {
				return nil, p
			}
		}
		var q quickRequest
		size, verdict := q.read(data, w.server.headLimit)
		switch verdict {
		case quickPartial:
			return data, w.send(c, data)
		case quickOther:
			return nil, w.detour(c, data)
		}
		if p := w.answer(c, &q, data, size); p != again {
			return nil, p
		}
		data = data[size:]
	}
	return nil, w.send(c, nil)
}

// send writes the answers that have piled up. If the client doesn't take them
// all, rest stays with it until it has.
func (w *worker) send(c *caller, rest []byte) progress {
	if len(w.out) == 0 {
		return again
	}
	out := w.out
	w.out = w.out[:0]
	n, err := writeSocket(c.fd, out)
	switch {
	case err != nil:
		c.close()
		return departed
	case n < len(out):
		c.keep(rest)
		if !c.leaveUnsent(out[n:]) {
			return departed
		}
		return waits
	case w.server.conns.closing.Load() && len(rest) == 0:
		c.close()
		return departed
	}
	return again
}

// leaveUnsent keeps what the socket has no room for, and has the reactor told
// when it has; it reports false if the connection is gone.
func (c *caller) leaveUnsent(out []byte) bool {
	c.out = slices.Clone(out)
	if c.writable {
		return true
	}
	c.writable = true
	if err := epollControl(c.reactor.fd, unix.EPOLL_CTL_MOD, c.fd, pollWritable, c.token); err != nil {
		c.close()
		return false
	}
	return true
}

// flush goes on with what the socket had no room for; it reports false if the
// connection is gone.
func (c *caller) flush() bool {
	n, err := writeSocket(c.fd, c.out)
	if err != nil {
		c.close()
		return false
	}
	if c.out = c.out[n:]; len(c.out) == 0 {
		c.out = nil
	}
	return true
}

// detoursLimit is how often a connection comes back from fasthttp. Whose
// requests are mostly of a kind that the reactor leaves alone stays there.
const detoursLimit = 8

// detour gives the connection to fasthttp, with what has been read; what came
// before is answered first.
func (w *worker) detour(c *caller, data []byte) progress {
	if p := w.send(c, data); p != again {
		return p
	}
	c.in = nil
	if err := c.leave(); err != nil {
		_ = c.Conn.Close() // it can't be told apart from a client that has left
		return departed
	}
	w.server.serveSlowly(c.Conn, slices.Clone(data), c.detours+1)
	return departed
}

// readSocket reads what there is: -1 for nothing, 0 for the end.
func readSocket(fd int, b []byte) (int, error) {
	for {
		n, err := rawRead(fd, b)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return -1, nil
		default:
			return 0, err
		}
	}
}

// writeSocket writes as much of b as goes at once. Writing less is not an error.
func writeSocket(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		m, err := rawWrite(fd, b[n:])
		switch {
		case err == nil:
			n += m
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		default:
			return n, err
		}
	}
	return n, nil
}
