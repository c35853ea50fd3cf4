package httpfront

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"copse/statemachine/inflight"
)

// wire is the socket below a TLS session. Under fasthttp it blocks, as any net.Conn does.
// Parked it never blocks: what the session sends is kept in unsent until the socket takes
// it, and if nothing has arrived, a read fails with errNotYet, which the session treats as
// a temporary error.
type wire struct {
	net.Conn // the socket
	raw      syscall.RawConn
	fd       int
	name     string // of the client's certificate; fixed after the handshake

	// Owned by the connection's goroutine, or by the poll loop.
	parked bool
	unsent []byte
	budget *inflight.Budget
	held   atomic.Int64 // of the budget, for unsent

	closing atomic.Bool // the last alert is being sent, and mustn't block
}

// newWire returns nil if c isn't a socket.
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

// notYet is the error of a read from a parked wire when nothing has arrived.
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
	n, err := readNow(w.fd, b)
	if n == 0 && err == nil && len(b) > 0 {
		err = errNotYet
	}
	return n, err
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
	case len(w.unsent) > 0: // from when it was parked
		b = append(w.unsent, b...)
		left := len(w.unsent)
		w.unsent = nil
		w.hold(0)
		n, err := w.Conn.Write(b)
		return max(0, n-left), err
	}
	return w.Conn.Write(b)
}

// sendAtOnce sends b if the socket takes it without blocking, and drops it otherwise. It
// goes through the runtime, as the socket may be closed meanwhile.
func (w *wire) sendAtOnce(b []byte) {
	_ = w.raw.Write(func(fd uintptr) bool {
		_, _ = unix.Write(int(fd), b)
		return true
	})
}

// flush sends as much of unsent as it can without blocking, and reports whether that was
// all.
func (w *wire) flush() (all bool, err error) {
	n, err := writeNow(w.fd, w.unsent)
	if n == len(w.unsent) {
		w.unsent = nil // few parked connections need it again
		w.hold(0)
		return true, err
	}
	w.unsent = w.unsent[n:]
	w.hold(recordBytes)
	return false, err
}

// hold counts what a client's socket doesn't take.
func (w *wire) hold(bytes int64) {
	w.budget.Change(inflight.TLS, bytes-w.held.Swap(bytes))
}

// Close implements net.Conn.
func (w *wire) Close() error {
	if w.parked {
		_, _ = w.flush() // what the session sends at its end
	}
	w.hold(0)
	return w.Conn.Close()
}

// session is the TLS of a parked connection. Like the socket below it never blocks.
type session struct {
	*tls.Conn
	wire *wire
	owed int // bytes of the last write that are encrypted and not completely sent
}

// recordBytes is how much is encrypted at once. It bounds what a slow client's connection
// holds beside the shared event.
const recordBytes = 16 << 10

// write writes as much of b as it can without blocking. Encrypted bytes must be sent, and
// count as written once they are. So the call after a short write must begin with the bytes
// that were left, as all callers do.
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

// absorbLimit bounds what is read beyond the request of a waiting client; the rest stays in
// the socket.
const absorbLimit = 4 << 10

// absorb reads what has arrived. It fails once the client has left. A session may hold
// bytes that are no longer in the socket, and a client may close the session without
// closing the socket.
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
	// The client may have requested new keys, which Read answers.
	if _, err := s.wire.flush(); err != nil {
		return rest, err
	}
	return rest, nil
}

// secure returns c with TLS by config, or an error if c isn't a socket.
func secure(p *pollLoop, c net.Conn, config *tls.Config) (*conn, error) {
	w := newWire(c)
	if w == nil {
		return nil, fmt.Errorf("TLS needs a socket, and %v is none", c.RemoteAddr())
	}
	w.budget = p.options.heads.inFlight
	return newConn(p, tls.Server(w, config), w, nil), nil
}
