package statemachine

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions lets one store compact as much at a time as it may, but not before it
// is open. What the last run left in the store's log becomes a table at the start; with
// that there may be enough tables for a compaction, and Pebble's own scheduler would
// begin it at once, and Open would wait for it.
//
// It has no goroutine: the end of one compaction begins the next, and so does the store
// itself where it asks.
type compactions struct {
	db pebble.DBForCompaction

	mu       sync.Mutex
	granted  sync.Cond // granting is over
	open     bool
	closed   bool
	granting bool
	running  int
}

func newCompactions() *compactions {
	s := &compactions{}
	s.granted.L = &s.mu
	return s
}

// openPebble opens the store at path.
func openPebble(path string, o *pebble.Options) (*pebble.DB, error) {
	s := newCompactions()
	o.Experimental.CompactionScheduler = s
	db, err := pebble.Open(path, o)
	if err == nil {
		s.begin()
	}
	return db, err
}

// begin says that the store is open.
func (s *compactions) begin() {
	s.mu.Lock()
	s.open = true
	s.mu.Unlock()
	s.grant() // what Open has asked for in vain
}

// Register implements pebble.CompactionScheduler.
func (s *compactions) Register(_ int, db pebble.DBForCompaction) { s.db = db }

// Unregister implements pebble.CompactionScheduler: nothing is granted any more when it
// returns.
func (s *compactions) Unregister() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for s.granting {
		s.granted.Wait()
	}
}

// TrySchedule implements pebble.CompactionScheduler. Where it says no, the store
// remembers that it waits, under a lock that it holds meanwhile and takes in grant too:
// so it isn't forgotten.
func (s *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.free() {
		return false, nil
	}
	s.running++
	return true, s
}

func (s *compactions) free() bool {
	return s.open && !s.closed && s.running < s.db.GetAllowedWithoutPermission()
}

// grant lets the store begin a compaction if it waits to.
func (s *compactions) grant() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.granting {
		s.granted.Wait()
	}
	for more := true; more && s.free(); {
		s.granting = true
		s.mu.Unlock() // the store's locks come before this one
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
func (s *compactions) Done() {
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	s.grant()
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler. How much
// is allowed doesn't change: see storeOptions.
func (s *compactions) UpdateGetAllowedWithoutPermission() {}

// Started, MeasureCPU and CumulativeStats implement pebble.CompactionGrantHandle.
func (s *compactions) Started()                                          {}
func (s *compactions) MeasureCPU(pebble.CompactionGoroutineKind)         {}
func (s *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}
