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

// complaints logs what strangers and faults on the network give reason for, but
// each kind of it now and then only: whoever reaches the port could fill the
// disk.
type complaints struct {
	log *slog.Logger

	mu   sync.Mutex
	kept map[string]complaint // by kind: few, all from the source
}

// complaint is what is kept of one kind.
type complaint struct {
	logged   time.Time
	unlogged int // since then
}

const complaintPause = 10 * time.Second

func newComplaints(log *slog.Logger) *complaints {
	return &complaints{log: log, kept: make(map[string]complaint)}
}

// warn logs msg, unless one of the same kind was logged less than
// complaintPause ago.
func (c *complaints) warn(kind, msg string, args ...any) {
	c.mu.Lock()
	k, before := c.kept[kind]
	now := time.Now()
	if before && now.Sub(k.logged) < complaintPause {
		k.unlogged++
		c.kept[kind] = k
		c.mu.Unlock()
		return
	}
	c.kept[kind] = complaint{logged: now}
	c.mu.Unlock()
	if k.unlogged > 0 {
		args = append(args, "unlogged", k.unlogged)
	}
	c.log.Warn(msg, args...)
}

// turnedAway tells of a connection that was refused.
func (c *complaints) turnedAway(conn *conn, h hello, err error) {
	args := []any{"from", conn.raw.RemoteAddr(), "reason", err}
	if h.from != 0 {
		args = append(args, "member", fmt.Sprintf("%x", h.from))
	}
	kind := "turned away"
	switch refusal := Refusal(0); {
	case errors.Is(err, NotReady), errors.Is(err, io.EOF): // a cluster starts; somebody looked whether the port is open
		c.log.Debug("turned a peer's connection away", args...)
		return
	case errors.As(err, &refusal):
		kind = refusal.Error()
	}
	c.warn(kind, "turned a peer's connection away", args...)
}

// ended tells of a connection that was not closed by its owner.
func (c *complaints) ended(conn *conn, err error) {
	if errors.Is(err, errIdle) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return
	}
	c.warn("ended", "a peer's connection ended", "from", conn.raw.RemoteAddr(), "member", fmt.Sprintf("%x", conn.member), "kind", conn.kind, "error", err)
}
