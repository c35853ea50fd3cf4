package check

import (
	"maps"
	"slices"

	"copse/bench/cluster/history"
	"copse/bench/v2api"
	"copse/bench/verdict"
)

// suspects are the writes that may have caused a change without an answer.
type suspects struct {
	byValue map[string]*history.Op   // those with a value, which is theirs alone
	byKey   map[string][]*history.Op // those without, of unknown outcome
}

// newSuspects leaves out what only the rest of a transaction can have done.
func newSuspects(c *checker) *suspects {
	s := &suspects{map[string]*history.Op{}, map[string][]*history.Op{}}
	for _, op := range c.h.Ops {
		switch {
		case !op.Write() || op.Txn != nil:
		case op.Value != "":
			s.byValue[op.Value] = op
		case op.Outcome == v2api.Unknown && c.parts[op].place == 0:
			s.byKey[op.Key] = append(s.byKey[op.Key], op)
		}
	}
	return s
}

// claim finds the write of unknown outcome that caused a change that watchers saw.
func (c *checker) claim(at uint64, s *sighting) *history.Op {
	ev := s.event
	if ev.Node.Value != "" {
		op := c.suspects.byValue[ev.Node.Value]
		switch {
		case op == nil:
			c.Complain(verdict.FromNowhere, "%s saw %s of %s (%.60q) at %d", s.who, ev.Action, ev.Node.Key, ev.Node.Value, at)
			return nil
		case op.Changed() || c.taken[op] != 0:
			c.Complain(verdict.AppliedTwice, "%s of %s at %d is the doing of %v", ev.Action, ev.Node.Key, at, op)
			return nil
		case op.Outcome != v2api.Unknown || !c.inTime(op, at):
			c.Complain(verdict.EventAlien, "%s of %s at %d is the doing of %v", ev.Action, ev.Node.Key, at, op)
			return nil
		}
		return op
	}
	found := c.likeliest(ev.Node, at, false, func(op *history.Op) bool { return c.fits(op, ev) })
	if found == nil {
		c.Complain(verdict.EventAlien, "%s saw %s of %s at %d, which nobody asked for", s.who, ev.Action, ev.Node.Key, at)
	}
	return found
}

// likeliest chooses the write without a value that gave a node the index at. If several
// can have done it, those are kept that may still have to explain what the chosen one
// can't: writes whose ttl doesn't fit, recursive deletes, which can do more than plain
// ones, and then those that were sent first, for their nodes may expire earlier.
func (c *checker) likeliest(n v2api.Node, at uint64, moved bool, may func(*history.Op) bool) (best *history.Op) {
	worse := func(a, b *history.Op) bool {
		if x, y := c.lasts(a, at, n.Expiration, moved), c.lasts(b, at, n.Expiration, moved); x != y {
			return y
		}
		if a.Recursive != b.Recursive {
			return a.Recursive
		}
		return a.Invoke < b.Invoke
	}
	for _, op := range c.suspects.byKey[n.Key] {
		if c.taken[op] == 0 && may(op) && c.inTime(op, at) && (best == nil || worse(best, op)) {
			best = op
		}
	}
	return best
}

// inTime: a write gets an index above all that anyone had seen when it was sent, and
// was sent before anyone saw it.
func (c *checker) inTime(op *history.Op, at uint64) bool {
	first, ok := c.clock.since(at)
	return at > c.floor[op] && (!ok || op.Invoke < first)
}

// fits says whether a write without a value can make such a change.
func (c *checker) fits(op *history.Op, ev *v2api.Event) bool {
	switch ev.Action {
	case "delete":
		if op.Method != "DELETE" || op.Compares() {
			return false
		}
		if !ev.Node.Dir || op.Recursive {
			return true
		}
		listing, fault := c.shards.of(op.Key).Do(&v2api.Request{Method: "GET", Key: op.Key}, nil)
		return op.Dir && fault == nil && len(listing.Node.Nodes) == 0
	case "compareAndDelete":
		return op.Method == "DELETE" && op.Compares() && ev.Prev != nil &&
			(op.PrevIndex == 0 || op.PrevIndex == ev.Prev.Modified) &&
			(op.PrevValue == "" || op.PrevValue == ev.Prev.Value)
	case "create":
		return op.Method == "PUT" && op.Dir && op.PrevExist == "false"
	case "set":
		return op.Method == "PUT" && op.Dir && op.PrevExist == "" && !op.Compares()
	case "update":
		return op.Method == "PUT" && op.PrevExist == "true" && !op.Refresh && !op.Compares()
	}
	return false
}

// refreshed finds the refresh of unknown outcome that gave a node the index
// that it was shown with.
func (c *checker) refreshed(at uint64, n v2api.Node) *history.Op {
	op := c.likeliest(n, at, c.h.Rules.Pauses, func(op *history.Op) bool { return op.Refresh })
	if op == nil {
		c.Complain(verdict.FromNowhere, "%s was shown with the modifiedIndex %d, which no change has", n.Key, at)
	}
	return op
}

// postpone finds a refresh of unknown outcome that explains why a node is still there
// when one with a later expiration expires. If an answer to the node's next refresh is
// lost as well, nobody is shown the first one, so its index is one that was not seen.
// Its expiration is unknown too; the latest possible one is assumed, which lasts until
// the next refresh if any does.
func (c *checker) postpone(key string, expired *v2api.Event) bool {
	store := c.shards.of(key)
	got, fault := store.Do(&v2api.Request{Method: "GET", Key: key}, nil)
	gone, missing := store.Do(&v2api.Request{Method: "GET", Key: expired.Node.Key}, nil)
	if fault != nil || missing != nil || gone.Node.Expiration == nil {
		return false
	}
	for _, op := range c.suspects.byKey[key] {
		if !op.Refresh || c.taken[op] != 0 {
			continue
		}
		for i, index := range c.unseen {
			_, end := c.ends(op, index)
			if index <= got.Node.Modified || !c.inTime(op, index) || end.Before(*gone.Node.Expiration) {
				continue
			}
			store.SetIndex(index - 1)
			ev, fault := store.Do(&op.Request, &end)
			store.SetIndex(expired.Index() - 1)
			if fault != nil {
				return false
			}
			c.canon[index], c.taken[op] = ev, index
			c.unseen = slices.Delete(c.unseen, i, i+1)
			c.stats.Refreshes++
			return true
		}
	}
	return false
}

// overtakes says whether a node may expire before others that were given an earlier end. Where
// times to live have stood still, the end of those that had theirs before is later by now; one
// that was written after it must have been refreshed.
func (c *checker) overtakes(expired *v2api.Event) bool {
	nodes := map[string]v2api.Node{}
	all, fault := c.shards.of(expired.Node.Key).Do(&v2api.Request{Method: "GET", Recursive: true}, nil)
	if fault != nil {
		return false
	}
	v2api.Flatten(&all.Node, nodes)
	gone := nodes[expired.Node.Key]
	if gone.Expiration == nil {
		return false
	}
	end := *gone.Expiration
	for _, op := range c.suspects.byKey[gone.Key] {
		if op.Refresh && c.taken[op] == gone.Modified {
			end, _ = c.ends(op, gone.Modified) // where it was shown, it may have been later by then
		}
	}
	for _, key := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[key]
		due := n.Expiration != nil && n.Expiration.Before(end.Add(-clockSlack))
		if due && n.Modified > gone.Modified && !c.postpone(key, expired) {
			return false
		}
	}
	return true
}
