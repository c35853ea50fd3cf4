package httpfront

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"copse/config/logging"
)

// choose waits for the first byte of a client that may speak TLS or not, for as long as for
// any request, and returns the connection that serves what it speaks. It takes nothing from
// the socket.
func (c *conn) choose() (*conn, error) {
	if err := c.reads.arm(0, c.Conn.SetReadDeadline); err != nil {
		return nil, err
	}
	first, err := peek(c.Conn)
	switch {
	case err != nil:
		return nil, err
	case first == recordOfHandshake:
		return secure(c.loop, c.Conn, c.maybe)
	}
	plain := newConn(c.loop, c.Conn, nil, nil)
	plain.reads = c.reads // the time has begun
	return plain, nil
}

// recordOfHandshake is the first byte of TLS.
const recordOfHandshake = 0x16

// peek returns the first byte that can be read from a socket, and leaves it there.
func peek(c net.Conn) (byte, error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("TLS needs a socket, and %v is none", c.RemoteAddr())
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err
	}
	var b [1]byte
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, failed = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if !errors.Is(failed, unix.EINTR) {
				return !errors.Is(failed, unix.EAGAIN)
			}
		}
	})
	if err = errors.Join(err, failed); err == nil && n == 0 {
		err = io.EOF
	}
	return b[0], err
}

// handshakeLimit bounds the time of a TLS handshake.
const handshakeLimit = 10 * time.Second

// shakeHands does the TLS handshake with a new client, and closes the connection if that
// fails. A session that was parked has done it.
func (s *Server) shakeHands(c *conn) error {
	session := c.Conn.(*tls.Conn)
	if session.ConnectionState().HandshakeComplete {
		return nil
	}
	limit := min(handshakeLimit, s.opts.ReadTimeout)
	err := c.wire.SetDeadline(time.Now().Add(limit))
	if err == nil {
		err = session.Handshake()
	}
	if err == nil {
		err = c.wire.SetDeadline(time.Time{})
	}
	if err == nil {
		c.wire.name = leafName(session.ConnectionState())
		return nil
	}
	if !s.conns.closing.Load() && !errors.Is(err, io.EOF) { // a client that just connects and leaves is a port check
		s.meter.handshakes.Add(1)
		s.refusals.Warn(logging.HandshakeKind(err.Error()), "refused a client's connection", "from", c.RemoteAddr(), "reason", err)
	}
	tellPlainClient(c.wire, err)
	_ = c.Close()
	return err
}

// certificateName is the common name in the certificate that the client has shown: "" if it
// has shown none, or speaks plain HTTP.
func (c *conn) certificateName() string {
	if c.wire == nil {
		return ""
	}
	return c.wire.name
}

// leafName is the common name of the client's own certificate. etcd takes that of the
// authority too, and so lets anybody be its namesake.
func leafName(s tls.ConnectionState) string {
	if len(s.VerifiedChains) == 0 {
		return ""
	}
	return s.PeerCertificates[0].Subject.CommonName
}

// tellPlainClient answers a client that speaks plain HTTP on a TLS port, in the words of
// Go's library.
func tellPlainClient(w *wire, err error) {
	var header tls.RecordHeaderError
	if !errors.As(err, &header) || header.Conn == nil {
		return
	}
	switch string(header.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		_, _ = io.WriteString(w, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		linger(w.Conn)
	}
}
