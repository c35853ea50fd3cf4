package crash

import (
	"fmt"

	"copse/bench/v2api"
	"copse/bench/verdict"
)

// claims: each watched change without an answer must be the effect of a write of
// unknown outcome (once, and before the server was back), or an
// expiry. A write that was refused must not have happened at all.
func (c *checker) claims() {
	s := c.suspects()
	taken := map[*Op]bool{}
	for _, at := range c.indexes() {
		ev := c.union[at]
		if c.acked[at] != nil || ev.Action == "expire" {
			continue
		}
		op := c.suspect(s, ev, taken)
		c.claim(op, ev, taken)
		if op != nil {
			taken[op] = true
		}
	}
}

func (c *checker) claim(op *Op, ev *v2api.Event, taken map[*Op]bool) {
	what := fmt.Sprintf("%s of %s (%q) at %d", ev.Action, ev.Node.Key, ev.Node.Value, ev.Index())
	switch {
	case op == nil:
		c.complain(verdict.EventAlien, what)
	case op.Outcome == v2api.Acked || taken[op]:
		c.complain(verdict.AppliedTwice, fmt.Sprintf("%s is the doing of %v", what, op))
	case op.Outcome != v2api.Unknown:
		c.complain(verdict.EventAlien, fmt.Sprintf("%s is the doing of %v", what, op))
	case c.late(op, ev.Index()):
		c.complain(verdict.AppliedLate, fmt.Sprintf("%s is the doing of %v; the fence was %d", what, op, c.h.Fences[op.Epoch]))
	}
}

// late says whether an index is from after the restart that op didn't survive.
func (c *checker) late(op *Op, at uint64) bool {
	return op.Epoch < len(c.h.Fences) && at > c.h.Fences[op.Epoch]
}

// suspects are the writes that may have caused a change.
type suspects struct {
	byValue map[string]*Op   // those with a value, which is theirs alone
	deletes map[string][]*Op // by key, of unknown outcome, as they were sent
	dirs    map[string][]*Op // likewise
}

func (c *checker) suspects() suspects {
	s := suspects{map[string]*Op{}, map[string][]*Op{}, map[string][]*Op{}}
	for i := range c.h.Ops {
		op := &c.h.Ops[i]
		switch {
		case op.Refresh:
		case op.Value != "":
			s.byValue[op.Value] = op
		case op.Outcome != v2api.Unknown:
		case op.Method == "DELETE":
			s.deletes[op.Key] = append(s.deletes[op.Key], op)
		default:
			s.dirs[op.Key] = append(s.dirs[op.Key], op)
		}
	}
	return s
}

// suspect finds the write behind a change. Deletes carry no value: of those on
// the same key it is the first one that was sent early enough and not too
// early, or else one that wasn't.
func (c *checker) suspect(s suspects, ev *v2api.Event, taken map[*Op]bool) *Op {
	if ev.Node.Value != "" {
		return s.byValue[ev.Node.Value]
	}
	open := s.dirs[ev.Node.Key]
	if !ev.Node.Dir || ev.Prev != nil {
		open = s.deletes[ev.Node.Key]
	}
	var last *Op
	for _, op := range open {
		if taken[op] || op.Floor >= ev.Index() {
			continue
		}
		if !c.late(op, ev.Index()) {
			return op
		}
		last = op
	}
	return last
}
