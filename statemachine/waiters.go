package statemachine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// waiters are the goroutines in WaitApplied.
type waiters struct {
	appliedTo   atomic.Uint64 // index of the last raft entry whose ApplyResult is published
	parkedCount atomic.Int64  // len(parked), so that notify needs no lock if nobody waits
	mu          sync.Mutex
	parked      map[*waiter]struct{}
	closed      bool
}

type waiter struct {
	at   uint64
	done chan struct{} // closed when the entry is applied or the machine is closed
}

// waiterLimit is the maximum number of waiters.
const waiterLimit = 1 << 16

var errWaiters = errors.New("too many wait for the replica")

// WaitApplied waits until the raft entry at raftIndex, or a snapshot that includes it, is
// visible to reads and its ApplyResult is published. It returns the context's error,
// ErrClosed, or an error if there are too many waiters.
func (m *Machine) WaitApplied(ctx context.Context, raftIndex uint64) error {
	if m.waiters.appliedTo.Load() >= raftIndex {
		return nil
	}
	w, err := m.waiters.park(raftIndex)
	if err != nil {
		return err
	}
	defer m.waiters.leave(w)
	if m.waiters.appliedTo.Load() >= raftIndex { // it was applied before w was parked
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.done:
	}
	if m.waiters.appliedTo.Load() >= raftIndex {
		return nil
	}
	return ErrClosed
}

func (ws *waiters) park(at uint64) (*waiter, error) {
	w := &waiter{at: at, done: make(chan struct{})}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		return nil, ErrClosed
	}
	if len(ws.parked) >= waiterLimit {
		return nil, errWaiters
	}
	if ws.parked == nil {
		ws.parked = make(map[*waiter]struct{})
	}
	ws.parked[w] = struct{}{}
	ws.parkedCount.Add(1)
	return w, nil
}

func (ws *waiters) leave(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.remove(w)
}

func (ws *waiters) remove(w *waiter) {
	if _, parked := ws.parked[w]; parked {
		delete(ws.parked, w)
		ws.parkedCount.Add(-1)
	}
}

// notify wakes those who wait for the entry at raftIndex or an earlier one.
func (ws *waiters) notify(raftIndex uint64) {
	ws.appliedTo.Store(raftIndex)
	if ws.parkedCount.Load() == 0 {
		return
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.parked {
		if w.at <= raftIndex {
			ws.remove(w)
			close(w.done)
		}
	}
}

// close wakes all waiters, and refuses new ones.
func (ws *waiters) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for w := range ws.parked {
		ws.remove(w)
		close(w.done)
	}
}
