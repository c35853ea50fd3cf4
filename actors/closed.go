package actors

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// Limits of what a Closed keeps. Beyond them it forgets details: ranges are
// merged, events are left to the windows on disk, and who would wait is refused.
const (
	openRangesLimit    = 1024     // of one shard
	pendingEventsLimit = 16 << 10 // of all shards
	pendingBytesLimit  = 64 << 20
	closedWaitersLimit = 16 << 10
)

// Closed is the closed index of this member, where there are several data shards:
// all up to it is applied here, and nothing at or below it can still come. It also
// brings the events of all shards into the order of their indexes, and publishes
// them as they are closed. docs/SHARDS.md has the rules.
//
// The replicas' apply workers tell it what they have applied, and wait for nothing
// but a short lock.
type Closed struct {
	publish func(last tree.Index, notices []tree.Notice)
	index   atomic.Uint64 // only goes up

	mu      sync.Mutex
	counter tree.Index    // the last index handed out, as this member's order replica knows
	shards  []slotClosing // by slot

	events int        // that wait in all shards
	bytes  int64      // of them
	lost   tree.Index // events up to here may be missing among those that wait

	waiting []*closedWaiter
	soonest tree.Index // the least that anybody waits for
}

// slotClosing is what is known of one data shard.
type slotClosing struct {
	open    []tree.Range  // handed out and not settled, in order
	settled tree.Index    // as this member's replica knows
	events  []tree.Notice // settled and not closed, in order
}

type closedWaiter struct {
	at   tree.Index
	done chan struct{}
}

// NewClosed returns the closed index over so many data shards. publish is called
// in the order of the indexes, with a lock held, so it mustn't wait. Without
// notices (nil) what happened up to last has to be read from the shards' windows.
func NewClosed(slots int, publish func(last tree.Index, notices []tree.Notice)) *Closed {
	return &Closed{publish: publish, shards: make([]slotClosing, slots)}
}

// Begin says where the replicas stand at the start; handed and settled are by slot.
// To be called once, before anything else, and before the replicas start.
func (c *Closed) Begin(counter tree.Index, handed, settled []tree.Index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counter = counter
	for slot := range c.shards {
		s := &c.shards[slot]
		s.settled = settled[slot]
		if handed[slot] > s.settled {
			s.open = []tree.Range{{First: s.settled + 1, Last: handed[slot]}}
		}
		c.lost = max(c.lost, s.settled)
	}
	c.index.Store(uint64(c.reached()))
}

// Order takes over what the order shard's replica has applied.
func (c *Closed) Order(n *statemachine.News) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.Jumped {
		c.jump(n.Handed)
	}
	for i := range n.Grants {
		s := &c.shards[n.Grants[i].Slot]
		s.add(n.Grants[i].Range)
	}
	c.counter = max(c.counter, n.Last)
	c.move()
}

// add notes a range that was handed out; what comes after too many is merged.
func (s *slotClosing) add(r tree.Range) {
	switch {
	case r.Last <= s.settled:
	case len(s.open) < openRangesLimit:
		s.open = append(s.open, r)
	default:
		s.open[len(s.open)-1].Last = r.Last
	}
}

// jump makes one range of each shard's open ones, after a snapshot that tells none:
// those that were known, and any above the counter that was.
func (c *Closed) jump(handed []tree.Index) {
	for slot, last := range handed {
		s := &c.shards[slot]
		first := c.counter + 1
		if len(s.open) > 0 {
			first = s.open[0].First
		}
		s.open = nil
		s.add(tree.Range{First: first, Last: last})
	}
}

// Data takes over what the replica of the slot's shard has applied.
func (c *Closed) Data(slot int, n *statemachine.News) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.shards[slot]
	s.settled = max(s.settled, n.Last)
	for len(s.open) > 0 && s.open[0].Last <= s.settled {
		s.open = s.open[1:]
	}
	if n.Jumped {
		c.lost = max(c.lost, s.settled)
	}
	c.keep(s, n.Notices)
	c.move()
}

