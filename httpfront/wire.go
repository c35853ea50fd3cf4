package httpfront

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// wire is the socket below a TLS session. Under fasthttp it waits, as any
// net.Conn does. Parked it never waits: what the session has to send is kept in
// unsent until the socket takes it, and where nothing has come, a read fails
// with errNotYet, which the session takes for a passing trouble.
type wire struct {
	net.Conn // the socket
	raw      syscall.RawConn
	fd       int

	// Its owner's: the connection's goroutine, or the poll loop.
	parked bool
	unsent []byte

	closing atomic.Bool // the last alert is on its way, and mustn't wait
}

// newWire returns nil if c is no socket.
func newWire(c net.Conn) *wire {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	w := &wire{Conn: c, raw: raw, fd: -1}
	if err := raw.Control(func(fd uintptr) { w.fd = int(fd) }); err != nil {
		return nil
	}
	return w
}

// notYet is what a parked wire reads where nothing has come.
type notYet struct{}

func (notYet) Error() string   { return "nothing has come yet" }
func (notYet) Timeout() bool   { return true }
func (notYet) Temporary() bool { return true }

var errNotYet net.Error = notYet{}

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	if !w.parked {
		return w.Conn.Read(b)
	}
	for {
		n, err := unix.Read(w.fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, errNotYet
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write implements net.Conn.
func (w *wire) Write(b []byte) (int, error) {
	switch {
	case w.closing.Load():
		w.sendAtOnce(b)
		return len(b), nil
	case w.parked:
		w.unsent = append(w.unsent, b...)
		return len(b), nil
	case len(w.unsent) > 0: // from the time when it was parked
		b = append(w.unsent, b...)
		left := len(w.unsent)
		w.unsent = nil
		n, err := w.Conn.Write(b)
		return max(0, n-left), err
	}
	return w.Conn.Write(b)
}

// sendAtOnce sends b if the socket takes it; who has stopped reading does
// without. It goes through the runtime, since the socket may be closed
// meanwhile.
func (w *wire) sendAtOnce(b []byte) {
	_ = w.raw.Write(func(fd uintptr) bool {
		_, _ = unix.Write(int(fd), b)
		return true
	})
}

// flush sends what goes at once of what is unsent, and reports whether that
// was all.
func (w *wire) flush() (all bool, err error) {
	n, err := writeNow(w.fd, w.unsent)
	if n == len(w.unsent) {
		w.unsent = nil // most parked connections never have any again
		return true, err
	}
	w.unsent = w.unsent[n:]
	return false, err
}

// Close implements net.Conn.
func (w *wire) Close() error {
	if w.parked {
		_, _ = w.flush() // the session's last words
	}
	return w.Conn.Close()
}

// session is the TLS on a parked connection, used like the socket below: never
// waited for.
type session struct {
	*tls.Conn
	wire *wire
	owed int // bytes of the last write that are encrypted, and not all sent
}

// recordBytes is how much is encrypted at once. It bounds what a slow client's
// connection holds besides the event that is everybody's.
const recordBytes = 16 << 10

// write writes as much of b as goes at once. What is encrypted has to be sent;
// it counts as written when it has been. So the call after a short one must
// begin with the bytes that were left, as all callers do.
func (s *session) write(b []byte) (n int, err error) {
	for {
		all, err := s.wire.flush()
		if err != nil || !all {
			return n, err
		}
		n += s.owed
		s.owed = 0
		if n == len(b) {
			return n, nil
		}
		part := b[n:min(n+recordBytes, len(b))]
		if _, err := s.Write(part); err != nil {
			return n, err
		}
		s.owed = len(part)
	}
}

// absorbLimit is how much of what a client sends beyond its request is read
// while it waits; the rest stays in the socket.
const absorbLimit = 4 << 10

// absorb reads what has come. It fails once the client has left. A session may
// hold bytes that the socket no longer shows, and a client may take his leave
// within the session without closing the socket.
func (s *session) absorb(rest []byte) ([]byte, error) {
	var buf [512]byte
	for len(rest) < absorbLimit {
		n, err := s.Read(buf[:])
		rest = append(rest, buf[:n]...)
		if errors.Is(err, errNotYet) {
			break
		}
		if err != nil {
			return rest, err
		}
	}
	// The other side may have asked for new keys, which is answered in Read.
	if _, err := s.wire.flush(); err != nil {
		return rest, err
	}
	return rest, nil
}

// secure returns c with TLS on it, as config says, or an error if c can't have
// it.
func secure(p *pollLoop, c net.Conn, config *tls.Config) (*conn, error) {
	w := newWire(c)
	if w == nil {
		return nil, fmt.Errorf("TLS needs a socket, and %v is none", c.RemoteAddr())
	}
	return newConn(p, tls.Server(w, config), w, nil), nil
}
