package statemachine

import (
	"sync"
	"time"

	"copse/statemachine/tree"
)

// moments are the states of a store that clients read in pages: all pages of a listing are of the
// moment of the first, which is kept until nobody has asked for another page for a while. It
// holds on to all that has been replaced in the store since, so few are kept, and none for long.
type moments struct {
	mu     sync.Mutex
	kept   map[tree.Index]*moment
	sweep  *time.Timer // runs while any is kept
	closed bool
}

const (
	// maxMoments is how many are kept; one more ends the one that has been unused for longest.
	maxMoments = 64
	// momentIdle is how long one is kept after its last page, momentLife after its first.
	momentIdle = 30 * time.Second
	momentLife = 10 * time.Minute
)

// moment is the store with all up to an index and nothing above. Two of one index are alike.
type moment struct {
	at  tree.Index
	pin *pinned

	// Guarded by the lock of moments.
	users       int // pages being read, and one for being kept
	begun, used time.Time
}

// newMoment is a moment that is not kept yet, with one user.
func newMoment(pin *pinned, at tree.Index) *moment {
	now := time.Now()
	return &moment{at: at, pin: pin, users: 1, begun: now, used: now}
}

// use returns the moment of the index, if it is kept, for a page that is going to be read; nil if not.
func (s *moments) use(at tree.Index) *moment {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.kept[at]
	if m != nil {
		m.users++
		m.used = time.Now()
	}
	return m
}

// keep keeps a moment for the next page.
func (s *moments) keep(m *moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.kept[m.at] != nil {
		return
	}
	m.used = time.Now() // until now, however long the page has taken
	if len(s.kept) == maxMoments {
		oldest := m
		for _, other := range s.kept {
			if other.used.Before(oldest.used) {
				oldest = other
			}
		}
		s.drop(oldest)
	}
	if s.kept == nil {
		s.kept = make(map[tree.Index]*moment)
	}
	if s.kept[m.at] = m; s.sweep == nil {
		s.sweep = time.AfterFunc(momentIdle, s.dropUnused)
	}
	m.users++
}

// release ends the use of a moment by a page.
func (s *moments) release(m *moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unuse(m)
}

// unuse is release, under the lock.
func (s *moments) unuse(m *moment) {
	if m.users--; m.users == 0 {
		_ = m.pin.unpin()
	}
}

// drop keeps m no longer, under the lock.
func (s *moments) drop(m *moment) {
	if s.kept[m.at] == m {
		delete(s.kept, m.at)
		s.unuse(m)
	}
}

// dropUnused runs every now and then while any moment is kept.
func (s *moments) dropUnused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, m := range s.kept {
		if now.Sub(m.used) >= momentIdle || now.Sub(m.begun) >= momentLife {
			s.drop(m)
		}
	}
	if s.sweep = nil; len(s.kept) > 0 {
		s.sweep = time.AfterFunc(momentIdle/4, s.dropUnused)
	}
}

// dropAll drops what is kept: the store has been replaced.
func (s *moments) dropAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropEach()
}

// dropEach is dropAll, under the lock.
func (s *moments) dropEach() {
	for _, m := range s.kept {
		s.drop(m)
	}
}

// close drops what is kept, and keeps nothing more. A page that ends meanwhile finds it closed, or
// has its moment dropped.
func (s *moments) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.dropEach()
	if s.sweep != nil {
		s.sweep.Stop()
	}
}
