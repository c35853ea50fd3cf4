package actors

import (
	"errors"
	"time"

	"copse/statemachine/metric"
	"copse/statemachine/tree"
)

// readMailboxLimit is how many linearizable reads may wait for a round.
const readMailboxLimit = 16384

// read is one reader who waits.
type read struct {
	deadline time.Time
	asker    tree.Asker
}

// ReadLane is the actor that makes reads of one shard linearizable. Reads that
// wait at the same time share one round of raft's read-index, which takes no
// log entry; the read itself is then done by whoever asked.
type ReadLane struct {
	// Fixed after NewReadLane.
	host    *Host
	shard   uint64
	timeout time.Duration
	life    life
	mailbox Mailbox[read]

	measures readMeasures

	// Owned by Run.
	round   proposal // under way
	began   time.Time
	readers []read // of the round
	next    []read // came since it began, in the order of their coming
	unsent  bool   // the round is to be tried again
}

// NewReadLane returns the read lane of the shard, which answers every reader
// about timeout after he has asked at the latest.
func NewReadLane(host *Host, shard uint64, timeout time.Duration) *ReadLane {
	l := &ReadLane{host: host, shard: shard, timeout: timeout, life: newLife(), measures: readMeasures{rounds: metric.NewDurations()}}
	l.mailbox = NewMailbox[read](readMailboxLimit, l.life.stop)
	return l
}

// Wait returns once reads of this member see all that was acknowledged before
// the call, or says after limit at the latest why they may not.
func (l *ReadLane) Wait(limit time.Duration) error {
	w := waiters.Get().(*waiter)
	l.ask(read{time.Now().Add(limit), w})
	r := <-w.reply
	waiters.Put(w)
	if r.Err != nil {
		return errors.New(r.Err.Cause)
	}
	return nil
}

// Ask is Wait for who can't: a is told the outcome.
func (l *ReadLane) Ask(a tree.Asker) { l.ask(read{time.Now().Add(l.timeout), a}) }

func (l *ReadLane) ask(r read) {
	if l.life.halting() || !l.mailbox.Offer(r) {
		r.answer(errOverloaded, 1)
		return
	}
	select {
	case <-l.life.done:
		l.refuseAll() // it may have come after the loop had looked for the last time
	default:
	}
}

func (r read) answer(err error, crowd int) {
	var reply tree.Reply
	if err != nil {
		reply.Err = raftError(err)
	}
	r.asker.Answer(reply, crowd)
}

// refuseAll answers what is in the mailbox when nobody else looks at it.
func (l *ReadLane) refuseAll() {
	for {
		select {
		case r := <-l.mailbox.Messages():
			r.answer(errStopped, 1)
		default:
			return
		}
	}
}

// Run is the actor's loop.
func (l *ReadLane) Run() error {
	if !l.life.begin() {
		return nil
	}
	defer l.refuseAll()
	defer l.life.end()
	defer l.settle(errStopped)
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		l.begin()
		l.setAlarm(alarm)
		select {
		case r := <-l.mailbox.Messages():
			l.gather(r)
		case r := <-l.round.settled():
			_, _, err := l.round.outcome(r)
			l.round = proposal{}
			l.measures.round(l.began, err)
			l.settle(err)
		case <-alarm.C:
			l.unsent = false
			l.expireLate(time.Now())
		case <-l.life.stop:
			l.readers = append(l.readers, l.next...)
			return nil
		}
	}
}

// Stop ends the loop and waits for it.
func (l *ReadLane) Stop() { l.life.halt() }

// gather takes in all that wait now.
func (l *ReadLane) gather(r read) {
	for more := true; more; {
		l.next = append(l.next, r)
		select {
		case r = <-l.mailbox.Messages():
		default:
			more = false
		}
	}
}

// begin starts a round for those who wait, unless one is under way.
func (l *ReadLane) begin() {
	for !l.unsent && l.round.rs == nil && len(l.readers)+len(l.next) > 0 {
		l.readers = append(l.readers, l.next...)
		clear(l.next)
		l.next = l.next[:0]
		var err error
		l.began = time.Now()
		if l.round, err = l.host.confirm(l.shard); err != nil {
			l.round = proposal{}
			l.settle(err)
		}
	}
}

// settle answers the readers of the round. If it never began, or was lost with a
// leader, which nobody tells, they wait for another: a round leaves no trace.
func (l *ReadLane) settle(err error) {
	switch {
	case errors.Is(err, errUnsent):
		l.unsent = true
		return
	case errors.Is(err, errTimeout):
		return
	}
	crowd := len(l.readers)
	for i, r := range l.readers {
		r.answer(err, crowd)
		l.readers[i] = read{}
	}
	l.readers = l.readers[:0]
}

// lateTick is how often readers are looked at for being late.
const lateTick = 100 * time.Millisecond

// setAlarm makes the loop wake up when a reader is late, or to try again.
func (l *ReadLane) setAlarm(alarm *time.Timer) {
	switch {
	case l.unsent:
		alarm.Reset(retryPause)
	case len(l.readers)+len(l.next) > 0:
		alarm.Reset(lateTick)
	default:
		alarm.Stop()
	}
}

// expireLate gives up on readers whose time is over. A round that is under way
// goes on for the others.
func (l *ReadLane) expireLate(now time.Time) {
	for _, list := range []*[]read{&l.readers, &l.next} {
		kept := (*list)[:0]
		for _, r := range *list {
			if now.After(r.deadline) {
				r.answer(errTimeout, 1)
				continue
			}
			kept = append(kept, r)
		}
		clear((*list)[len(kept):])
		*list = kept
	}
}
