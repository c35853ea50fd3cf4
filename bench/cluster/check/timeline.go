package check

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"copse/bench/cluster/history"
	"copse/bench/v2api"
	"copse/bench/verdict"
)

// timeline knows the highest value that was shown before any moment.
type timeline struct {
	at    []time.Duration
	value []uint64 // the highest up to here
}

type shown struct {
	at    time.Duration
	value uint64
}

func newTimeline(all []shown) *timeline {
	slices.SortFunc(all, func(a, b shown) int { return cmp.Compare(a.at, b.at) })
	t := &timeline{}
	for _, s := range all {
		if n := len(t.value); n == 0 || s.value > t.value[n-1] {
			t.at = append(t.at, s.at)
			t.value = append(t.value, s.value)
		}
	}
	return t
}

// before is the highest value shown before a moment; nothing was on no timeline.
func (t *timeline) before(at time.Duration) uint64 {
	if t == nil {
		return 0
	}
	n := sort.Search(len(t.at), func(i int) bool { return t.at[i] >= at })
	if n == 0 {
		return 0
	}
	return t.value[n-1]
}

// since is the first moment at which value or more was shown; false if never.
func (t *timeline) since(value uint64) (time.Duration, bool) {
	n := sort.Search(len(t.value), func(i int) bool { return t.value[i] >= value })
	if n == len(t.value) {
		return 0, false
	}
	return t.at[n], true
}

// view is what one member shows of one shard, or of everything.
type view struct{ member, scope int }

// times holds the order of indexes, terms and raft indexes against the order of time.
func (c *checker) times() {
	all, own := []shown{}, make([][]shown, len(c.shards))
	index, term, raft := map[view][]shown{}, map[int][]shown{}, map[int][]shown{}
	show := func(member int, key string, at time.Duration, i, r, t uint64) {
		v := view{member, c.shards.scope(key)}
		index[v] = append(index[v], shown{at, i})
		term[member] = append(term[member], shown{at, t})
		raft[member] = append(raft[member], shown{at, r})
		all = append(all, shown{at, i})
	}
	change := func(key string, at time.Duration, i uint64) {
		slot := c.shards.scope(key)
		if slot != everything {
			own[slot] = append(own[slot], shown{at, i})
		}
		all = append(all, shown{at, i})
	}
	for _, op := range c.h.Ops {
		if op.Answered() && op.Index != 0 {
			show(op.Member, told(op), op.Return, op.Index, op.Raft, op.Term)
			for _, n := range nodes(op) {
				change(n.Key, op.Return, n.Modified)
			}
		}
	}
	for _, g := range c.h.Glances {
		show(g.Member, g.Key, g.Return, g.Index, g.Raft, g.Term)
	}
	for _, w := range c.h.Watches {
		for _, e := range w.Entries {
			if e.Event != nil {
				show(e.Member, w.Scope, e.At, e.Event.Index(), 0, 0)
				change(e.Event.Node.Key, e.At, e.Event.Index())
			}
		}
	}
	c.clock = newTimeline(all)
	for _, o := range own {
		c.clocks = append(c.clocks, newTimeline(o))
	}
	indexes, terms, rafts := map[view]*timeline{}, map[int]*timeline{}, map[int]*timeline{}
	for v := range index {
		indexes[v] = newTimeline(index[v])
	}
	for m := range term {
		terms[m], rafts[m] = newTimeline(term[m]), newTimeline(raft[m])
	}
	// A member's index of everything is one for each of its shards as well.
	had := func(member int, key string, at time.Duration) uint64 {
		scope := c.shards.scope(key)
		return max(indexes[view{member, scope}].before(at), indexes[view{member, everything}].before(at))
	}
	for _, op := range c.h.Ops {
		c.floor[op] = c.clock.before(op.Invoke)
		if !op.Answered() || op.Index == 0 {
			continue
		}
		c.member(op, had(op.Member, told(op), op.Invoke), terms[op.Member].before(op.Invoke), rafts[op.Member].before(op.Invoke))
		if op.Linear() {
			c.linear(op)
		}
	}
	for _, g := range c.h.Glances {
		if had := had(g.Member, g.Key, g.Invoke); g.Index < had {
			c.Complain(verdict.IndexBack, "a watch's head shows %d on member %d at %v, which had shown %d", g.Index, g.Member, g.Return, had)
		}
		if had := terms[g.Member].before(g.Invoke); g.Term < had {
			c.Complain(verdict.TermBack, "a watch's head shows term %d on member %d at %v, which had shown %d", g.Term, g.Member, g.Return, had)
		}
		if had := rafts[g.Member].before(g.Invoke); g.Raft < had {
			c.Complain(verdict.RaftBack, "a watch's head shows raft's index %d on member %d at %v, which had shown %d", g.Raft, g.Member, g.Return, had)
		}
	}
}

// told is the key that an answer is about: the server chooses the name of an in-order
// key.
func told(op *history.Op) string {
	if op.Changed() {
		return op.Event.Node.Key
	}
	return op.Key
}

// nodes are those that an answer shows: servers may put an older index than
// theirs into the header of a read.
func nodes(op *history.Op) map[string]v2api.Node {
	nodes := map[string]v2api.Node{}
	if op.Event != nil {
		v2api.Flatten(&op.Event.Node, nodes)
	}
	return nodes
}

// member: what one member shows never goes back, over restarts too.
func (c *checker) member(op *history.Op, index, term, raft uint64) {
	if op.Index < index {
		c.Complain(verdict.IndexBack, "%v shows %d, and the member had shown %d", op, op.Index, index)
	}
	if op.Term != 0 && op.Term < term {
		c.Complain(verdict.TermBack, "%v shows term %d, and the member had shown %d", op, op.Term, term)
	}
	if op.Raft != 0 && op.Raft < raft { // whichever keys they are of
		c.Complain(verdict.RaftBack, "%v shows raft's index %d, and the member had shown %d", op, op.Raft, raft)
	}
}

// linear: a request through the log sees everything that anybody saw before. With several
// shards, a read is promised that for its own shard.
func (c *checker) linear(op *history.Op) {
	floor := c.floor[op]
	if scope := c.shards.scope(op.Key); c.shards.several() && scope != everything && !op.Write() {
		floor = c.clocks[scope].before(op.Invoke)
	}
	switch {
	case op.Changed() && op.Event.Index() <= floor:
		c.Complain(verdict.IndexBack, "%v, and %d had been shown before it began", op, floor)
	case op.Index < floor && op.Write():
		c.Complain(verdict.IndexBack, "%v, and %d had been shown before it began", op, floor)
	case op.Index < floor:
		c.Complain(verdict.StaleRead, "%v, and %d had been shown before it began", op, floor)
	}
}
