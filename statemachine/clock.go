package statemachine

import (
	"sync/atomic"
	"time"

	"copse/statemachine/tree"
)

// ClockRuns is how long a shard's time runs on after a batch. With no batch for longer it stands
// still, since then nothing can be written either.
const ClockRuns = 2 * time.Second

// Heard is the shard's time in the latest batch that a replica has applied.
type Heard struct {
	tree.Clock
	Epoch uint64    // of the batch; 0: it was applied before this start, or is from a snapshot
	At    time.Time // when it was applied here
}

// Passed returns the shard's time at now, or somewhat less.
func (h Heard) Passed(now time.Time) int64 {
	return h.Time + int64(min(max(0, now.Sub(h.At)), ClockRuns))
}

type publishedClock struct{ heard atomic.Pointer[Heard] }

func (c *publishedClock) set(now tree.Clock, epoch uint64) {
	c.heard.Store(&Heard{Clock: now, Epoch: epoch, At: time.Now()})
}

// Clock returns the shard's time as this replica last heard it. Any goroutine may call it.
func (m *Machine) Clock() Heard { return *m.published.clock.heard.Load() }

// dayTime is the time of day that times to live are shown by; own is this member's.
func (m *Machine) dayTime(own func() int64) int64 {
	h := m.Clock()
	if !h.Known() {
		return own()
	}
	return tree.Clock{Time: h.Passed(time.Now()), Shift: h.Shift}.Now()
}
