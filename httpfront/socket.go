package httpfront

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// socket is a connection outside fasthttp. It is used by one goroutine at a time, without
// locks, and never blocks.
type socket struct {
	net.Conn
	fd      int
	session *session // nil: no TLS
	rest    []byte   // read from the socket, not yet parsed
	polled  bool     // it is in the poll loop's epoll set
}

// newSocket takes over c, with the wire below it if it is a TLS session. It reads nothing, and
// fails if c is closed.
func newSocket(c net.Conn, w *wire, rest []byte) (*socket, error) {
	s := &socket{Conn: c, fd: -1, rest: rest}
	if w != nil {
		w.parked = true
		s.fd = w.fd
		s.session = &session{Conn: c.(*tls.Conn), wire: w}
		return s, nil
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

// write writes as much of b as it can without blocking. Writing less is no error; the next
// write must begin with the rest.
func (s *socket) write(b []byte) (n int, err error) {
	if s.session != nil {
		return s.session.write(b)
	}
	return writeNow(s.fd, b)
}

// read reads what has come, without blocking. It returns nothing if there is nothing, and io.EOF
// at the end.
func (s *socket) read(b []byte) (n int, err error) {
	if s.session == nil {
		return readNow(s.fd, b)
	}
	for n < len(b) {
		m, err := s.session.Read(b[n:])
		n += m
		if errors.Is(err, errNotYet) {
			break
		}
		if err != nil {
			return n, err
		}
	}
	_, err = s.session.wire.flush() // the client may have requested new keys, which Read answers
	return n, err
}

// readNow reads what has come, as read does.
func readNow(fd int, b []byte) (n int, err error) {
	for {
		n, err := readCall(fd, b)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return 0, nil
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// absorb reads what has arrived on a TLS session, and fails if the client has closed it.
// For a plain socket the poller reports that.
func (s *socket) absorb() (err error) {
	if s.session != nil {
		s.rest, err = s.session.absorb(s.rest)
	}
	return err
}

// conn returns the connection as a new conn, after a watch.
func (s *socket) conn(p *pollLoop) *conn {
	w := (*wire)(nil)
	if s.session != nil {
		w = s.session.wire
	}
	c := newConn(p, s.Conn, w, nil)
	c.sock, c.served = s, true
	return c
}

func writeNow(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		m, err := writeCall(fd, b[n:])
		switch {
		case err == nil:
			n += m
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return n, nil
		default:
			return n, err
		}
	}
	return n, nil
}
