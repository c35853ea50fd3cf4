package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"copse/bench/cluster/history"
	"copse/bench/etcdstore"
	"copse/bench/verdict"
)

// reads compares reads and refusals with the oracle during the replay. The entries of a
// queue must match in order: they are what one connection was shown of one
// shard. A read without a connection has a queue of its own.
type reads struct {
	c       *checker
	waiting []*queue // by the index of their first read
	active  []*queue // whose first read matched no state so far
}

type queue struct{ reads []*read }

// read is what one answer shows of one shard's state, at some index from..to.
type read struct {
	op       *history.Op
	slot     int
	from, to uint64
	tried    bool // on the shard as it is since it last changed
}

// line identifies a queue.
type line struct{ conn, slot int }

func newReads(c *checker) *reads {
	r := &reads{c: c}
	latest := c.latest()
	lines := map[line]*queue{}
	for _, op := range c.h.Ops {
		if !op.Answered() || op.Changed() || op.Index == 0 {
			continue
		}
		for _, slot := range c.shards.slots(op.Key) {
			if op.Index < op.MinIndex {
				c.Complain(verdict.StaleRead, "%v, which had to wait for %d", op, op.MinIndex)
			}
			one := &read{op: op, slot: slot, from: c.oldest(op, slot), to: op.Index}
			if !op.Write() && !c.h.Rules.ExactHeader {
				one.to = max(one.from, latest(op.Return))
			}
			q := lines[line{op.Conn, slot}]
			if op.Conn == 0 || q == nil {
				q = &queue{}
				r.waiting = append(r.waiting, q)
			}
			if op.Conn != 0 {
				lines[line{op.Conn, slot}] = q
				c.ordered(q, op)
			}
			q.reads = append(q.reads, one)
		}
	}
	slices.SortStableFunc(r.waiting, func(a, b *queue) int { return cmp.Compare(a.reads[0].from, b.reads[0].from) })
	return r
}

// oldest is the first index whose state an answer may be of: that in its header, or the one
// that was asked for, but with several shards the header of a linearizable one may lag.
func (c *checker) oldest(op *history.Op, slot int) uint64 {
	least := max(op.Index, op.MinIndex)
	if op.Write() || !op.Linear() || !c.shards.several() {
		return least
	}
	return max(least, c.clocks[slot].before(op.Invoke))
}

// ordered: the index doesn't go back on a connection. Those of the root and of a
// shard may differ.
func (c *checker) ordered(q *queue, op *history.Op) {
	n := len(q.reads)
	if n == 0 {
		return
	}
	last := q.reads[n-1].op
	if op.Index < last.Index && c.shards.scope(op.Key) == c.shards.scope(last.Key) {
		c.Complain(verdict.IndexBack, "%v, after %v on the same connection", op, last)
	}
}

// latest is the last index that can have existed at a moment: the one
// before the first write that began after it.
func (c *checker) latest() func(time.Duration) uint64 {
	var writes []*history.Op
	for _, op := range c.acked {
		writes = append(writes, op)
	}
	slices.SortFunc(writes, func(a, b *history.Op) int { return cmp.Compare(a.Invoke, b.Invoke) })
	lowest := make([]uint64, len(writes)+1)
	lowest[len(writes)] = c.h.End + 1
	for i := len(writes) - 1; i >= 0; i-- {
		lowest[i] = min(lowest[i+1], writes[i].Event.Index())
	}
	return func(at time.Duration) uint64 {
		n, _ := slices.BinarySearchFunc(writes, at, func(op *history.Op, at time.Duration) int { return cmp.Compare(op.Invoke, at) })
		return lowest[n] - 1
	}
}

// at compares everything that shows the state of one index with that state. changed is
// the shard that the index belongs to, nil if it belongs to none.
func (r *reads) at(index uint64, changed *etcdstore.Store) {
	for len(r.waiting) > 0 && r.waiting[0].reads[0].from <= index {
		r.active = append(r.active, r.waiting[0])
		r.waiting = r.waiting[1:]
	}
	r.active = slices.DeleteFunc(r.active, func(q *queue) bool {
		for len(q.reads) > 0 && q.reads[0].from <= index {
			first := q.reads[0]
			if first.tried && index < first.to && r.c.shards[first.slot] != changed {
				return false
			}
			r.c.stats.Answers++
			diff := r.c.try(first.op, first.slot)
			if diff != "" && index < first.to {
				first.tried = true
				return false // maybe at a later one
			}
			if diff != "" {
				r.c.Complain(verdict.ReadDiffers, "%v (tried up to %d): %s", first.op, index, diff)
			}
			q.reads = q.reads[1:]
		}
		if len(q.reads) == 0 {
			return true
		}
		if q.reads[0].from > index {
			r.park(q)
			return true
		}
		return false
	})
}

// park puts a queue back among the waiting.
func (r *reads) park(q *queue) {
	n, _ := slices.BinarySearchFunc(r.waiting, q, func(a, b *queue) int { return cmp.Compare(a.reads[0].from, b.reads[0].from) })
	r.waiting = slices.Insert(r.waiting, n, q)
}

// rest: no answer may tell of an index that was never reached.
func (r *reads) rest() {
	for _, q := range r.waiting {
		if first := q.reads[0]; first.from > r.c.h.End {
			r.c.Complain(verdict.ReadDiffers, "%v, and the last index is %d", first.op, r.c.h.End)
		}
	}
}

// try repeats a read, or a write that was refused, on the oracle in its current state,
// and reports how the answer differs, as far as it concerns a shard.
func (c *checker) try(op *history.Op, slot int) string {
	if op.Txn != nil {
		return c.refuses(op)
	}
	ev, fault := c.shards[slot].Do(&op.Request, nil)
	switch {
	case fault == nil && op.Write():
		c.wrong = wrongLimit // the oracle has carried it out
		return fmt.Sprintf("it was refused with %d, but must succeed", op.Fault.Code)
	case fault == nil && op.Event == nil:
		return fmt.Sprintf("it was refused with %d (%s), and %s is there", op.Fault.Code, op.Fault.Cause, op.Key)
	case fault == nil:
		want, got := *ev, *op.Event
		got.Node = c.shards.part(got.Node, slot)
		if !op.Sorted {
			want.Node, got.Node = sorted(want.Node), sorted(got.Node)
		}
		return c.differ(&want, &got)
	case op.Fault == nil:
		return fmt.Sprintf("it should be refused with %d (%s)", fault.Code, fault.Cause)
	}
	fault.Index = op.Index // which the header says, and times looks at
	if *fault != *op.Fault {
		return fmt.Sprintf("the error is %+v, and should be %+v", *op.Fault, *fault)
	}
	return ""
}
