package logging

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Seldom logs what strangers and faults of the network cause, but each kind of message only
// now and then: otherwise anyone who reaches a port could fill the disk.
type Seldom struct {
	log *slog.Logger

	mu   sync.Mutex
	kept map[string]logged // by kind, of which the code has a few
}

// logged is what is remembered about one kind.
type logged struct {
	at       time.Time // of the last message
	unlogged int       // messages since then
}

const seldomPause = 10 * time.Second

// NewSeldom returns a Seldom that logs to log.
func NewSeldom(log *slog.Logger) *Seldom {
	return &Seldom{log: log, kept: make(map[string]logged)}
}

// Warn logs msg, unless a message of the same kind was logged a moment ago. Then it only
// counts, and the next one says how many there were. The number of kinds must be bounded.
func (s *Seldom) Warn(kind, msg string, args ...any) {
	s.mu.Lock()
	k, before := s.kept[kind]
	now := time.Now()
	if before && now.Sub(k.at) < seldomPause {
		k.unlogged++
		s.kept[kind] = k
		s.mu.Unlock()
		return
	}
	s.kept[kind] = logged{at: now}
	s.mu.Unlock()
	if k.unlogged > 0 {
		args = append(args, "unlogged", k.unlogged)
	}
	s.log.Warn(msg, args...)
}

// HandshakeKind is the kind of a TLS handshake's failure, so that each of them is heard of
// whatever else there is a flood of.
func HandshakeKind(reason string) string {
	if _, alert, remote := strings.Cut(reason, "remote error: "); remote {
		return alert // TLS has a few
	}
	for _, kind := range []string{
		"has expired or is not yet valid", "unknown authority", "didn't provide a certificate", "is revoked", "is not allowed",
		"is valid for", "not valid for any names", "does not look like a TLS handshake", "timeout", "unsupported versions",
	} {
		if strings.Contains(reason, kind) {
			return kind
		}
	}
	return "other"
}
