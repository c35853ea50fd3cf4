package httpfront

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a connection in fasthttp's hands. A connection that was parked comes
// back as a new conn: fasthttp tells connections apart by their identity, and
// may still be tidying up after the last one.
//
// A conn decides its time-outs: fasthttp, which is told of none, says when a request has
// begun and been answered, and Read and Write do the rest. fasthttp itself would ask the
// clock three times for each request, also where sixteen come and are answered in one.
type conn struct {
	net.Conn
	wire *wire // below a TLS session; nil: Conn is the socket
	loop *pollLoop
	rest []byte // to be read before what the socket holds

	// Its goroutine's.
	slow          *slowRequest // whose answer is being sent
	reads, writes deadline
	served        bool // one request at least

	busy  atomic.Bool // a request has begun
	state atomic.Uint32
	// watch is registered with the backend and not handed to the poll loop yet. It
	// is counted as arriving.
	watch atomic.Pointer[parked]
}

// The states of a conn: closed and detached are final.
const (
	connOpen uint32 = iota
	connClosed
	connDetached // the socket belongs to the poll loop now
)

// newConn returns c for fasthttp. wire is below it if it is a TLS session; rest is
// read before what c has.
func newConn(p *pollLoop, c net.Conn, wire *wire, rest []byte) *conn {
	return &conn{
		Conn: c, wire: wire, loop: p, rest: rest,
		reads: deadline{limit: p.options.readTimeout}, writes: deadline{limit: p.options.writeTimeout},
	}
}

// parkable reports whether c is a socket, with or without TLS on it.
func (c *conn) parkable() bool {
	_, isSocket := c.Conn.(syscall.Conn)
	return isSocket || c.wire != nil
}

