package statemachine

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactionScheduler lets one store run as many compactions at a time as its options
// allow, but none before it is open. Opening replays the store's log into a new table,
// which may be the one that makes a compaction due. Pebble's own scheduler would start it
// at once, and Open would wait for it to finish.
//
// It has no goroutine. A compaction is started when the store asks for one, or when
// another one ends.
type compactionScheduler struct {
	db pebble.DBForCompaction

	mu       sync.Mutex
	granted  sync.Cond // signaled when granting becomes false
	open     bool
	closed   bool
	granting bool
	running  int
}

func newCompactionScheduler() *compactionScheduler {
	s := &compactionScheduler{}
	s.granted.L = &s.mu
	return s
}

// openPebble opens the store at path, with compactions held back until it is open.
func openPebble(path string, o *pebble.Options) (*pebble.DB, error) {
	s := newCompactionScheduler()
	o.Experimental.CompactionScheduler = s
	db, err := pebble.Open(path, o)
	if err == nil {
		s.opened()
	}
	return db, err
}

// opened allows compactions from now on.
func (s *compactionScheduler) opened() {
	s.mu.Lock()
	s.open = true
	s.mu.Unlock()
	s.grant() // those that were refused during Open
}

// Register implements pebble.CompactionScheduler.
func (s *compactionScheduler) Register(_ int, db pebble.DBForCompaction) { s.db = db }

// Unregister implements pebble.CompactionScheduler: it grants nothing once it has returned.
func (s *compactionScheduler) Unregister() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for s.granting {
		s.granted.Wait()
	}
}

// TrySchedule implements pebble.CompactionScheduler. A refused store marks itself as
// waiting before it releases its lock. The methods that grant calls take the same lock,
// so a waiting compaction isn't missed.
func (s *compactionScheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.free() {
		return false, nil
	}
	s.running++
	return true, s
}

func (s *compactionScheduler) free() bool {
	return s.open && !s.closed && s.running < s.db.GetAllowedWithoutPermission()
}

// grant starts the compactions that the store is waiting for, as many as are allowed.
func (s *compactionScheduler) grant() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.granting {
		s.granted.Wait()
	}
	for more := true; more && s.free(); {
		s.granting = true
		s.mu.Unlock() // lock order: the store's locks come before this one
		waiting, _ := s.db.GetWaitingCompaction()
		more = waiting && s.db.Schedule(s)
		s.mu.Lock()
		if more {
			s.running++
		}
		s.granting = false
		s.granted.Broadcast()
	}
}

// Done implements pebble.CompactionGrantHandle.
func (s *compactionScheduler) Done() {
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	s.grant()
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler. The number
// allowed never changes: see storeOptions.
func (s *compactionScheduler) UpdateGetAllowedWithoutPermission() {}

// Started, MeasureCPU and CumulativeStats implement pebble.CompactionGrantHandle.
func (s *compactionScheduler) Started()                                          {}
func (s *compactionScheduler) MeasureCPU(pebble.CompactionGoroutineKind)         {}
func (s *compactionScheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}
