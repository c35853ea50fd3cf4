package peerlink

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"

	"copse/config/logging"
)

// rateLimitedLog logs what strangers and faults of the network cause.
type rateLimitedLog struct {
	*logging.Seldom
	log *slog.Logger
}

func newRateLimitedLog(log *slog.Logger) *rateLimitedLog {
	return &rateLimitedLog{logging.NewSeldom(log), log}
}

// refused logs that a connection was refused.
func (c *rateLimitedLog) refused(conn *conn, h hello, err error) {
	args := []any{"from", conn.raw.RemoteAddr(), "reason", err}
	if h.from != 0 {
		args = append(args, "member", fmt.Sprintf("%x", h.from))
	}
	kind := "refused: " + kindOf(err)
	switch refusal := Refusal(0); {
	case errors.Is(err, NotReady), errors.Is(err, io.EOF): // a cluster is starting; somebody checked whether the port is open
		c.log.Debug("refused a peer's connection", args...)
		return
	case errors.As(err, &refusal):
		kind = refusal.ofDialer()
		args[3] = strings.Replace(err.Error(), refusal.Error(), kind, 1)
	}
	c.Warn(kind, "refused a peer's connection", args...)
}

// kindOf is the kind of a failure, by the words of TLS: what it means for members isn't in them.
func kindOf(err error) string {
	if e := (explained{}); errors.As(err, &e) {
		err = e.cause
	}
	return logging.HandshakeKind(err.Error())
}

// untrusted logs that a member that was dialled and this one don't trust each other: they
// never will, unlike members that can't be reached for the moment.
func (c *rateLimitedLog) untrusted(member uint64, err error) {
	if errors.Is(err, errTLS) {
		c.Warn("dialled: "+kindOf(err), "a member can't be talked to", "member", fmt.Sprintf("%x", member), "reason", err)
	}
}

// ended logs that a connection ended that its owner didn't close.
func (c *rateLimitedLog) ended(conn *conn, err error) {
	if errors.Is(err, errIdle) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return
	}
	c.Warn("ended", "a peer's connection ended", "from", conn.raw.RemoteAddr(), "member", fmt.Sprintf("%x", conn.member), "kind", conn.kind, "error", err)
}
