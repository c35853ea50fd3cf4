package httpfront

import (
	"crypto/tls"
	"errors"
	"io"
	"time"
)

// handshakeLimit is how long a client may take to agree on TLS.
const handshakeLimit = 10 * time.Second

// shakeHands agrees with a new client on TLS, and closes the connection if it
// can't. A session that was parked has it behind it.
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
	if !s.conns.active.closing.Load() && !errors.Is(err, io.EOF) { // who leaves without a word has just looked
		s.meter.handshakes.Add(1)
		s.opts.Log.Debug("no agreement on TLS", "err", err)
	}
	tellPlainClient(c.wire, err)
	_ = c.Close()
	return err
}

// tellPlainClient answers who speaks HTTP where TLS is spoken, in the words of
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
