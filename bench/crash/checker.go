package crash

import (
	"fmt"
	"sort"

	"copse/bench/v2api"
	"copse/bench/verdict"
)

// Check compares a history with what v2 promises, and returns the broken promises.
func Check(h *History) []verdict.Violation {
	c := &checker{
		h:       h,
		end:     h.end(),
		union:   map[uint64]*v2api.Event{},
		acked:   map[uint64]*Op{},
		refresh: map[uint64]bool{},
	}
	c.lives()
	c.glances()
	c.acks()
	c.watched()
	c.claims()
	for i := range h.Watchers {
		c.watcher(&h.Watchers[i])
	}
	c.replay()
	c.gaps()
	return c.book.Found
}

// checker is one check at work.
type checker struct {
	h    *History
	end  uint64
	book verdict.Book

	union   map[uint64]*v2api.Event // every change that is known, by index
	acked   map[uint64]*Op          // the acknowledged ones
	refresh map[uint64]bool         // those that watchers must not see

	lastAcked []uint64 // the last acknowledged index of each epoch, before the kill that ended it
}

func (c *checker) complain(kind verdict.Kind, detail string) { c.book.Complain(kind, "%s", detail) }

// lives finds what surely happened before each kill.
func (c *checker) lives() {
	c.lastAcked = make([]uint64, len(c.h.Fences)+1)
	for i := range c.h.Ops {
		if op := &c.h.Ops[i]; op.Outcome == v2api.Acked && op.Epoch < len(c.lastAcked) {
			c.lastAcked[op.Epoch] = max(c.lastAcked[op.Epoch], op.Event.Index())
		}
	}
}

// stood says whether the server may have been away between two indexes: then times to live
// stood still. They don't in the load of one epoch, which is too short for an outage.
func (c *checker) stood(from, to uint64) bool {
	for epoch, last := range c.lastAcked {
		begun := uint64(0)
		if epoch > 0 {
			begun = c.h.Fences[epoch-1]
		}
		if from > begun && to <= last {
			return false
		}
	}
	return true
}

// glances: an answer to a request that was sent after index x was seen must
// not show an index below x, if x was shown for the same part of the tree. A
// restart in between changes nothing about it.
func (c *checker) glances() {
	for _, g := range c.h.Glances {
		if g.Index < g.Floor {
			c.complain(verdict.IndexBack, fmt.Sprintf("%s shows %d, after %d was seen", g.What, g.Index, g.Floor))
		}
	}
}

// acks: a write that was sent after index x was seen gets an index above x,
// and no two writes get the same.
func (c *checker) acks() {
	for i := range c.h.Ops {
		op := &c.h.Ops[i]
		if op.Outcome != v2api.Acked {
			continue
		}
		at := op.Event.Index()
		if at <= op.Floor {
			c.complain(verdict.IndexBack, fmt.Sprintf("%v, not above %d", op, op.Floor))
		}
		c.answer(op)
		if other := c.acked[at]; other != nil {
			c.complain(verdict.IndexReused, fmt.Sprintf("%v and %v", other, op))
			continue
		}
		c.acked[at] = op
		c.union[at] = op.Event
		c.refresh[at] = op.Refresh
	}
}

// answer: it must be about the key that was requested.
func (c *checker) answer(op *Op) {
	ev := op.Event
	switch {
	case op.Method == "POST" && !v2api.Within(ev.Node.Key, op.Key), op.Method != "POST" && ev.Node.Key != op.Key:
		c.complain(verdict.EventDiffers, fmt.Sprintf("%v is answered with %s", op, ev.Node.Key))
	case !op.Refresh && ev.Node.Value != op.Value:
		c.complain(verdict.EventDiffers, fmt.Sprintf("%v is answered with %q", op, ev.Node.Value))
	case op.PrevIndex != 0 && (ev.Prev == nil || ev.Prev.Modified != op.PrevIndex):
		c.complain(verdict.PrevDiffers, fmt.Sprintf("%v compared with %d, and has the prevNode %+v", op, op.PrevIndex, ev.Prev))
	}
}

