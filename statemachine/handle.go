package statemachine

import (
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// handle counts the users of a store, so that the last one closes it. Pebble panics on
// reads after Close, and a snapshot may replace the store while a long listing is still
// reading it.
type handle struct {
	db     *pebble.DB
	files  *storeFS
	end    ending
	users  atomic.Int64
	after  func() error // called once the store is closed; set before the machine releases it
	closed chan struct{}
	err    error // the error of closing; valid once closed is closed
}

func newHandle(db *pebble.DB, files *storeFS, end ending) *handle {
	h := &handle{db: db, files: files, end: end, closed: make(chan struct{})}
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

// ErrClosed is the error of reads after Close.
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

// pinned is a snapshot of the store, for reads that must be consistent with each other.
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
