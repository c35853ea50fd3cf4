package statemachine

import (
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// handle counts who uses a store, so that it is closed by the last one to let
// go: Pebble panics when it is read after Close, and a long listing may outlive
// the moment when a snapshot replaces the store below it.
type handle struct {
	db     *pebble.DB
	users  atomic.Int64
	after  func() error // what to do once it is closed; set before the machine lets go
	closed chan struct{}
	err    error // of closing; valid once closed is
}

func newHandle(db *pebble.DB) *handle {
	h := &handle{db: db, closed: make(chan struct{})}
	h.users.Store(1) // the machine itself
	return h
}

func (h *handle) release() {
	if h.users.Add(-1) == 0 {
		h.err = h.db.Close()
		if h.after != nil {
			h.err = firstError(h.err, h.after())
		}
		close(h.closed)
	}
}

// ErrClosed is what reads get once the machine is closed.
var ErrClosed = errors.New("the shard is closed")

// acquire returns the open store; the caller must release it.
func (m *Machine) acquire() (*handle, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.store == nil {
		return nil, ErrClosed
	}
	m.store.users.Add(1)
	return m.store, nil
}

// pinned is one moment of the store, to read more than one thing from.
type pinned struct {
	h    *handle
	snap *pebble.Snapshot
}

func (m *Machine) pin() (*pinned, error) {
	h, err := m.acquire()
	if err != nil {
		return nil, err
	}
	return &pinned{h: h, snap: h.db.NewSnapshot()}, nil
}

func (p *pinned) unpin() error {
	defer p.h.release()
	return p.snap.Close()
}