// watched adds what the watchers saw to the union; all who saw the same index
// must have seen the same change.
func (c *checker) watched() {
	for _, w := range c.h.Watchers {
		for _, s := range w.Seen {
			at := s.Event.Index()
			known := c.union[at]
			switch {
			case known == nil:
				c.union[at] = s.Event
			case c.refresh[at]:
				c.complain(verdict.EventAlien, fmt.Sprintf("%s saw %s of %s at %d, which is a refresh", w.Name, s.Event.Action, s.Event.Node.Key, at))
			case known.Node.Key != s.Event.Node.Key || known.Action != s.Event.Action || known.Node.Value != s.Event.Node.Value:
				c.complain(verdict.IndexReused, fmt.Sprintf("%d is %s of %s (%q), and for %s it is %s of %s (%q)", at,
					known.Action, known.Node.Key, known.Node.Value, w.Name, s.Event.Action, s.Event.Node.Key, s.Event.Node.Value))
			default:
				c.same(w.Name, known, s.Event)
			}
			if s.Event.Action == "expire" && s.Event.Prev != nil && s.Event.Prev.Expiration != nil && s.At.Before(*s.Event.Prev.Expiration) {
				c.complain(verdict.EarlyExpiry, fmt.Sprintf("%s saw %s expire at %v, which was due at %v", w.Name, s.Event.Node.Key, s.At, s.Event.Prev.Expiration))
			}
		}
	}
}

// same compares the parts of an event that a restart must not change either.
func (c *checker) same(who string, a, b *v2api.Event) {
	plain := newModel(nil, func(_, _ uint64) bool { return false })
	diff := plain.differ(a.Node, b.Node, a.Index())
	if diff == "" && (a.Prev == nil) != (b.Prev == nil) {
		diff = "prevNode is in one of them only"
	}
	if diff == "" && a.Prev != nil {
		diff = plain.differ(*a.Prev, *b.Prev, a.Index())
	}
	if diff != "" {
		c.complain(verdict.EventDiffers, fmt.Sprintf("%s of %s at %d for %s: %s", a.Action, a.Node.Key, a.Index(), who, diff))
	}
}

// watcher: its events are those of the union in its scope, each once, in order.
func (c *checker) watcher(w *WatchLog) {
	saw := map[uint64]bool{}
	last := uint64(0)
	for _, s := range w.Seen {
		at := s.Event.Index()
		switch {
		case saw[at]:
			c.complain(verdict.EventTwice, fmt.Sprintf("%s saw %d twice", w.Name, at))
		case at < last:
			c.complain(verdict.EventOrder, fmt.Sprintf("%s saw %d after %d", w.Name, at, last))
		case at < w.From:
			c.complain(verdict.EventOrder, fmt.Sprintf("%s saw %d and had asked for %d and up", w.Name, at, w.From))
		case !v2api.Within(s.Event.Node.Key, w.Scope):
			c.complain(verdict.EventAlien, fmt.Sprintf("%s saw %s, and watches %s", w.Name, s.Event.Node.Key, w.Scope))
		}
		saw[at] = true
		last = max(last, at)
	}
	for _, at := range c.indexes() {
		ev := c.union[at]
		if at < w.From || at > c.end || saw[at] || c.refresh[at] || !v2api.Within(ev.Node.Key, w.Scope) {
			continue
		}
		c.complain(verdict.EventMissing, fmt.Sprintf("%s did not see %s of %s at %d", w.Name, ev.Action, ev.Node.Key, at))
	}
}

// indexes of the union, ascending.
func (c *checker) indexes() []uint64 {
	sorted := make([]uint64, 0, len(c.union))
	for at := range c.union {
		sorted = append(sorted, at)
	}
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	return sorted
}

// gaps: indexes of one shard are dense. An index that nobody saw can only be a refresh of
// unknown outcome, or the one change that v2 allows a member at its start.
func (c *checker) gaps() {
	if c.end == 0 || c.h.Shards > 1 {
		return
	}
	known := 0
	for at := range c.union {
		if at > c.h.Start && at <= c.end {
			known++
		}
	}
	allowed := c.h.Restarts
	for i := range c.h.Ops {
		if c.h.Ops[i].Refresh && c.h.Ops[i].Outcome == v2api.Unknown {
			allowed++
		}
	}
	if unseen := int(c.end-c.h.Start) - known; unseen > allowed {
		c.complain(verdict.IndexGap, fmt.Sprintf("%d indexes of %d..%d belong to no known change; %d may", unseen, c.h.Start+1, c.end, allowed))
	}
}
