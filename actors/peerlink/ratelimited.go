package peerlink

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// rateLimitedLog logs what strangers and faults of the network cause, but each kind of
// message only now and then: otherwise anyone who reaches the port could fill the disk.
type rateLimitedLog struct {
	log *slog.Logger

	mu   sync.Mutex
	kept map[string]logged // by kind, of which the code has a few
}

// logged is what is remembered about one kind.
type logged struct {
	at       time.Time // of the last message
	unlogged int       // messages since then
}

const logPause = 10 * time.Second

func newRateLimitedLog(log *slog.Logger) *rateLimitedLog {
	return &rateLimitedLog{log: log, kept: make(map[string]logged)}
}

// warn logs msg, unless a message of the same kind was logged less than logPause ago.
func (c *rateLimitedLog) warn(kind, msg string, args ...any) {
	c.mu.Lock()
	k, before := c.kept[kind]
	now := time.Now()
	if before && now.Sub(k.at) < logPause {
		k.unlogged++
		c.kept[kind] = k
		c.mu.Unlock()
		return
	}
	c.kept[kind] = logged{at: now}
	c.mu.Unlock()
	if k.unlogged > 0 {
		args = append(args, "unlogged", k.unlogged)
	}
	c.log.Warn(msg, args...)
}

// refused logs that a connection was refused.
func (c *rateLimitedLog) refused(conn *conn, h hello, err error) {
	args := []any{"from", conn.raw.RemoteAddr(), "reason", err}
	if h.from != 0 {
		args = append(args, "member", fmt.Sprintf("%x", h.from))
	}
	kind := "refused"
	switch refusal := Refusal(0); {
	case errors.Is(err, NotReady), errors.Is(err, io.EOF): // a cluster is starting; somebody checked whether the port is open
		c.log.Debug("refused a peer's connection", args...)
		return
	case errors.As(err, &refusal):
		kind = refusal.Error()
	}
	c.warn(kind, "refused a peer's connection", args...)
}

// ended logs that a connection ended that its owner didn't close.
func (c *rateLimitedLog) ended(conn *conn, err error) {
	if errors.Is(err, errIdle) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return
	}
	c.warn("ended", "a peer's connection ended", "from", conn.raw.RemoteAddr(), "member", fmt.Sprintf("%x", conn.member), "kind", conn.kind, "error", err)
}
