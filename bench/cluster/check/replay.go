package check

import (
	"time"

	"copse/bench/cluster/history"
	"copse/bench/v2api"
	"copse/bench/verdict"
)

// wrongLimit ends the replay: what follows a wrong change is wrong as well.
const wrongLimit = 3

// replay repeats all changes on the oracle, in the order of their indexes,
// and holds the reads against it on the way.
func (c *checker) replay() {
	for _, s := range c.shards {
		s.SetIndex(c.h.Start)
	}
	r := newReads(c)
	r.at(c.h.Start, nil)
	for at := c.h.Start + 1; at <= c.h.End && c.wrong < wrongLimit; at++ {
		before := c.existing(at)
		shard := c.shardOf(at)
		if shard != nil {
			shard.SetIndex(at - 1) // there may be a gap
		}
		ev, quiet := c.change(at)
		if shard != nil {
			shard.SetIndex(at) // even if the change failed
		}
		if ev != nil {
			c.canon[at] = ev
			if !quiet {
				c.require(at, ev, before)
			}
		}
		if len(c.rest) == 0 { // nobody may see what is in the middle of a transaction
			r.at(at, shard)
		}
	}
	if len(c.rest) > 0 {
		c.fail(verdict.Torn, "%v, and no more indexes", c.parts[c.rest[0]])
	}
	if c.wrong == 0 {
		r.rest()
		c.gaps()
	}
}

// change repeats the change of one index. It returns the oracle's event, and
// whether it is hidden from watchers; nil if the index is
// the servers' own.
func (c *checker) change(at uint64) (ev *v2api.Event, quiet bool) {
	if len(c.rest) > 0 {
		return c.goOn(at), false
	}
	if op := c.acked[at]; op != nil {
		c.enter(at, op)
		return c.carryOut(op, op.Event), op.Refresh
	}
	if s := c.seen[at]; s != nil {
		if s.event.Action == "expire" {
			c.stats.Expiries++
			return c.expire(at, s), false
		}
		op := c.claim(at, s)
		if op == nil {
			c.wrong++
			return nil, false
		}
		c.enter(at, op)
		c.taken[op] = at
		if end := s.event.Node.Expiration; !c.lasts(op, at, end, false) {
			first, _ := c.clock.since(at)
			c.Complain(verdict.TTLDiffers, "%v, done at %d and seen at %v, expires at %v", op, at, c.h.Begin.Add(first), end)
		}
		return c.carryOut(op, s.event), false
	}
	if hint, ok := c.hints[at]; ok {
		op := c.refreshed(at, hint)
		if op == nil {
			c.wrong++
			return nil, false
		}
		c.taken[op] = at
		c.stats.Refreshes++
		ev, fault := c.shards.of(op.Key).Do(&op.Request, hint.Expiration)
		if fault != nil {
			c.fail(verdict.FromNowhere, "%s was shown with the index %d, and %v can't have done that: %v", hint.Key, at, op, fault)
			return nil, false
		}
		return ev, true
	}
	c.unseen = append(c.unseen, at)
	return nil, false
}

// carryOut replays a write, and compares.
func (c *checker) carryOut(op *history.Op, shown *v2api.Event) *v2api.Event {
	ev, fault := c.shards.of(shown.Node.Key).Do(&op.Request, shown.Node.Expiration)
	if fault != nil {
		c.fail(verdict.ReplyDiffers, "%v: it has to be refused with %d %s (%s)", op, fault.Code, fault.Message, fault.Cause)
		return nil
	}
	if diff := c.differ(ev, shown); diff != "" {
		c.fail(verdict.ReplyDiffers, "%v (shown at %d): %s", op, shown.Index(), diff)
	}
	return ev
}

func (c *checker) fail(kind verdict.Kind, format string, args ...any) {
	c.wrong++
	c.Complain(kind, format, args...)
}

// ends: a write without an answer still got its expiration from the clock of a
// member that had received it by the time that its index was seen.
func (c *checker) ends(op *history.Op, at uint64) (earliest, latest time.Time) {
	clock := c.clock
	if scope := c.shards.scope(op.Key); c.shards.several() && scope != everything {
		clock = c.clocks[scope] // another shard may have shown the index long before
	}
	first, ok := clock.since(at)
	if !ok {
		first, _ = c.clock.since(at)
	}
	life := time.Duration(op.TTL) * time.Second
	return c.h.Begin.Add(op.Invoke + life - clockSlack), c.h.Begin.Add(first + life + clockSlack)
}

// lasts reports whether a write without an answer, if its index is at, can have set this
// expiration, which may since have moved. The replay reports one that is missing or has no ttl.
func (c *checker) lasts(op *history.Op, at uint64, end *time.Time, moved bool) bool {
	earliest, latest := c.ends(op, at)
	return op.TTL == 0 || end == nil || !end.Before(earliest) && (moved || !end.After(latest))
}

// expire: it is the turn of the node that is due first, in its shard.
func (c *checker) expire(at uint64, s *sighting) *v2api.Event {
	store := c.shards.of(s.event.Node.Key)
	key, due, ok := store.Due()
	for ok && key != s.event.Node.Key && !c.h.Rules.Pauses && c.postpone(key, s.event) {
		key, due, ok = store.Due()
	}
	if !ok || key != s.event.Node.Key && !(c.h.Rules.Pauses && c.overtakes(s.event)) {
		c.fail(verdict.EventOrder, "%s saw %s expire at %d, and due was %q (%v)", s.who, s.event.Node.Key, at, key, due)
		return nil
	}
	ev, err := store.Expire(s.event.Node.Key)
	if err != nil {
		c.fail(verdict.Undecided, "%v", err)
		return nil
	}
	if diff := c.differ(ev, s.event); diff != "" {
		c.fail(verdict.EventDiffers, "%s saw %s expire at %d: %s", s.who, s.event.Node.Key, at, diff)
	}
	return ev
}

// gaps: an index that nobody saw is a refresh of unknown outcome that was soon
// overwritten, or one that the servers used themselves. With several shards there may be
// any number of those.
func (c *checker) gaps() {
	if c.shards.several() {
		return
	}
	allowed := c.h.Own
	for _, op := range c.h.Ops {
		if op.Refresh && op.Outcome == v2api.Unknown && c.taken[op] == 0 {
			allowed++
		}
	}
	if len(c.unseen) > allowed {
		c.Complain(verdict.IndexGap, "%d indexes of %d..%d belong to no known change; %d may", len(c.unseen), c.h.Start+1, c.h.End, allowed)
	}
}
