package httpfront

import (
	"crypto/tls"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"copse/httpfront/login"
)

// conn is a connection whose requests are served: by the poll loop, or while something may block
// by fasthttp on a goroutine. After a watch the connection returns as a new conn: fasthttp
// identifies connections by pointer, and may still be cleaning up after the old one.
//
// A conn implements its timeouts itself: fasthttp, which has none set, signals the begin
// and the end of each request, and Read and Write set deadlines. fasthttp would read the
// clock three times for each request, even for sixteen that are pipelined in one packet.
type conn struct {
	net.Conn
	wire  *wire // below a TLS session; nil: Conn is the socket
	loop  *pollLoop
	maybe *tls.Config // for a client that begins with TLS; nil: it is known whether it does

	// Of whoever serves it, the poll loop or its goroutine.
	inLoop
	intake
	sending
	client login.Client
	deadlines

	busy  atomic.Bool // a request has begun
	state atomic.Uint32
	// watch is registered with the backend, but not yet with the poll loop. It counts as
	// arriving.
	watch atomic.Pointer[parked]
}

// timeouts are the same for all connections.
type timeouts struct {
	readTimeout  time.Duration // for a request
	idleTimeout  time.Duration // for the next one to begin
	writeTimeout time.Duration // without progress in writing
	slack        time.Duration // by which a deadline may be early
}

// inLoop is what a conn is in the poll loop.
type inLoop struct {
	turn *turn   // the request that the loop serves, where nothing may block; nil: a goroutine does
	home *parked // its place there; nil: it hasn't been there
	sock *socket // itself without fasthttp; nil: it hasn't been needed
	// arrived is when the request had been read that has waited there, and is now left to a goroutine.
	arrived time.Time
}

// deadlines are those of reading and writing.
type deadlines struct {
	reads, writes deadline
	served        bool // at least one request
}

// The states of a conn: all but open and idle are final.
const (
	connOpen uint32 = iota
	connClosed
	connDetached // the socket belongs to a watch now
	connMoved    // it belongs to intake.next
	connIdle     // the next request is waited for in the poll loop
)

// newConn wraps c for fasthttp. wire is below a TLS session, nil otherwise; rest is read
// before c.
func newConn(p *pollLoop, c net.Conn, wire *wire, rest []byte) *conn {
	return &conn{
		Conn: c, wire: wire, loop: p, intake: intake{rest: rest, room: smallRoom},
		client:    login.Client{Addr: c.RemoteAddr()},
		deadlines: deadlines{reads: deadline{limit: p.options.readTimeout}, writes: deadline{limit: p.options.writeTimeout}},
	}
}

// parkable reports whether c is a socket, with or without TLS on it.
func (c *conn) parkable() bool {
	_, isSocket := c.Conn.(syscall.Conn)
	return isSocket || c.wire != nil
}

// begun is called at the first byte of a request, and when fasthttp gets it. The whole request
// must arrive within the read timeout, which for the first one runs from the opening of the
// connection.
func (c *conn) begun() {
	if !c.busy.Swap(true) && c.served {
		c.reads.restart(c.loop.options.readTimeout)
	}
}

// answered is called when the answer is in fasthttp's buffer. The next request must begin
// within the idle timeout.
func (c *conn) answered() {
	c.busy.Store(false)
	c.served = true
	c.reads.restart(c.loop.options.idleTimeout)
	c.writes.restart(c.loop.options.writeTimeout)
}

// deadline is a connection's read or write deadline. It runs from the first Read or Write
// after its restart, which is when the clock is read.
type deadline struct {
	limit time.Duration // from then on; 0: there is none
	at    time.Time     // zero: not running yet
	armed time.Time     // as set on the socket
}

func (d *deadline) restart(limit time.Duration) { d.limit, d.at = limit, time.Time{} }

// arm sets the deadline on the socket, unless the one set there is at most slack earlier.
// Setting it costs as much as looking up a key.
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

