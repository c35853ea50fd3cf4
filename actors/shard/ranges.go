package shard

import (
	"time"

	"copse/statemachine/tree"
)

// This file has what a leader does only where there are several shards: it asks the
// order shard for the indexes of each batch, and closes those that were handed out and
// will never be used.

// ask asks for the indexes of a batch of parts. One ask is under way at a time (7).
func (l *leader) ask(now time.Time, parts []*Submission, kind int) {
	count := 0
	for _, s := range parts {
		count += s.Indexes
	}
	l.asks.number++
	l.asks.asking = &asking{number: l.asks.number, kind: kind, parts: parts, since: now}
	l.out.Ask = &tree.Ask{
		ID:   tree.RequestID{Replica: l.o.Self, Nonce: l.o.Nonce, Number: l.asks.number},
		Slot: l.o.Slot, Count: count, Root: kind == root,
	}
}

// granted makes a batch of the submissions for which indexes were asked. A range that
// nobody waits for any longer will be closed (8).
func (l *leader) granted(now time.Time, a *Applied) {
	for _, g := range a.Grants {
		asked := l.asks.asking
		if asked == nil || g.ID.Nonce != l.o.Nonce || g.ID.Number != asked.number {
			continue
		}
		l.asks.asking = nil
		if len(asked.parts) > 0 {
			l.enqueue(now, asked.parts, tree.BatchHead{Ordered: true, Root: asked.kind == root, Range: g.Range})
		}
	}
	if a.AskLost {
		l.askAgain(now)
	}
}

// askAgain gives up the ask under way. Nothing of it was proposed, so its submissions
// return to the inbox and may be asked for again, after a pause (9).
func (l *leader) askAgain(now time.Time) {
	if a := l.asks.asking; a != nil {
		l.inbox[a.kind] = append(a.parts, l.inbox[a.kind]...)
		for _, s := range a.parts {
			l.inboxBytes += len(s.Commands)
		}
		l.asks.asking, l.asks.retry = nil, now.Add(retryPause)
	}
}

// giveUpAsk refuses the submissions for which indexes are being asked (12).
func (l *leader) giveUpAsk() {
	if a := l.asks.asking; a != nil {
		l.refuse(a.parts...)
		l.asks.asking = nil
	}
}

// close settles indexes that were handed out and will never be used, unless a batch is
// on its way that will settle them (11).
func (l *leader) close(now time.Time) {
	if a := l.asks.asking; a != nil && now.Sub(a.since) >= l.o.Patience {
		l.askAgain(now)
	}
	if l.asks.handed <= l.asks.settled {
		return
	}
	for _, b := range l.batches {
		if !b.stages() && !l.overdue(now, b) {
			return
		}
	}
	c := tree.CloseCommand(l.asks.handed)
	b := l.enqueue(now, []*Submission{{Count: 1, Commands: tree.AppendCommand(nil, &c)}}, tree.BatchHead{})
	b.parts = nil // nobody waits for it
}
