package httpfront

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// sending is about the answers that are being sent.
type sending struct {
	slow   *slowRequest // the last one's, if it is slow
	answer int64        // their size, as the budget has it
	// parts says that fasthttp is going to write the answer in more than one piece; first is
	// the first of them, until the next one comes.
	parts bool
	first *[]byte
	// torn says that the connection ends with its answer in the middle of what the client
	// sends.
	torn atomic.Bool
}

var firstPieces = sync.Pool{New: func() any { return new(make([]byte, 0, writeBuffer)) }}

// Write implements net.Conn. All writes of one answer share a timeout.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.writes.arm(c.loop.options.slack, c.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	switch {
	case c.parts:
		c.parts, c.first = false, firstPieces.Get().(*[]byte)
		*c.first = append((*c.first)[:0], b...)
		return len(b), nil
	case c.first != nil:
		first := c.first
		c.first = nil
		both := net.Buffers{*first, b}
		n, err := both.WriteTo(c.Conn)
		sent := max(0, int(n)-len(*first))
		firstPieces.Put(first)
		return sent, err
	}
	return c.Conn.Write(b)
}

// inParts is called before an answer is written that has a body of so many bytes. What
// doesn't fit into fasthttp's buffer it writes in two pieces, of which each would wake the
// client up. It would use one system call itself, but only on a connection of package net.
// The rest of one may still be in its buffer, where a request follows it.
func (c *conn) inParts(body int) {
	c.parts = body >= writeBuffer && c.wire == nil && c.first == nil
}

// linger reads what the client still sends once it has its answer: to a connection that is
// closed with unread input the kernel sends a reset, which may overtake the answer.
func linger(c net.Conn) {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(drainPause)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c, drainHeadLimit)
}
