package statemachine

import (
	"strings"
	"sync"

	"copse/statemachine/tree"
)

// marks know since which index listings have shown what they show now, at the latest: their
// mark. One is kept from when it is first asked for, and begins with the tree's index of then. It
// is raised before a change of what the listing shows is committed, and the tree's index is
// published after that. So
//
//   - whoever reads the index first, and then a mark that isn't above it, knows that the listing
//     has shown the same from the mark to the index, whatever is being committed;
//   - whoever then opens the store, and finds the mark unchanged, sees the listing as it was at
//     the mark.
//
// A mark that makes room for another begins anew when it is asked for again, and so do all after
// a change that replaces the tree, or removes a large directory. All methods may be called from
// any goroutine.
type marks struct {
	limit int

	mu   sync.RWMutex // guards the fields below
	of   map[listName]tree.Index
	size int
	// begun is the index up to which changes may have been committed: the tree's, or the one that
	// is published next.
	begun tree.Index
}

const (
	// markBytes bounds the marks of all shards together: those of 65,536 listings whose keys
	// have some 60 bytes.
	markBytes = 8 << 20
	// markCost is the approximate size of a mark besides its key, in bytes.
	markCost = 64
)

// newMarks returns the marks of one of so many shards.
func newMarks(shards int) *marks {
	return &marks{limit: markBytes / max(1, shards), of: make(map[listName]tree.Index)}
}

// get returns the mark of a listing.
func (s *marks) get(key string, deep bool) tree.Index {
	name := listName{key, deep}
	s.mu.RLock()
	at, known := s.of[name]
	s.mu.RUnlock()
	if known {
		return at
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, known := s.of[name]; known {
		return at
	}
	cost := markCost + len(key)
	for old := range s.of { // map order is random enough to choose victims
		if s.size+cost <= s.limit {
			break
		}
		delete(s.of, old)
		s.size -= markCost + len(old.key)
	}
	s.of[listName{strings.Clone(key), deep}] = s.begun
	s.size += cost
	return s.begun
}

// raise is called before changes up to the index at are committed.
func (s *marks) raise(changed map[string][]byte, at tree.Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = at
	if len(s.of) == 0 {
		return
	}
	for name := range listingsOf(changed) {
		if _, known := s.of[name]; known {
			s.of[name] = at
		}
	}
}

// restart is raise for changes of whatever there is.
func (s *marks) restart(at tree.Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.size = at, 0
	clear(s.of)
}
