package login

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// turns lets one goroutine compute a hash at a time. Those who wait stand in lines, one for
// each asker, and the lines have turns by turns: so whoever floods the server with wrong
// passwords delays itself, and others by one turn.
type turns struct {
	patience time.Duration // that each has; then it gets ErrBusy
	limit    int           // of all that wait; beyond it the last of the longest line gets ErrBusy

	mu      sync.Mutex
	taken   bool
	waiting int
	lines   []*line       // those that aren't empty; the first is next
	ended   chan struct{} // closed by stop
}

// asker is whose requests share a line.
type asker struct {
	user   string // "": none that exists
	from   netip.Addr
	hashes bool // a new password, rather than checking one
}

type line struct {
	of      asker
	waiters []chan error // with room for the one error, or nil, that each gets
}

const (
	turnPatience = 5 * time.Second
	turnLimit    = 1024
)

func newTurns() turns {
	return turns{patience: turnPatience, limit: turnLimit, ended: make(chan struct{})}
}

// take waits for a turn, which pass ends.
func (t *turns) take(a asker) error {
	t.mu.Lock()
	if t.isEnded() {
		t.mu.Unlock()
		return ErrStopped
	}
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return nil
	}
	w := make(chan error, 1)
	t.enqueue(a, w)
	if t.waiting > t.limit {
		t.shorten()
	}
	t.mu.Unlock()

	timer := time.NewTimer(t.patience)
	defer timer.Stop()
	select {
	case err := <-w:
		return err
	case <-timer.C:
		if t.leave(w) {
			return ErrBusy
		}
		return <-w // it has just been told
	}
}

// pass ends a turn.
func (t *turns) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = len(t.lines) > 0
	if !t.taken {
		return
	}
	l := t.lines[0]
	t.remove(0, 0) <- nil
	if len(l.waiters) > 0 {
		t.lines = append(t.lines[1:], l)
	}
}

// rest is what a turn ends with after a wrong password: as much time without hashing.
func (t *turns) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ended:
	}
}

// stop sends everybody away who waits, and who comes later.
func (t *turns) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isEnded() {
		return
	}
	close(t.ended)
	for len(t.lines) > 0 {
		t.remove(0, 0) <- ErrStopped
	}
}

func (t *turns) isEnded() bool {
	select {
	case <-t.ended:
		return true
	default:
		return false
	}
}

func (t *turns) enqueue(a asker, w chan error) {
	t.waiting++
	for _, l := range t.lines {
		if l.of == a {
			l.waiters = append(l.waiters, w)
			return
		}
	}
	t.lines = append(t.lines, &line{of: a, waiters: []chan error{w}})
}

// remove takes a waiter out of a line, and the line out of the others if it was the last.
func (t *turns) remove(at, waiter int) chan error {
	t.waiting--
	l := t.lines[at]
	w := l.waiters[waiter]
	if l.waiters = slices.Delete(l.waiters, waiter, waiter+1); len(l.waiters) == 0 {
		t.lines = slices.Delete(t.lines, at, at+1)
	}
	return w
}

// shorten sends away the last of the longest line.
func (t *turns) shorten() {
	longest := 0
	for i, l := range t.lines {
		if len(l.waiters) > len(t.lines[longest].waiters) {
			longest = i
		}
	}
	t.remove(longest, len(t.lines[longest].waiters)-1) <- ErrBusy
}

// leave takes w out of its line, or returns false if it has left that already.
func (t *turns) leave(w chan error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, l := range t.lines {
		if at := slices.Index(l.waiters, w); at >= 0 {
			t.remove(i, at)
			return true
		}
	}
	return false
}
