package actors

import (
	"errors"
	"time"

	"copse/actors/loop"
	"copse/actors/raft"
	"copse/statemachine/tree"
)

// askInflightLimit is how many raft entries with asks may be under way: what comes
// meanwhile shares the next one. With two, there are more entries and they are
// smaller, and 256 writers at once get a tenth less through.
const askInflightLimit = 1

// Order is the actor that asks the order shard for indexes, on behalf of the data
// shards that this member leads: asks that come at the same time share one raft entry.
// The answers come from the order shard's replica here, to whoever has asked (see
// told); Order itself learns only what has been lost.
type Order struct {
	// Fixed after NewOrder.
	host    *raft.Host
	slots   int
	lost    func(slot int) // an ask of the slot may have been lost
	life    loop.Life
	mailbox loop.Mailbox[tree.Ask]

	// Owned by Run.
	waiting  []tree.Ask // by slot; Count 0: none. A newer ask takes the place of one that its actor gave up.
	inflight []asked
	pause    time.Time // nothing is proposed before
}

// asked is one raft entry under way.
type asked struct {
	asks     []tree.Ask
	proposal raft.Request
	proposed time.Time
}

// NewOrder returns the actor for so many slots.
func NewOrder(host *raft.Host, slots int, lost func(slot int)) *Order {
	o := &Order{host: host, slots: slots, lost: lost, life: loop.NewLife(), waiting: make([]tree.Ask, slots)}
	o.mailbox = loop.NewMailbox[tree.Ask](4*slots, o.life.Stopping())
	return o
}

// Put asks; it reports false if the asker has to try again.
func (o *Order) Put(a tree.Ask) bool { return o.mailbox.Offer(a) }

// Run is the actor's loop.
func (o *Order) Run() error {
	if !o.life.Begin() {
		return nil
	}
	defer o.life.End()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		var settled = raft.Request{}.Settled()
		if len(o.inflight) > 0 {
			settled = o.inflight[0].proposal.Settled()
			alarm.Reset(time.Until(o.inflight[0].proposed.Add(o.host.AnswerTimeout())))
		}
		if !o.pause.IsZero() {
			alarm.Reset(raft.RetryPause)
		}
		select {
		case a := <-o.mailbox.Messages():
			o.gather(a)
		case r := <-settled:
			_, _, err := o.inflight[0].proposal.Outcome(r)
			o.settle(err)
		case <-o.host.LeaderChanged(orderShard):
			o.giveUp()
		case <-alarm.C:
			o.pause = time.Time{}
			if len(o.inflight) > 0 && time.Since(o.inflight[0].proposed) >= o.host.AnswerTimeout() {
				o.giveUp()
			}
		case <-o.life.Stopping():
			return nil
		}
		o.propose()
	}
}

// Stop ends the loop and waits for it.
func (o *Order) Stop() { o.life.Halt() }

// gather notes a and whatever else waits.
func (o *Order) gather(a tree.Ask) {
	for {
		o.waiting[a.Slot] = a
		select {
		case a = <-o.mailbox.Messages():
		default:
			return
		}
	}
}

// propose puts what waits into one raft entry.
func (o *Order) propose() {
	if len(o.inflight) >= askInflightLimit || time.Now().Before(o.pause) {
		return
	}
	var asks []tree.Ask
	for slot, a := range o.waiting {
		if a.Count > 0 {
			asks = append(asks, a)
			o.waiting[slot] = tree.Ask{}
		}
	}
	if len(asks) == 0 {
		return
	}
	c := tree.AskCommand(o.slots, asks...)
	cmd := tree.AppendCommand(tree.AppendBatch(nil, 0, 1), &c) // no replica waits for the reply
	p, err := o.host.Propose(orderShard, cmd)
	if err != nil {
		o.refused(asks, err)
		return
	}
	o.inflight = append(o.inflight, asked{asks: asks, proposal: p, proposed: time.Now()})
}

// settle deals with the first entry under way, whose outcome is err.
func (o *Order) settle(err error) {
	head := o.inflight[0]
	o.inflight = o.inflight[1:]
	if err != nil {
		o.refused(head.asks, err)
	}
}

// refused puts asks back that provably didn't enter the log, unless there are newer
// ones; of others the askers are told.
func (o *Order) refused(asks []tree.Ask, err error) {
	unsent := errors.Is(err, raft.ErrUnsent)
	for _, a := range asks {
		switch {
		case !unsent:
			o.lost(a.Slot)
		case o.waiting[a.Slot].Count == 0:
			o.waiting[a.Slot] = a
		}
	}
	o.pause = time.Now().Add(raft.RetryPause)
}

// giveUp lets go of what is under way: it may have been lost with a leader, which
// nobody tells.
func (o *Order) giveUp() {
	for _, e := range o.inflight {
		for _, a := range e.asks {
			o.lost(a.Slot)
		}
	}
	clear(o.inflight)
	o.inflight = o.inflight[:0]
}
