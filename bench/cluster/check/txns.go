package check

import (
	"fmt"
	"strings"

	"copse/bench/cluster/history"
	"copse/bench/etcdstore"
	"copse/bench/v2api"
	"copse/bench/verdict"
)

// part is the place of a write in its transaction; the zero part is a write by itself.
type part struct {
	of    *transaction
	place int
}

// transaction is one that may have been carried out.
type transaction struct {
	op    *history.Op
	parts []*history.Op
}

func (p part) String() string {
	return fmt.Sprintf("write %d of %d of %v", p.place+1, len(p.of.parts), p.of.op)
}

// split makes a transaction's writes requests of their own, each with its own event and index.
func (c *checker) split(op *history.Op) []*history.Op {
	t := &transaction{op: op}
	events := op.Txn.Events
	if op.Outcome == v2api.Acked && (len(events) != len(op.Txn.Ops) || op.Index != op.Event.Index()) {
		c.Complain(verdict.ReplyDiffers, "%v has %d events and %d in its header", op, len(events), op.Index)
		return nil
	}
	for i, r := range op.Txn.Ops {
		one := *op
		one.Request, one.Txn = r, nil
		if one.Outcome == v2api.Acked {
			one.Event = &events[i]
			one.Index = one.Event.Index()
			if one.Index != events[0].Index()+uint64(i) {
				c.Complain(verdict.Torn, "%v: its write %d is at %d and the first at %d", op, i+1, one.Index, events[0].Index())
			}
		}
		t.parts = append(t.parts, &one)
		c.parts[&one] = part{t, i}
	}
	return t.parts
}

// enter begins a transaction with its first write, which must be the one at this index.
func (c *checker) enter(at uint64, op *history.Op) {
	p := c.parts[op]
	if p.of == nil {
		return
	}
	if p.place > 0 {
		c.fail(verdict.Torn, "%v is at %d, and what precedes it isn't there", p, at)
		return
	}
	for i := range p.of.op.Txn.Compare {
		if why := c.unmet(&p.of.op.Txn.Compare[i]); why != "" {
			c.fail(verdict.ReplyDiffers, "%v at %d: compare %d doesn't hold: %s", p.of.op, at, i, why)
			return
		}
	}
	c.stats.Txns++
	c.rest = p.of.parts[1:]
}

// goOn carries out the next write of a transaction, which must be at this index and nothing else.
func (c *checker) goOn(at uint64) *v2api.Event {
	op := c.rest[0]
	c.rest = c.rest[1:]
	shown, s := op.Event, c.seen[at]
	if shown == nil && s != nil {
		shown = s.event
	}
	if other := c.acked[at]; shown == nil || other != nil && other != op ||
		shown.Node.Value != op.Value || op.Method != "POST" && shown.Node.Key != op.Key {
		c.rest = nil
		c.fail(verdict.Torn, "%v isn't what is at %d", c.parts[op], at)
		return nil
	}
	if !op.Changed() {
		c.taken[op] = at
	}
	return c.carryOut(op, shown)
}

// unmet says why a condition doesn't hold on the oracle; "" if it does.
func (c *checker) unmet(cond *v2api.Compare) string {
	ev, missing := c.shards.of(cond.Key).Do(&v2api.Request{Method: "GET", Key: cond.Key}, nil)
	there := missing == nil
	switch {
	case cond.Exists != nil && *cond.Exists != there:
		return fmt.Sprintf("exists: %v", there)
	case cond.Value == nil && cond.Index == 0:
		return ""
	case !there:
		return "it isn't there"
	case cond.Value != nil && (ev.Node.Dir || ev.Node.Value != *cond.Value):
		return fmt.Sprintf("value: %.60q", ev.Node.Value)
	case cond.Index != 0 && ev.Node.Modified != cond.Index:
		return fmt.Sprintf("index: %d", ev.Node.Modified)
	}
	return ""
}

// refuses reports how the refusal of a transaction differs from what the oracle would say.
func (c *checker) refuses(op *history.Op) string {
	for i := range op.Txn.Compare {
		if c.unmet(&op.Txn.Compare[i]) != "" {
			return misfit(op.Fault, 101, fmt.Sprintf("compare[%d]: ", i))
		}
	}
	try := c.excerpt(op.Txn)
	try.SetIndex(op.Index)
	for i := range op.Txn.Ops {
		if _, fault := try.Do(&op.Txn.Ops[i], nil); fault != nil {
			return misfit(op.Fault, fault.Code, fmt.Sprintf("ops[%d]: %s", i, fault.Cause))
		}
	}
	return fmt.Sprintf("it was refused with %d (%s), but must succeed", op.Fault.Code, op.Fault.Cause)
}

func misfit(got *v2api.Fault, code int, cause string) string {
	if got.Code == code && strings.HasPrefix(got.Cause, cause) {
		return ""
	}
	return fmt.Sprintf("the error is %+v, and should be %d (%s)", *got, code, cause)
}

// excerpt is a store with what a transaction's operations may find: their keys and the directories above,
// without anything else.
func (c *checker) excerpt(t *history.Txn) *etcdstore.Store {
	try := etcdstore.New(1, c.h.Begin)
	for i := range t.Ops {
		names := strings.Split(t.Ops[i].Key, "/")
		for n := range names {
			key := strings.Join(names[:n+1], "/")
			ev, missing := c.shards.of(t.Ops[i].Key).Do(&v2api.Request{Method: "GET", Key: key}, nil)
			if missing != nil || try.Has(key) {
				continue
			}
			try.SetIndex(ev.Node.Modified - 1)
			_, _ = try.Do(&v2api.Request{Method: "PUT", Key: key, Value: ev.Node.Value, Dir: ev.Node.Dir}, nil)
		}
	}
	return try
}
