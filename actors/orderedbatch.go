package actors

import (
	"errors"
	"slices"
	"time"

	"copse/actors/raft"
	"copse/statemachine/tree"
)

// This file is the way of a batch of an Ordered: from the ask for its indexes to the
// log, and what becomes of one that is late or lost.

// ask asks for the indexes of what waits.
func (o *Ordered) ask(now time.Time) {
	if o.asking != nil || !o.leading || len(o.batches) >= orderedLimit {
		return
	}
	kind := o.turn
	if len(o.queues[kind]) == 0 {
		kind = 1 - kind
	}
	n, count, size := 0, 0, 0
	for _, w := range o.queues[kind] {
		if n == batchCommandsLimit || size >= batchBytesLimit {
			break
		}
		n++
		count += indexes(w.cmd)
		size += w.cmd.Size()
	}
	if n == 0 {
		return
	}
	id := o.told.asker
	id.Number = o.asks + 1
	if !o.order.Put(tree.Ask{ID: id, Slot: o.slot, Count: count, Root: kind == rootWrites}) {
		return // tried again soon
	}
	o.asks++
	o.asking = &asking{number: id.Number, kind: kind, writes: slices.Clone(o.queues[kind][:n]), since: now}
	o.queues[kind] = slices.Delete(o.queues[kind], 0, n)
	o.turn = 1 - kind
}

// indexes is how many a command may take.
func indexes(c *tree.Command) int {
	if c.Op == tree.OpExpire {
		return c.Limit
	}
	return 1
}

// granted makes a batch of what was asked for.
func (o *Ordered) granted(at tree.Range) {
	a := o.asking
	o.asking = nil
	if len(a.writes) == 0 {
		return // all were late: the range will be closed
	}
	b := &ordered{at: at, kind: a.kind, writes: a.writes, gathered: time.Now()}
	b.cmd = tree.AppendOrderedBatch(nil, o.replica, at, a.kind == rootWrites, len(b.writes))
	for _, w := range b.writes {
		b.cmd = tree.AppendCommand(b.cmd, w.cmd)
	}
	o.measures.gathered(len(b.writes))
	o.batches = append(o.batches, b)
	o.propose(b)
}

// propose proposes b unless an earlier batch has to go first (8).
func (o *Ordered) propose(b *ordered) {
	for _, before := range o.batches {
		if before == b {
			break
		}
		if !before.sent {
			return
		}
	}
	p, err := o.host.Propose(o.id, b.cmd)
	if err != nil {
		b.proposed = time.Now()
		return // tried again soon
	}
	b.proposal, b.proposed, b.sent = p, time.Now(), true
}

// resend looks for batches that provably aren't in the log, and proposes them again,
// and for those that may have been lost.
func (o *Ordered) resend(now time.Time) {
	for _, b := range o.batches {
		select {
		case r := <-b.proposal.Settled():
			_, _, err := b.proposal.Outcome(r)
			b.proposal = raft.Request{}
			switch {
			case errors.Is(err, raft.ErrUnsent):
				b.sent, b.doubt = false, false
			case err != nil:
				b.doubt = true
			}
		default:
			if b.sent && now.Sub(b.proposed) >= o.host.AnswerTimeout() {
				b.doubt = true
			}
		}
		if !b.sent && now.Sub(b.proposed) >= raft.RetryPause {
			o.propose(b)
		}
	}
	if o.asking != nil && now.Sub(o.asking.since) >= o.host.AnswerTimeout() {
		o.askAgain()
	}
}

// dropLate answers those whose time is over. A batch may be smaller than its range
// (7); one that is under way may still be applied.
func (o *Ordered) dropLate(now time.Time) {
	late := func(w *write) bool {
		if !now.After(w.deadline) {
			return false
		}
		w.reply <- o.refused(raft.ErrTimeout)
		return true
	}
	for kind := range o.queues {
		o.queues[kind] = slices.DeleteFunc(o.queues[kind], late)
	}
	if o.asking != nil {
		o.asking.writes = slices.DeleteFunc(o.asking.writes, late)
	}
	kept := o.batches[:0]
	for _, b := range o.batches {
		switch limit := b.writes[0].deadline; {
		case b.sent && now.After(limit.Add(raft.Lateness)):
			o.answer(b, nil, raft.ErrTimeout)
		case !b.sent && now.After(limit):
			o.putBack(b) // those who have time left are asked for again
		default:
			kept = append(kept, b)
		}
	}
	clear(o.batches[len(kept):])
	o.batches = kept
}

// close settles what was handed out and will never be used, unless a batch of this
// actor's is on its way and will settle it (11).
func (o *Ordered) close(now time.Time) {
	if c := o.closing; c != nil {
		select {
		case r := <-c.proposal.Settled():
			_, _, _ = c.proposal.Outcome(r)
			o.closing = nil
			return // what it did is told by the replica, and looked at next
		default:
			if now.Sub(c.since) >= o.host.AnswerTimeout() {
				o.closing = nil
			}
		}
	}
	if o.closing != nil || !o.leading || o.handed <= o.settled {
		return
	}
	for _, b := range o.batches {
		if !b.doubt {
			return
		}
	}
	c := tree.CloseCommand(o.handed)
	p, err := o.host.Propose(o.id, tree.AppendCommand(tree.AppendBatch(nil, 0, 1), &c))
	if err != nil {
		return // tried again soon
	}
	o.closing = &closing{proposal: p, since: now}
}
