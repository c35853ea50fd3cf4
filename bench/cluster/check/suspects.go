package check

import (
	"copse/bench/cluster/history"
	"copse/bench/v2api"
	"copse/bench/verdict"
)

// suspects are the writes that may have caused a change without an answer.
type suspects struct {
	byValue map[string]*history.Op   // those with a value, which is theirs alone
	byKey   map[string][]*history.Op // those without, of unknown outcome
}

func newSuspects(h *history.History) *suspects {
	s := &suspects{map[string]*history.Op{}, map[string][]*history.Op{}}
	for _, op := range h.Ops {
		switch {
		case !op.Write():
		case op.Value != "":
			s.byValue[op.Value] = op
		case op.Outcome == v2api.Unknown:
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
	var found *history.Op
	for _, op := range c.suspects.byKey[ev.Node.Key] {
		// A recursive delete can do more than a plain one, so it is kept.
		if c.taken[op] == 0 && c.fits(op, ev) && c.inTime(op, at) && (found == nil || found.Recursive && !op.Recursive) {
			found = op
		}
	}
	if found == nil {
		c.Complain(verdict.EventAlien, "%s saw %s of %s at %d, which nobody asked for", s.who, ev.Action, ev.Node.Key, at)
	}
	return found
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
	for _, op := range c.suspects.byKey[n.Key] {
		if op.Refresh && c.taken[op] == 0 && c.inTime(op, at) {
			return op
		}
	}
	c.Complain(verdict.FromNowhere, "%s was shown with the modifiedIndex %d, which no change has", n.Key, at)
	return nil
}
