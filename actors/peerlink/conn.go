package peerlink

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a connection. Every wait for the other side is limited. One goroutine may read
// and another one write.
type conn struct {
	raw  net.Conn // what close closes: TLS would first send a farewell, and wait for that
	nc   net.Conn // raw, or TLS over it
	r    *bufio.Reader
	p    *timeouts
	slow time.Duration // how long the other side may take for a part of a frame
	over atomic.Bool   // this side has closed it

	// Used by the reader: how long one read may take or, during the handshake, the
	// deadline for all of it; and what to call when bytes arrive.
	wait  time.Duration
	by    time.Time
	heard func()

	// Known after the handshake.
	member uint64 // at the other end; 0: a stranger, or not known
	kind   kind
	url    string // the address dialled; empty: the other side dialled
	peer   *peer  // nil for strangers
}

// timeouts are how long things may take.
type timeouts struct {
	dial     time.Duration // a TCP connection to one address; twice that if a name has to be resolved
	greet    time.Duration // TLS and the handshake, after that
	lost     time.Duration // until the other side's kernel acknowledges something: the network may be cut
	stall    time.Duration // until the other side takes or sends some more of a frame
	disk     time.Duration // instead of lost and stall, if the other side writes to its disk meanwhile
	raft     time.Duration // between two frames of raft messages: dragonboat closes an idle connection after a minute
	chunk    time.Duration // between two chunks, and from the last one until everything is stored
	calls    time.Duration // between two calls, for the side that serves them
	stranger time.Duration // likewise, for a stranger's calls
	pooled   time.Duration // between two calls, for the side that makes them: less, so that this side closes
	again    time.Duration // between a failed dial and the next one for a call
}

func usualTimeouts() *timeouts {
	return &timeouts{
		dial:     3 * time.Second,
		greet:    5 * time.Second,
		lost:     5 * time.Second,
		stall:    10 * time.Second,
		disk:     20 * time.Second,
		raft:     3 * time.Minute,
		chunk:    5 * time.Minute,
		calls:    5 * time.Minute,
		stranger: 10 * time.Second,
		pooled:   time.Minute,
		again:    100 * time.Millisecond,
	}
}

// writeStep is how many bytes are written before the time-out starts again.
const writeStep = 256 << 10

func newConn(raw net.Conn, p *timeouts) *conn {
	c := &conn{raw: raw, nc: raw, p: p, slow: p.stall, wait: p.stall, by: time.Now().Add(p.greet), heard: func() {}}
	c.r = bufio.NewReaderSize(c, 64<<10)
	setUserTimeout(raw, p.lost)
	return c
}

// writesToDisk makes the connection allow for the disk of the other side, which stores
// what it has received before it takes more.
func (c *conn) writesToDisk() {
	c.slow = c.p.disk
	setUserTimeout(c.raw, c.p.disk)
}

// setUserTimeout makes the kernel give up a connection whose other end has neither
// acknowledged anything nor made room for more for so long. By default the kernel
// tries for a quarter of an hour, at ever longer intervals: after 20 s without a
// network, members needed another 6 s to find each other again. With the time-out they
// need none (both measured).
func setUserTimeout(nc net.Conn, after time.Duration) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	sys, err := tcp.SyscallConn()
	if err != nil {
		return // it is closed already, which the next use reports
	}
	// If this fails, the time-outs of reads and writes still apply, later.
	_ = sys.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(after/time.Millisecond))
	})
}

// keepAlive detects that the other end of a quiet connection has gone.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// Read implements io.Reader, for c.r.
func (c *conn) Read(b []byte) (int, error) {
	by := c.by
	if by.IsZero() {
		by = time.Now().Add(c.wait)
	}
	if err := c.nc.SetReadDeadline(by); err != nil {
		return 0, err
	}
	n, err := c.nc.Read(b)
	if n > 0 {
		c.heard()
	}
	return n, err
}

// greeted ends the handshake. p is who is at the other end; nil: a stranger.
func (c *conn) greeted(p *peer, now func() time.Duration) {
	c.by = time.Time{}
	if c.peer = p; p != nil {
		c.heard = func() { p.heard.Store(int64(now())) }
		c.heard()
	}
}

// next waits for a frame, for idle at most, and reads it. The error is errIdle if no
// frame has begun; the connection is still usable then.
func (c *conn) next(idle time.Duration, buf []byte, limit limits) (frameType, []byte, error) {
	c.wait = idle
	_, err := c.r.Peek(1)
	c.wait = c.slow
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, nil, errIdle
	} else if err != nil {
		return 0, nil, err
	}
	return readFrame(c.r, buf, limit)
}

// Write implements io.Writer. After an error the connection is unusable.
func (c *conn) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		if err := c.nc.SetWriteDeadline(time.Now().Add(c.slow)); err != nil {
			return written, err
		}
		n, err := c.nc.Write(b[written:min(len(b), written+writeStep)])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// hungUp reports whether the other side has closed a connection on which it never
// sends anything.
func (c *conn) hungUp() bool {
	tcp, ok := c.raw.(*net.TCPConn)
	if !ok {
		return false
	}
	sys, err := tcp.SyscallConn()
	if err != nil {
		return false // closed on this side, which the next use reports
	}
	over := false
	_ = sys.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		over = n == 0 && err == nil || err != nil && err != unix.EAGAIN && err != unix.EINTR
	})
	return over
}

// close closes the connection, even while it is being read or written. It doesn't block
// and may be called more than once.
func (c *conn) close() {
	if !c.over.Swap(true) {
		c.raw.Close()
	}
}

// closeWith closes the connection when ctx is done, unless release is called before.
func (c *conn) closeWith(ctx context.Context) (release func() bool) {
	return context.AfterFunc(ctx, c.close)
}
