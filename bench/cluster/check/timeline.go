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

// before is the highest value shown before a moment.
func (t *timeline) before(at time.Duration) uint64 {
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

// times holds the order of indexes and terms against the order of time.
func (c *checker) times() {
	all := []shown{}
	index, term := map[int][]shown{}, map[int][]shown{}
	show := func(member int, at time.Duration, i, t uint64) {
		index[member] = append(index[member], shown{at, i})
		term[member] = append(term[member], shown{at, t})
	}
	for _, op := range c.h.Ops {
		if op.Answered() && op.Index != 0 {
			show(op.Member, op.Return, op.Index, op.Term)
			all = append(all, shown{op.Return, newest(op)})
		}
	}
	for _, g := range c.h.Glances {
		show(g.Member, g.Return, g.Index, g.Term)
		all = append(all, shown{g.Return, g.Index})
	}
	for _, w := range c.h.Watches {
		for _, e := range w.Entries {
			if e.Event != nil {
				show(e.Member, e.At, e.Event.Index(), 0)
				all = append(all, shown{e.At, e.Event.Index()})
			}
		}
	}
	c.clock = newTimeline(all)
	indexes, terms := map[int]*timeline{}, map[int]*timeline{}
	for m := range index {
		indexes[m], terms[m] = newTimeline(index[m]), newTimeline(term[m])
	}
	for _, op := range c.h.Ops {
		c.floor[op] = c.clock.before(op.Invoke)
		if !op.Answered() || op.Index == 0 {
			continue
		}
		c.member(op, indexes[op.Member].before(op.Invoke), terms[op.Member].before(op.Invoke))
		if op.Linear() {
			c.linear(op)
		}
	}
	for _, g := range c.h.Glances {
		if had := indexes[g.Member].before(g.Invoke); g.Index < had {
			c.Complain(verdict.IndexBack, "a watch's head shows %d on member %d at %v, which had shown %d", g.Index, g.Member, g.Return, had)
		}
		if had := terms[g.Member].before(g.Invoke); g.Term < had {
			c.Complain(verdict.TermBack, "a watch's head shows term %d on member %d at %v, which had shown %d", g.Term, g.Member, g.Return, had)
		}
	}
}

// newest is the highest index that an answer shows, in its header or its nodes:
// servers may put an older one into the header of a read.
func newest(op *history.Op) uint64 {
	index := op.Index
	if op.Event != nil {
		nodes := map[string]v2api.Node{}
		v2api.Flatten(&op.Event.Node, nodes)
		for _, n := range nodes {
			index = max(index, n.Modified)
		}
	}
	return index
}

// member: what one member shows never goes back, over restarts too.
func (c *checker) member(op *history.Op, index, term uint64) {
	if op.Index < index {
		c.Complain(verdict.IndexBack, "%v shows %d, and the member had shown %d", op, op.Index, index)
	}
	if op.Term != 0 && op.Term < term {
		c.Complain(verdict.TermBack, "%v shows term %d, and the member had shown %d", op, op.Term, term)
	}
}

// linear: who goes through the log sees all that anybody saw before.
func (c *checker) linear(op *history.Op) {
	floor := c.floor[op]
	switch {
	case op.Changed() && op.Event.Index() <= floor:
		c.Complain(verdict.IndexBack, "%v, and %d had been shown before it began", op, floor)
	case op.Index < floor && op.Write():
		c.Complain(verdict.IndexBack, "%v, and %d had been shown before it began", op, floor)
	case op.Index < floor:
		c.Complain(verdict.StaleRead, "%v, and %d had been shown before it began", op, floor)
	}
}
