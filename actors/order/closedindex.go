package order

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"copse/actors/loop"
	"copse/actors/shard"
	"copse/actors/watch"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// openLimit bounds how many open ranges of a shard a ClosedIndex keeps. Further ones are
// merged with the last, which can make the closed index late but never wrong.
const openLimit = 1024

// ClosedIndex computes this member's closed index, where there are several shards: the
// largest index up to which everything is applied here, so that no event can still come
// at or below it. It also merges the events of all shards: those up to the closed index
// are published, each once, in the order of their indexes.
//
// It is not an actor: the replicas' apply workers call it, and wait only for its lock.
// Calls for one shard must come in the order of its log; those for different shards may
// interleave in any way. docs/SHARDS.md has the rules (13 to 15, 18).
type ClosedIndex struct {
	publish func(last tree.Index, events []tree.EncodedEvent) // under the lock; never waits
	limit   int                                               // bytes of events that wait; further ones are left to the windows on disk
	index   loop.Level
	closed  []loop.Level    // by slot; see In
	merged  []atomic.Uint64 // by slot: the end of the latest merged range

	mu      sync.Mutex
	counter tree.Index // the last index handed out, as far as the replica here knows
	shards  []unclosed // by slot
	weight  int        // of the events in shards
	lossy   tree.Index // events up to here have been left to the windows
}

// unclosed is how one shard holds the closed index back, and its events above that.
type unclosed struct {
	settled tree.Index
	open    []tree.Range // handed out and not settled here, by index
	events  []tree.EncodedEvent
}

// NewClosedIndex returns a ClosedIndex for so many slots, which keeps limit bytes of
// events. Begin has to be called before anything else.
func NewClosedIndex(slots, limit int, publish func(last tree.Index, events []tree.EncodedEvent)) *ClosedIndex {
	return &ClosedIndex{publish: publish, limit: limit, shards: make([]unclosed, slots), closed: make([]loop.Level, slots), merged: make([]atomic.Uint64, slots)}
}

// Begin sets where the replicas stand at the start. What was handed out to a shard and
// isn't settled counts as one range, so the index may be lower than it was before the
// member stopped.
func (c *ClosedIndex) Begin(counter tree.Index, handed, settled []tree.Index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counter = counter
	for slot := range c.shards {
		s := &c.shards[slot]
		s.settled = settled[slot]
		if handed[slot] > settled[slot] {
			s.open = append(s.open, tree.Range{First: settled[slot] + 1, Last: handed[slot]})
			c.merged[slot].Store(uint64(handed[slot]))
		}
	}
	c.index.Raise(uint64(c.compute()))
	c.lossy = slices.Max(settled) // what is above the index is in the windows only
}

// Index is the closed index. It never falls.
func (c *ClosedIndex) Index() tree.Index { return tree.Index(c.index.At()) }

// In is the slot's own closed index: everything up to it that was handed out to that shard is
// applied here. What other shards still have to apply doesn't hold it back, so it is
// at least Index. It never falls.
func (c *ClosedIndex) In(slot int) tree.Index { return tree.Index(c.closed[slot].At()) }

// mergedPause is the time between two looks of Tell.
const mergedPause = 5 * time.Millisecond

// Tell returns once it is known which of the slot's indexes are open: ranges that were merged,
// since a snapshot took the place of the order shard's log or there were too many, have been
// closed. That is rare, and short unless the shard has no quorum.
func (c *ClosedIndex) Tell(slot int, limit time.Duration) error {
	merged := c.merged[slot].Load() // nobody has been shown indexes that are merged later
	for end := time.Now().Add(limit); uint64(c.In(slot)) < merged; <-time.After(mergedPause) {
		if time.Now().After(end) {
			return shard.ErrTimeout
		}
	}
	return nil
}

// Wait returns nil once the closed index is at least at.
func (c *ClosedIndex) Wait(ctx context.Context, at tree.Index) error {
	return c.index.Wait(ctx, uint64(at))
}

// WaitIn returns nil once the slot's own closed index is at least at.
func (c *ClosedIndex) WaitIn(ctx context.Context, slot int, at tree.Index) error {
	return c.closed[slot].Wait(ctx, uint64(at))
}

