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

// conn is a connection with whoever, with a limit to every wait for the other
// side. One goroutine may read and one may write.
type conn struct {
	raw  net.Conn // what close closes: TLS would take leave first, and wait for that
	nc   net.Conn // raw, or TLS over it
	r    *bufio.Reader
	p    *patience
	slow time.Duration // how long the other side may take over a step of a frame
	over atomic.Bool   // it was closed on this side

	// The reader's: how long one read may take, or, until the handshake is
	// over, when it has to be; and what to call whenever bytes have come.
	wait  time.Duration
	by    time.Time
	heard func()

	// What the handshake has settled.
	member uint64 // who is at the other end; 0: a stranger, or unknown
	kind   kind
	url    string // the address dialled; empty: the other side did
	peer   *peer  // nil for strangers
}

// patience is how long things may take.
type patience struct {
	dial     time.Duration // a TCP connection to one address; twice that where a name has to be resolved
	greet    time.Duration // TLS and the handshake on top
	lost     time.Duration // the other side's kernel to take anything: its network may be cut
	stall    time.Duration // the other side to take or to give some more of a frame
	disk     time.Duration // instead of both, where it writes to its disk meanwhile
	raft     time.Duration // between two frames of raft messages: the engine drops an idle connection after a minute
	chunk    time.Duration // between two chunks, and from the last one until all is stored
	calls    time.Duration // between two calls, for the side that serves them
	stranger time.Duration // the same, if a stranger calls
	pooled   time.Duration // between two calls, for the caller: less, so that it is the one who closes
	again    time.Duration // after a failed dial, before a call tries the next one
}

func usualPatience() *patience {
	return &patience{
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

// writeStep is how much is written before the time limit starts anew.
const writeStep = 256 << 10

func newConn(raw net.Conn, p *patience) *conn {
	c := &conn{raw: raw, nc: raw, p: p, slow: p.stall, wait: p.stall, by: time.Now().Add(p.greet), heard: func() {}}
	c.r = bufio.NewReaderSize(c, 64<<10)
	setUserTimeout(raw, p.lost)
	return c
}

// writesToDisk makes the connection wait for the other side's disk as well,
// which stores what it is sent before it takes more.
func (c *conn) writesToDisk() {
	c.slow = c.p.disk
	setUserTimeout(c.raw, c.p.disk)
}

// setUserTimeout makes the kernel give a connection up whose other end has
// acknowledged, or made room for, nothing for so long. Left alone it tries for a
// quarter of an hour, at ever longer intervals: after 20 s without a network,
// members took another 6 s to find each other again (measured; now it is none).
func setUserTimeout(nc net.Conn, after time.Duration) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	sys, err := tcp.SyscallConn()
	if err != nil {
		return // closed already: whoever uses it will see
	}
	// What the kernel can't do, the limits of reads and writes do later.
	_ = sys.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(after/time.Millisecond))
	})
}

// keepAlive finds out that the other end of a quiet connection is gone.
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

// greeted ends the handshake: p is who is at the other end, nil a stranger.
func (c *conn) greeted(p *peer, now func() time.Duration) {
	c.by = time.Time{}
	if c.peer = p; p != nil {
		c.heard = func() { p.heard.Store(int64(now())) }
		c.heard()
	}
}

// next waits for a frame, for idle at most, and reads it. The error is errIdle if
// none has begun; the connection can still be used then.
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

// Write implements io.Writer. A failed connection is of no more use.
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

// close ends the connection under whoever reads or writes. It doesn't wait, and
// may be called often.
func (c *conn) close() {
	if !c.over.Swap(true) {
		c.raw.Close()
	}
}

// closeWith closes the connection when ctx is done, until the returned func is
// called.
func (c *conn) closeWith(ctx context.Context) (release func() bool) {
	return context.AfterFunc(ctx, c.close)
}
