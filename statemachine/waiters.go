package statemachine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// waiters are those who wait for the replica to apply a raft entry.
type waiters struct {
	told   atomic.Uint64 // the last entry that is applied and told of
	many   atomic.Int64  // entries of parked, so that nobody waiting costs nothing
	mu     sync.Mutex
	parked map[*waiter]struct{}
	closed bool
}

type waiter struct {
	at   uint64
	done chan struct{} // closed once the entry is applied, or the machine closed
}

// waiterLimit is how many may wait at a time.
const waiterLimit = 1 << 16

var errWaiters = errors.New("too many wait for the replica")

// WaitApplied waits until reads see what the raft entry at raftIndex did, or a
// snapshot that includes it, and its ApplyResult is published. Its error is the context's,
// ErrClosed, or that too many wait.
func (m *Machine) WaitApplied(ctx context.Context, raftIndex uint64) error {
	if m.waiters.told.Load() >= raftIndex {
		return nil
	}
	w, err := m.waiters.park(raftIndex)
	if err != nil {
		return err
	}
	defer m.waiters.leave(w)
	if m.waiters.told.Load() >= raftIndex { // it was applied before w was there to be told
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.done:
	}
	if m.waiters.told.Load() >= raftIndex {
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
	ws.many.Add(1)
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
		ws.many.Add(-1)
	}
}

// applied tells those who wait for the entry or an earlier one.
func (ws *waiters) applied(raftIndex uint64) {
	ws.told.Store(raftIndex)
	if ws.many.Load() == 0 {
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

// close tells everyone, for good.
func (ws *waiters) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for w := range ws.parked {
		ws.remove(w)
		close(w.done)
	}
}