// Read reads what is left from the connection's last life first. A detached
// conn is at its end, which makes what fasthttp has buffered readable without
// waiting for more.
func (c *conn) Read(b []byte) (int, error) {
	if c.state.Load() == connDetached {
		return 0, io.EOF
	}
	if len(c.rest) > 0 {
		n := copy(b, c.rest)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
		return n, nil
	}
	c.writes.restart(c.loop.options.writeTimeout) // what comes now is answered later
	if err := c.reads.arm(c.loop.options.slack, c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// Write implements net.Conn. An answer that takes several has one time-out.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.writes.arm(c.loop.options.slack, c.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// begun is told when the first byte of a request has come. All of it has to come
// within the read time-out, which the first request has had since the connection's
// opening.
func (c *conn) begun() {
	c.busy.Store(true)
	if c.served {
		c.reads.restart(c.loop.options.readTimeout)
	}
}

// answered is told when a request has been answered, as far as fasthttp's buffer
// goes. The next may take the idle time to begin.
func (c *conn) answered() {
	c.busy.Store(false)
	c.served = true
	c.reads.restart(c.loop.options.idleTimeout)
	c.writes.restart(c.loop.options.writeTimeout)
}

// deadline is one of a connection's two, for reading or for writing. It counts from
// the first Read or Write after its restart, which is where the clock is asked.
type deadline struct {
	limit time.Duration // from then on; 0: there is none
	at    time.Time     // zero: it doesn't count yet
	armed time.Time     // what the socket was told
}

func (d *deadline) restart(limit time.Duration) { d.limit, d.at = limit, time.Time{} }

// arm tells the socket the deadline, unless it knows one that will do: that comes at
// most slack before. Telling costs as much as looking a key up.
func (d *deadline) arm(slack time.Duration, tell func(time.Time) error) error {
	if d.at.IsZero() && d.limit > 0 {
		d.at = time.Now().Add(d.limit)
	}
	if d.at == d.armed {
		return nil
	}
	if late := d.at.Sub(d.armed); !d.at.IsZero() && late >= 0 && late < slack {
		return nil
	}
	d.armed = d.at
	return tell(d.at)
}

// SetReadDeadline implements net.Conn: t holds until the next request begins, or this
// one has been answered, and may be less than the slack ahead. Zero gives the time-out
// back, counted anew.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.reads.at = t
	if t.IsZero() {
		return nil
	}
	c.reads.armed = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn: t holds until the request has been answered.
// Zero gives the time-out back: with it fasthttp takes away what a handler has set.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writes.at = t
	return nil
}

// SetDeadline implements net.Conn, and ends the time-outs: fasthttp calls it, with zero,
// when it hands the connection over.
func (c *conn) SetDeadline(t time.Time) error {
	c.reads, c.writes = deadline{at: t, armed: t}, deadline{at: t, armed: t}
	return c.Conn.SetDeadline(t)
}

// Close does nothing to a detached conn: fasthttp closes what it hands over.
func (c *conn) Close() error {
	var err error
	if c.state.CompareAndSwap(connOpen, connClosed) {
		if c.wire != nil {
			c.wire.closing.Store(true)
		}
		err = c.Conn.Close()
	}
	if c.state.Load() == connClosed {
		c.abandon()
	}
	return err
}

// expect says that the connection is about to be parked for w.
func (c *conn) expect(w *parked) {
	c.loop.arriving.Add(1)
	c.watch.Store(w)
}

// abandon takes back a watch that fasthttp failed to hand over, which happens
// when a pipelined answer before it couldn't be written.
func (c *conn) abandon() {
	if w := c.watch.Swap(nil); w != nil {
		c.loop.options.unwatch(&w.watch)
		c.loop.arriving.Done()
	}
}

// handOver gives the connection to the poll loop. buffered yields what fasthttp
// has read beyond the request; head is the response's head, sent at once.
func (c *conn) handOver(buffered io.Reader, head []byte) {
	if !c.state.CompareAndSwap(connOpen, connDetached) {
		c.abandon()
		return
	}
	defer c.loop.arriving.Done()
	w := c.watch.Swap(nil)
	sock, err := newSocket(c.Conn, c.wire, append(readRest(buffered), c.rest...))
	if err != nil {
		c.loop.options.unwatch(&w.watch)
		_ = c.Conn.Close() // it is closed already, or its client has left
		return
	}
	n, _ := sock.write(head) // the poll loop's next write meets the same error
	c.loop.take(w, &arrival{sock: sock, head: head[n:]})
}

// readRest reads r to its end, and returns no more than it needs.
func readRest(r io.Reader) []byte {
	var first [128]byte
	n, err := r.Read(first[:])
	if n == 0 {
		return nil
	}
	rest := first[:n]
	if err == nil {
		more, _ := io.ReadAll(r) // a detached conn has no error but its end
		rest = append(rest, more...)
	}
	return slices.Clone(rest)
}

// socket is a connection outside fasthttp, used without its read and write
// locks and never waited for: one goroutine has it at a time.
type socket struct {
	net.Conn
	fd      int
	session *session // nil: there is no TLS on it
	rest    []byte   // read from the socket, not yet looked at
}

// newSocket takes c over, with the wire below it if it is a TLS session. It
// fails if the client is seen to have left.
func newSocket(c net.Conn, w *wire, rest []byte) (*socket, error) {
	s := &socket{Conn: c, fd: -1, rest: rest}
	if w != nil {
		w.parked = true
		s.fd = w.fd
		s.session = &session{Conn: c.(*tls.Conn), wire: w}
		return s, s.absorb()
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { s.fd = int(fd) })
	}
	if err != nil {
		return nil, fmt.Errorf("socket of %v: %w", c.RemoteAddr(), err)
	}
	return s, nil
}

// write writes as much of b as goes at once. Writing less is not an error; the
// next write begins with what was left.
func (s *socket) write(b []byte) (n int, err error) {
	if s.session != nil {
		return s.session.write(b)
	}
	return writeNow(s.fd, b)
}

// absorb takes in what has come on a TLS session, and fails if that is the
// client's leave. Of a plain socket, the poller tells.
func (s *socket) absorb() (err error) {
	if s.session != nil {
		s.rest, err = s.session.absorb(s.rest)
	}
	return err
}

// conn returns the connection for another life under fasthttp.
func (s *socket) conn(p *pollLoop) *conn {
	if s.session == nil {
		return newConn(p, s.Conn, nil, s.rest)
	}
	s.session.wire.parked = false
	return newConn(p, s.Conn, s.session.wire, s.rest)
}

func writeNow(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		m, err := unix.Write(fd, b[n:])
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

// readable reports whether bytes, and not just the end, can be read.
func (s *socket) readable() bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(s.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && n > 0
}