// SetReadDeadline implements net.Conn: t applies until the next request begins or this one
// is answered, and may be less than the slack ahead. Zero restores the timeout, counted
// anew.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.reads.at = t
	if t.IsZero() {
		return nil
	}
	c.reads.armed = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn: t applies until the request is answered. Zero, by
// which fasthttp undoes what a handler has set, restores the timeout.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writes.at = t
	return nil
}

// SetDeadline implements net.Conn and ends the timeouts: fasthttp calls it with zero when a
// connection is hijacked.
func (c *conn) SetDeadline(t time.Time) error {
	c.reads, c.writes = deadline{at: t, armed: t}, deadline{at: t, armed: t}
	return c.Conn.SetDeadline(t)
}

// Close does nothing to a detached conn: fasthttp closes connections that were hijacked.
func (c *conn) Close() error {
	var err error
	if c.state.CompareAndSwap(connOpen, connClosed) {
		if c.wire != nil {
			c.wire.closing.Store(true)
		}
		if c.torn.Load() {
			c.busy.Store(false) // it has been answered
			linger(c.Conn)
		}
		err = c.Conn.Close()
	}
	if c.state.Load() == connClosed {
		c.abandon()
	}
	return err
}

// expect announces that the connection will be parked for w.
func (c *conn) expect(w *parked) {
	c.loop.arriving.Add(1)
	c.watch.Store(w)
}

// abandon removes a watch that fasthttp failed to hand over: a pipelined answer before it
// couldn't be written.
func (c *conn) abandon() {
	if w := c.watch.Swap(nil); w != nil {
		c.loop.options.unwatch(&w.watch)
		c.loop.send(message{to: w, lost: true})
		c.loop.arriving.Done()
	}
}

// handOver passes the connection to the poll loop. buffered yields the bytes that fasthttp
// has read beyond the request; head is the head of the response, sent at once.
func (c *conn) handOver(buffered io.Reader, head []byte) {
	if !c.state.CompareAndSwap(connOpen, connDetached) {
		c.abandon()
		return
	}
	defer c.loop.arriving.Done()
	w := c.watch.Swap(nil)
	sock, err := c.socket(append(readRest(buffered), c.rest...))
	if err == nil {
		err = sock.absorb()
	}
	if err != nil {
		c.loop.options.unwatch(&w.watch)
		c.loop.send(message{to: w, lost: true})
		_ = c.Conn.Close() // closed already, or its client has left
		return
	}
	n, _ := sock.write(head) // the poll loop's next write gets the same error
	c.loop.take(w, &arrival{sock: sock, head: head[n:]})
}

// setAside ends fasthttp's part in c, as if it were closed, at the end of a request. It reports
// false for what can't wait in the poll loop.
func (c *conn) setAside() bool {
	return c.loop.poller != nil && c.parkable() && c.state.CompareAndSwap(connOpen, connIdle)
}

// wait passes the connection to the poll loop, which waits for the next request.
func (c *conn) wait() {
	sock, err := c.socket(nil)
	if err != nil {
		_ = c.Conn.Close() // its client has left
		return
	}
	c.state.Store(connOpen)
	c.busy.Store(false)
	if c.home == nil {
		c.home = &parked{loop: c.loop, conn: c}
	}
	c.loop.take(c.home, &arrival{sock: sock, idle: true})
}

// socket returns the connection for use without fasthttp. rest has been read of it.
func (c *conn) socket(rest []byte) (s *socket, err error) {
	if c.sock == nil {
		c.sock, err = newSocket(c.Conn, c.wire, rest)
		return c.sock, err
	}
	c.sock.rest = rest
	if c.wire != nil {
		c.wire.parked = true
	}
	return c.sock, nil
}

// readRest reads r to its end into a slice of just that size.
func readRest(r io.Reader) []byte {
	var first [128]byte
	n, err := r.Read(first[:])
	if n == 0 {
		return nil
	}
	rest := first[:n]
	if err == nil {
		more, _ := io.ReadAll(r) // a detached conn returns no error but io.EOF
		rest = append(rest, more...)
	}
	return slices.Clone(rest)
}
