package check

import (
	"reflect"

	"copse/bench/cluster/history"
	"copse/bench/v2api"
	"copse/bench/verdict"
)

// requests returns the history with each request once, as long as it was under way, and each write of a
// transaction by itself. A transaction that was refused stays whole.
func (c *checker) requests(h *history.History) *history.History {
	first := map[string]*history.Op{}
	var all []*history.Op
	for _, op := range h.Ops {
		if op.RequestID == "" {
			all = append(all, op)
			continue
		}
		if one := first[op.RequestID]; one != nil {
			c.again(one, op)
			continue
		}
		one := *op
		first[op.RequestID] = &one
		all = append(all, &one)
	}
	merged := *h
	merged.Ops = nil
	for _, op := range all {
		if op.Txn == nil || op.Outcome == v2api.Refused || op.Outcome == v2api.NotSent {
			merged.Ops = append(merged.Ops, op)
			continue
		}
		merged.Ops = append(merged.Ops, c.split(op)...)
	}
	return &merged
}

// again joins what came of a request that was sent before. It counts from when it was sent first until its
// first answer, and that is the answer to all of them, index and refusals included.
func (c *checker) again(one, op *history.Op) {
	switch sent := one.Invoke; {
	case !op.Answered():
		if one.Outcome == v2api.NotSent {
			one.Outcome = op.Outcome
		}
		if !one.Answered() {
			one.Return = op.Return
		}
	case !one.Answered():
		*one = *op
		one.Invoke = sent
	default:
		c.stats.Repeats++
		kind := verdict.ReplyDiffers
		if one.Changed() && op.Changed() && one.Event.Index() != op.Event.Index() {
			kind = verdict.AppliedTwice
		}
		if !sameAnswer(one, op) {
			c.Complain(kind, "%v (%s), and when it was repeated: %v (%s)", one, answer(one), op, answer(op))
		}
	}
}

func sameAnswer(a, b *history.Op) bool {
	if a.Txn != nil && !reflect.DeepEqual(a.Txn.Events, b.Txn.Events) {
		return false
	}
	return a.Outcome == b.Outcome && a.Index == b.Index && reflect.DeepEqual(a.Event, b.Event) && reflect.DeepEqual(a.Fault, b.Fault)
}

func answer(op *history.Op) string {
	if op.Event == nil {
		return op.Fault.Message
	}
	return op.Event.Action + " " + op.Event.Node.Key
}
