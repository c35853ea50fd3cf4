package login

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// turns lets one goroutine compute a hash at a time. Those who wait stand in lines, one for
// each asker, and the lines take turns: so whoever floods the server with wrong passwords
// delays itself, and others by one turn.
//
// A flood may come from more hosts than have turns while somebody has patience. So the
// lines of those who have sent fewer wrong passwords lately go first (blame), and where too
// many wait, those who have sent more are sent away first: a host that floods the server
// delays those that don't once, and not with each of its passwords.
//
// Whoever names a user that exists stands in two lines: that user's, in which a right
// password overtakes what else its host sends, and the host's, where those of unknown users
// stand. A wrong password is refused only when it is its turn in the host's line. Otherwise
// a host that fills its line could tell whose names exist by how soon they are refused.
type turns struct {
	patience time.Duration // that each has; then it gets ErrBusy
	limit    int           // of all that wait; beyond it the last of the longest line gets ErrBusy

	mu      sync.Mutex
	taken   bool
	waiting int     // those in at least one line
	lines   []*line // those that aren't empty; of those with the same blame the first is next
	blame   blame
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
	waiters []*waiter
}

// waiter is a request that waits.
type waiter struct {
	turn  chan error // with room for what it gets in each line: nil for a turn, or an error
	until time.Time  // when its patience ends

	// Under the lock of turns.
	lines int  // in which it stands
	due   bool // what it gets in its host's line is still to come, or was an error
}

const (
	turnPatience = 5 * time.Second
	turnLimit    = 1024
)

func newTurns() turns {
	return turns{patience: turnPatience, limit: turnLimit, ended: make(chan struct{}), blame: newBlame()}
}

// wrong notes that a's password was wrong.
func (t *turns) wrong(a asker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.blame.add(a)
}

// take waits for a turn. After a wrong password settle ends it, otherwise leave and pass.
func (t *turns) take(a asker) (*waiter, error) {
	w := &waiter{turn: make(chan error, 2), until: time.Now().Add(t.patience)}
	if err := t.join(a, w); err != nil {
		return nil, err
	}
	return w, t.wait(w)
}

// join gives w a turn at once, or puts it into its lines.
func (t *turns) join(a asker, w *waiter) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.isEnded():
		return ErrStopped
	case !t.taken:
		t.taken = true
		w.turn <- nil
		return nil
	}
	w.due = true
	t.enqueue(asker{from: a.from, hashes: a.hashes}, w)
	if a.user != "" {
		t.enqueue(a, w)
	}
	for t.waiting > t.limit {
		t.shorten()
	}
	return nil
}

// wait waits for a turn in one of the lines.
func (t *turns) wait(w *waiter) error {
	timer := time.NewTimer(time.Until(w.until))
	defer timer.Stop()
	select {
	case err := <-w.turn:
		return err
	case <-timer.C:
		t.leave(w)
	}
	select {
	case err := <-w.turn: // it has just come
		return err
	default:
		return ErrBusy
	}
}

// settle ends the turn of w, whose password was wrong, and waits until w may be told so.
func (t *turns) settle(w *waiter) error {
	t.mu.Lock()
	due := w.due // which doesn't change before the turn ends
	t.mu.Unlock()
	if t.pass(); !due {
		return nil
	}
	err := t.wait(w)
	if err == nil {
		t.pass()
	}
	return err
}

// pass ends a turn.
func (t *turns) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = len(t.lines) > 0
	if !t.taken {
		return
	}
	next, least := 0, blameMost+1
	for i, l := range t.lines {
		if b := t.blame.on(l.of); b < least {
			next, least = i, b
		}
	}
	l := t.lines[next]
	w := t.remove(next, 0)
	if len(l.waiters) > 0 {
		t.lines = append(slices.Delete(t.lines, next, next+1), l)
	}
	w.turn <- nil
	if l.of.user == "" {
		w.due = false
		t.takeOut(w)
	} else if w.lines == 0 {
		w.turn <- ErrBusy // which it has got in its host's line before
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
		w := t.lines[0].waiters[0]
		t.takeOut(w)
		w.turn <- ErrStopped
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

func (t *turns) enqueue(a asker, w *waiter) {
	if w.lines++; w.lines == 1 {
		t.waiting++
	}
	for _, l := range t.lines {
		if l.of == a {
			l.waiters = append(l.waiters, w)
			return
		}
	}
	t.lines = append(t.lines, &line{of: a, waiters: []*waiter{w}})
}

// remove takes a waiter out of a line, and the line out of the others if it was the last.
func (t *turns) remove(at, i int) *waiter {
	l := t.lines[at]
	w := l.waiters[i]
	if w.lines--; w.lines == 0 {
		t.waiting--
	}
	if l.waiters = slices.Delete(l.waiters, i, i+1); len(l.waiters) == 0 {
		t.lines = slices.Delete(t.lines, at, at+1)
	}
	return w
}

// shorten sends away the last of the longest line, among those with the most blame. Chance
// decides between equals: the newest has as good a claim as the oldest.
func (t *turns) shorten() {
	longest, most, equals := 0, -1, 0
	for i, l := range t.lines {
		b := t.blame.on(l.of)
		switch diff := cmp.Or(cmp.Compare(b, most), cmp.Compare(len(l.waiters), len(t.lines[longest].waiters))); {
		case diff > 0:
			longest, most, equals = i, b, 1
		case diff == 0:
			if equals++; rand.IntN(equals) == 0 {
				longest = i
			}
		}
	}
	if w := t.remove(longest, len(t.lines[longest].waiters)-1); w.lines == 0 {
		w.turn <- ErrBusy
	}
}

// leave takes w out of its lines.
func (t *turns) leave(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takeOut(w)
}

func (t *turns) takeOut(w *waiter) {
	for i := len(t.lines) - 1; i >= 0 && w.lines > 0; i-- {
		if at := slices.Index(t.lines[i].waiters, w); at >= 0 {
			t.remove(i, at)
		}
	}
}
