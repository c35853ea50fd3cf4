package statemachine

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// A node that is overwritten again and again lies in Pebble's memory table as
// many times, and a listing steps over all of its old records: 9 ms for 1,000
// files after a minute of heavy writing, instead of 0.2. Writing the table out
// leaves one of each. Pebble does so when the table is full; a listing that had
// to step over too much has it done at once.
const (
	stepsPerNode = 16     // more than that is too much,
	stepsAtLeast = 20_000 // if it took any time
)

// tidier has memory tables written out, one at a time.
type tidier struct {
	mu      sync.Mutex
	pending <-chan struct{} // closed when the last one is written
}

// look is told what a listing's iterator, which is closed by now, has done.
func (t *tidier) look(db *pebble.DB, stats pebble.IteratorStats) {
	steps := stats.ForwardStepCount
	if n := steps[pebble.InternalIterCall]; n < stepsAtLeast || n < stepsPerNode*steps[pebble.InterfaceCall] {
		return
	}
	if !t.mu.TryLock() {
		return // somebody is at it
	}
	defer t.mu.Unlock()
	select {
	case <-t.pending:
	default:
		if t.pending != nil {
			return
		}
	}
	t.pending, _ = db.AsyncFlush() // a store that can't write tells the next update
}
