package actors

import (
	"errors"
	"slices"
	"time"

	"copse/actors/disk"
	"copse/actors/raft"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// orderedLimit is how many batches of one shard may be under way, and orderedLook how
// often the actor looks for what is late, while anything waits.
const (
	orderedLimit = 4
	orderedLook  = 20 * time.Millisecond
)

// notLeading is the reply that says that another member has to be asked: nothing was
// proposed, or what was can't be applied any more. Clients never see it.
var notLeading = failed(errors.New("etcdserver: not leader"))

// The two queues: creates in order in the root have batches of their own.
const (
	plainWrites = iota
	rootWrites
)

// Ordered is the actor that owns the write path of one data shard of several, on
// the member that leads it: it gathers its mailbox into batches, asks the order
// shard for each batch's indexes, proposes it with them, and answers the writers
// when the batch is applied here. Elsewhere it refuses what comes with notLeading.
//
// docs/SHARDS.md has the rules; the numbers in the comments are theirs.
type Ordered struct {
	// Fixed after NewOrdered.
	*door
	id      uint64
	slot    int
	replica uint64
	host    *raft.Host
	order   *Order
	told    *told

	// Owned by Run.
	leading         bool
	changes         uint64 // leaders that had come when the actor looked last
	handed, settled tree.Index
	queues          [2][]*write // plain and root writes that are to be asked for next
	turn            int         // of the two
	asks            uint64      // so far
	asking          *asking     // nil: nothing is asked for
	batches         []*ordered  // proposed or to be proposed, in the order of their ranges
	closing         *closing    // nil: no Close is under way
}

// asking is the ask under way.
type asking struct {
	number uint64
	kind   int // plainWrites or rootWrites
	writes []*write
	since  time.Time
}

// ordered is one batch with its range.
type ordered struct {
	at       tree.Range
	kind     int
	writes   []*write
	cmd      []byte
	gathered time.Time
	sent     bool // proposed, and not refused since
	doubt    bool // it may have been lost
	proposal raft.Request
	proposed time.Time
}

type closing struct {
	proposal raft.Request
	since    time.Time
}

// NewOrdered returns the actor of the data shard id in the slot. t tells it what the
// replicas apply.
func NewOrdered(id uint64, slot int, replica uint64, host *raft.Host, order *Order, t *told, timeout time.Duration, disk *disk.Watch) *Ordered {
	return &Ordered{door: newDoor(timeout, disk), id: id, slot: slot, replica: replica, host: host, order: order, told: t}
}

// Run is the actor's loop; it returns once Stop is called and all writers have
// been answered.
func (o *Ordered) Run() error {
	if !o.life.Begin() {
		return nil
	}
	defer o.life.End()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for !o.life.Halting() {
		o.step(time.Now())
		var in <-chan *write
		if !o.leading || o.roomy() {
			in = o.mailbox.Messages()
		}
		if o.idle() {
			alarm.Stop()
		} else {
			alarm.Reset(orderedLook)
		}
		select {
		case w := <-in:
			o.gather(w)
		case <-o.told.bell:
		case <-o.host.LeaderChanged(o.id):
		case <-alarm.C:
		case <-o.life.Stopping():
		}
	}
	o.finish()
	return nil
}

// roomy reports whether more may be gathered.
func (o *Ordered) roomy() bool {
	return o.asking == nil && len(o.batches) < orderedLimit && len(o.queues[plainWrites]) < batchCommandsLimit && len(o.queues[rootWrites]) < batchCommandsLimit
}

// idle reports whether nothing but news can give the actor something to do.
func (o *Ordered) idle() bool {
	waits := len(o.batches) + len(o.queues[plainWrites]) + len(o.queues[rootWrites])
	return waits == 0 && (!o.leading || o.asking == nil && o.closing == nil && o.handed <= o.settled)
}

// step does all that there is to do.
func (o *Ordered) step(now time.Time) {
	o.lead()
	o.listen()
	o.resend(now)
	o.dropLate(now)
	o.ask(now)
	o.close(now)
}

// gather takes w and what else waits, as long as one batch may hold it. It gathers
// first and asks then: what comes later doesn't join (7).
func (o *Ordered) gather(w *write) {
	for n := 0; ; {
		switch {
		case !o.leading:
			w.reply <- notLeading
		case w.cmd.Op == tree.OpCreateInOrder && w.cmd.Key == "/":
			o.queues[rootWrites] = append(o.queues[rootWrites], w)
		default:
			o.queues[plainWrites] = append(o.queues[plainWrites], w)
		}
		if n++; n >= batchCommandsLimit {
			return
		}
		select {
		case w = <-o.mailbox.Messages():
		default:
			return
		}
	}
}

// lead follows the leadership: who leads no more gives everything up that isn't in
// the log, and is in doubt over the rest (12).
func (o *Ordered) lead() {
	changes := o.host.LeaderChanges(o.id)
	leads := o.host.Leads(o.id)
	lost := o.leading && (!leads || changes != o.changes) // it may have come back since
	o.leading, o.changes = leads, changes
	if !lost {
		return
	}
	o.askAgain()
	kept := o.batches[:0]
	for _, b := range o.batches {
		if b.sent {
			b.doubt = true
			kept = append(kept, b)
		} else {
			o.putBack(b)
		}
	}
	clear(o.batches[len(kept):])
	o.batches = kept
	o.closing = nil
	o.sendAway()
}

// sendAway refuses what waits, unless this member leads.
func (o *Ordered) sendAway() {
	if !o.leading {
		o.refuseQueues(notLeading)
	}
}

func (o *Ordered) refuseQueues(r tree.Reply) {
	for kind := range o.queues {
		for _, w := range o.queues[kind] {
			w.reply <- r
		}
		o.queues[kind] = nil
	}
}

// askAgain gives the ask under way up: nothing of it was proposed (9).
func (o *Ordered) askAgain() {
	if o.asking != nil {
		o.queues[o.asking.kind] = append(o.asking.writes, o.queues[o.asking.kind]...)
		o.asking = nil
	}
}

// putBack has the writes of b asked for again: none of them is or will be applied.
func (o *Ordered) putBack(b *ordered) {
	o.measures.pending.Add(-int64(len(b.writes)))
	o.queues[b.kind] = append(b.writes, o.queues[b.kind]...)
	b.writes = nil
}

// listen acts on what the replicas have told.
func (o *Ordered) listen() {
	news := o.told.take(o.leading)
	o.handed, o.settled = news.handed, news.settled
	for i := range news.outcomes {
		o.settle(&news.outcomes[i])
	}
	kept := o.batches[:0]
	for _, b := range o.batches {
		switch {
		case !b.sent && !o.leading:
			o.putBack(b)
		case !b.sent || b.at.First > o.settled:
			kept = append(kept, b)
		case news.jumped:
			o.answer(b, nil, errLeaderLost) // nobody here can know (10)
		default:
			o.putBack(b) // it wasn't applied, and never will be (10)
		}
	}
	clear(o.batches[len(kept):])
	o.batches = kept
	for _, g := range news.grants {
		if o.asking != nil && o.asking.number == g.ID.Number {
			o.granted(g.Range)
		} // else it was given up, and will be closed
	}
	if news.askLost {
		o.askAgain()
	}
	o.sendAway()
}

// settle answers the batch that an outcome is about.
func (o *Ordered) settle(out *statemachine.Outcome) {
	i := slices.IndexFunc(o.batches, func(b *ordered) bool { return b.at.First == out.First })
	if i < 0 {
		return // answered already, or proposed before this process started
	}
	b := o.batches[i]
	o.batches = slices.Delete(o.batches, i, i+1)
	if out.Stale {
		o.putBack(b)
		return
	}
	o.answer(b, out, nil)
}

// answer tells the writers of b how it came out.
func (o *Ordered) answer(b *ordered, out *statemachine.Outcome, err error) {
	took := time.Since(b.gathered)
	o.measures.settled(len(b.writes), took, err)
	term := o.host.HighestTerm()
	for _, w := range b.writes {
		var r tree.Reply
		if err != nil {
			r = failed(err)
		} else {
			r, out.Data, _ = statemachine.CutReply(out.Data)
			r.State.RaftIndex, r.State.RaftTerm = out.RaftIndex, term
		}
		r.Queued, r.Applied = b.gathered.Sub(w.deadline.Add(-o.timeout)), took
		w.reply <- r
	}
}

// finishLimit is how long an actor that stops waits for what is in the log.
const finishLimit = 2 * time.Second

// finish answers everybody: what may be in the log is waited for, what isn't goes
// back, for another member to carry out (12).
func (o *Ordered) finish() {
	o.askAgain()
	late := time.NewTimer(finishLimit)
	defer late.Stop()
	over := false
	for len(o.batches) > 0 {
		o.listen()
		o.dropLate(time.Now())
		o.batches = slices.DeleteFunc(o.batches, func(b *ordered) bool {
			switch {
			case !b.sent:
				o.putBack(b)
			case over:
				o.answer(b, nil, raft.ErrStopped)
			default:
				return false
			}
			return true
		})
		if len(o.batches) == 0 {
			break
		}
		select {
		case <-o.told.bell:
		case <-time.After(orderedLook):
		case <-late.C:
			over = true
		}
	}
	o.refuseQueues(notLeading)
	for {
		select {
		case w := <-o.mailbox.Messages():
			w.reply <- notLeading
		default:
			return
		}
	}
}