// keep has the events wait until they are closed, if there is room.
func (c *Closed) keep(s *slotClosing, events []tree.Notice) {
	if len(events) == 0 || events[len(events)-1].Index <= c.lost {
		return // it will be read from the windows
	}
	s.events = append(s.events, events...)
	c.events += len(events)
	for i := range events {
		c.bytes += int64(weight(&events[i]))
	}
	if c.events > pendingEventsLimit || c.bytes > pendingBytesLimit {
		c.forget()
	}
}

// forget leaves all events that wait to the windows on disk.
func (c *Closed) forget() {
	for slot := range c.shards {
		s := &c.shards[slot]
		s.events = nil
		c.lost = max(c.lost, s.settled)
	}
	c.events, c.bytes = 0, 0
}

// reached is the index below the first open range.
func (c *Closed) reached() tree.Index {
	at := c.counter
	for slot := range c.shards {
		if open := c.shards[slot].open; len(open) > 0 {
			at = min(at, open[0].First-1)
		}
	}
	return at
}

// move brings the closed index up to where it has come, and publishes what that
// has closed. The index is known first: whoever reads the windows because of what
// was published finds all of it below the index.
func (c *Closed) move() {
	before, at := c.Index(), c.reached()
	if at <= before {
		return
	}
	events := c.take(at)
	if before < c.lost {
		events = nil
	}
	c.index.Store(uint64(at))
	c.publish(at, events)
	c.wake(at)
}

// take takes out the events up to at, in the order of their indexes; never nil.
func (c *Closed) take(at tree.Index) []tree.Notice {
	events, from := []tree.Notice{}, 0
	for slot := range c.shards {
		s := &c.shards[slot]
		n := 0
		for n < len(s.events) && s.events[n].Index <= at {
			c.bytes -= int64(weight(&s.events[n]))
			n++
		}
		if n == 0 {
			continue
		}
		events = append(events, s.events[:n]...)
		clear(s.events[:n]) // they are the subscriber's now
		if s.events = s.events[n:]; len(s.events) == 0 {
			s.events = nil
		}
		from++
	}
	c.events -= len(events)
	if from > 1 {
		slices.SortFunc(events, func(a, b tree.Notice) int { return cmp.Compare(a.Index, b.Index) })
	}
	return events
}

// Index is the closed index.
func (c *Closed) Index() tree.Index { return tree.Index(c.index.Load()) }

// Counter is the last index handed out, as far as this member knows.
func (c *Closed) Counter() tree.Index {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counter
}

var errTooManyWait = errors.New("too many wait for the closed index")

// Wait returns once the closed index is at least at, or with ctx's error.
func (c *Closed) Wait(ctx context.Context, at tree.Index) error {
	if c.Index() >= at {
		return nil
	}
	w, err := c.enter(at)
	if err != nil || w == nil {
		return err
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		c.leave(w)
		return ctx.Err()
	}
}

// enter registers a waiter; nil if there is nothing to wait for any more.
func (c *Closed) enter(at tree.Index) (*closedWaiter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Index() >= at {
		return nil, nil
	}
	if len(c.waiting) >= closedWaitersLimit {
		return nil, errTooManyWait
	}
	if len(c.waiting) == 0 || at < c.soonest {
		c.soonest = at
	}
	w := &closedWaiter{at: at, done: make(chan struct{})}
	c.waiting = append(c.waiting, w)
	return w, nil
}

func (c *Closed) leave(w *closedWaiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = slices.DeleteFunc(c.waiting, func(other *closedWaiter) bool { return other == w })
}

// wake lets those go on who wait for at or less.
func (c *Closed) wake(at tree.Index) {
	if len(c.waiting) == 0 || at < c.soonest {
		return
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(w *closedWaiter) bool {
		if w.at <= at {
			close(w.done)
		}
		return w.at <= at
	})
	for i, w := range c.waiting {
		if i == 0 || w.at < c.soonest {
			c.soonest = w.at
		}
	}
}
