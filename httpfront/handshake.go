package httpfront

import (
	"crypto/tls"
	"errors"
	"io"
	"time"
)

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
		return nil
	}
	if !s.conns.active.closing.Load() && !errors.Is(err, io.EOF) { // a client that just connects and leaves is a port check
		s.meter.handshakes.Add(1)
		s.opts.Log.Debug("TLS handshake failed", "err", err)
	}
	tellPlainClient(c.wire, err)
	_ = c.Close()
	return err
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
	}
}