// Order takes what the order shard's replica has applied.
func (c *ClosedIndex) Order(n *statemachine.ApplyResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range n.Grants {
		if c.shards[g.Slot].add(g.Range) {
			c.merged[g.Slot].Store(uint64(g.Range.Last))
		}
	}
	if n.Jumped {
		for slot := range c.shards {
			c.shards[slot].jump(n.Handed[slot], c.counter)
			c.merged[slot].Store(uint64(n.Handed[slot]))
		}
	}
	c.counter = max(c.counter, n.Last)
	c.advance()
}

// add notes a range that was handed out, and reports whether it was merged with another.
func (s *unclosed) add(r tree.Range) (merged bool) {
	switch n := len(s.open); {
	case r.Last <= s.settled: // the shard's replica is ahead of the order shard's
	case n >= openLimit:
		s.open[n-1].Last = r.Last
		return true
	default:
		s.open = append(s.open, r)
	}
	return false
}

// jump notes that ranges up to handed were handed out, all of them after counter, and
// nobody can tell which.
func (s *unclosed) jump(handed, counter tree.Index) {
	n := len(s.open)
	switch {
	case handed <= s.settled:
	case n == 0:
		s.open = append(s.open, tree.Range{First: counter + 1, Last: handed})
	case handed > s.open[n-1].Last:
		s.open = append(s.open[:0], tree.Range{First: s.open[0].First, Last: handed})
	}
}

// Data takes what the slot's replica has applied.
func (c *ClosedIndex) Data(slot int, n *statemachine.ApplyResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.shards[slot]
	s.settled = max(s.settled, n.Last)
	if n.Jumped {
		c.lossy = max(c.lossy, s.settled)
	}
	for i := range n.Events {
		c.weight += watch.Weight(&n.Events[i])
	}
	s.events = append(s.events, n.Events...)
	c.advance()
	if c.weight > c.limit {
		c.drop()
	}
}

// drop leaves all events above the closed index to the windows.
func (c *ClosedIndex) drop() {
	for slot := range c.shards {
		s := &c.shards[slot]
		if n := len(s.events); n > 0 {
			c.lossy = max(c.lossy, s.events[n-1].Index)
		}
		s.events = nil
	}
	c.weight = 0
}

// compute returns the closed index, and publishes those of the slots.
func (c *ClosedIndex) compute() tree.Index {
	at := c.counter
	for slot := range c.shards {
		s := &c.shards[slot]
		done := 0
		for done < len(s.open) && s.open[done].Last <= s.settled {
			done++
		}
		s.open = slices.Delete(s.open, 0, done)
		own := c.counter
		if len(s.open) > 0 {
			own = s.open[0].First - 1
			at = min(at, own)
		}
		c.closed[slot].Raise(max(uint64(own), uint64(s.settled)))
	}
	return at
}

// advance publishes the events that are closed now.
func (c *ClosedIndex) advance() {
	before := c.Index()
	at := c.compute()
	if at <= before {
		return
	}
	events := c.take(at)      // not nil: that says to look into the windows
	c.index.Raise(uint64(at)) // first, as the subscriber may read the windows up to here
	if c.lossy > before {
		events = nil
	}
	c.publish(at, events)
}

// take removes and returns the events up to at, in their order.
func (c *ClosedIndex) take(at tree.Index) []tree.EncodedEvent {
	events, from := []tree.EncodedEvent{}, 0
	for slot := range c.shards {
		s := &c.shards[slot]
		n, _ := slices.BinarySearchFunc(s.events, at+1, func(e tree.EncodedEvent, at tree.Index) int { return cmp.Compare(e.Index, at) })
		if n == 0 {
			continue
		}
		events = append(events, s.events[:n]...)
		s.events = slices.Delete(s.events, 0, n)
		from++
	}
	for i := range events {
		c.weight -= watch.Weight(&events[i])
	}
	if from > 1 {
		slices.SortFunc(events, func(a, b tree.EncodedEvent) int { return cmp.Compare(a.Index, b.Index) })
	}
	return events
}
