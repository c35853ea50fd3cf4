package statemachine

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Pebble's memory table keeps every version of a node that is overwritten repeatedly, and a
// listing steps over all the old ones: after a minute of heavy writing, listing 1,000 files
// takes 9 ms instead of 0.2. Flushing the table leaves one version of each node. Pebble
// flushes when the table is full; a listing that took too many steps flushes it early.
const (
	stepsPerNode = 16     // more steps than this are too many,
	stepsAtLeast = 20_000 // unless there were fewer than this in all
)

// memtableFlusher starts early flushes of memory tables, one at a time.
type memtableFlusher struct {
	mu      sync.Mutex
	pending <-chan struct{} // closed when the latest flush is done
}

// afterListing starts a flush if a listing, whose iterator had these stats, took too many
// steps.
func (f *memtableFlusher) afterListing(db *pebble.DB, stats pebble.IteratorStats) {
	steps := stats.ForwardStepCount
	if n := steps[pebble.InternalIterCall]; n < stepsAtLeast || n < stepsPerNode*steps[pebble.InterfaceCall] {
		return
	}
	if !f.mu.TryLock() {
		return // another listing is deciding just now
	}
	defer f.mu.Unlock()
	select {
	case <-f.pending:
	default:
		if f.pending != nil {
			return
		}
	}
	f.pending, _ = db.AsyncFlush() // the next update will see the error
}
