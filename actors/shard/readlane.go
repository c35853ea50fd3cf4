package shard

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"copse/actors/loop"
	"copse/statemachine/metric"
)

// readMailboxLimit bounds how many linearizable reads may wait for a round.
const readMailboxLimit = 16384

// ReadLane is the actor that makes reads of one shard linearizable. Reads that
// wait at the same time share one round of raft's read-index, which takes no
// log entry; after it, each caller reads by itself.
type ReadLane struct {
	confirm func(stop <-chan struct{}) error
	now     func() time.Time
	life    loop.Life
	mailbox loop.Mailbox[*waiter]
	proved  atomic.Pointer[time.Time] // when the last round that succeeded began; nil: none has

	Rounds *metric.Histogram // seconds that a round took
	Failed atomic.Uint64     // rounds
}

// NewReadLane returns the read lane of a shard. confirm makes one round: it returns once
// reads of this member see all that was acknowledged before the call, or says why not.
func NewReadLane(confirm func(stop <-chan struct{}) error) *ReadLane {
	l := &ReadLane{confirm: confirm, now: time.Now, life: loop.NewLife(), Rounds: metric.NewDurations()}
	l.mailbox = loop.NewMailbox[*waiter](readMailboxLimit, l.life.Stopping())
	return l
}

// waiter is one read that waits for a round. It is used again only if it was
// answered: nobody else holds it then.
type waiter struct {
	reply chan error // capacity 1; sent to once
	late  *time.Timer

	// Instead of reply, of a read that no goroutine waits for. late tells it.
	notify func(error)
	told   atomic.Bool
}

var waiters = sync.Pool{New: func() any {
	return &waiter{reply: make(chan error, 1), late: time.NewTimer(0)}
}}

var notified sync.Pool // of waiters with notify

// Notify is Wait for a caller that doesn't wait: notify is called with the outcome, once and perhaps
// before Notify returns. It must not wait.
func (l *ReadLane) Notify(limit, stale time.Duration, notify func(error)) {
	if stale > 0 && l.age() <= stale {
		notify(nil)
		return
	}
	w, ok := notified.Get().(*waiter)
	if !ok {
		w = new(waiter)
		w.late = time.AfterFunc(math.MaxInt64, func() { w.tell(ErrTimeout) })
	}
	w.notify = notify
	w.told.Store(false)
	w.late.Reset(limit)
	if l.life.Halting() || !l.mailbox.Offer(w) {
		w.tell(ErrOverloaded)
	}
}

// tell gives the waiter the outcome, unless it has one.
func (w *waiter) tell(err error) {
	if w.notify == nil {
		w.reply <- err
		return
	}
	if w.told.Swap(true) {
		return
	}
	notify := w.notify
	if w.late.Stop() { // else the lane or the timer has it yet
		notified.Put(w)
	}
	notify(err)
}

// Wait returns once reads of this member see all that was acknowledged so long before
// the call as they may be stale, or says after limit at the latest why they may not.
func (l *ReadLane) Wait(limit, stale time.Duration) error { return l.Ask(limit, stale).Wait() }

// Asked is a read that waits for a round.
type Asked struct {
	l *ReadLane // nil: it need not wait
	w *waiter   // nil: it was turned away
}

// Ask is the first half of Wait, for a caller that waits for another lane meanwhile. The caller
// has to call the result's Wait once.
func (l *ReadLane) Ask(limit, stale time.Duration) Asked {
	if stale > 0 && l.age() <= stale {
		return Asked{}
	}
	w := waiters.Get().(*waiter)
	w.late.Reset(limit)
	if l.life.Halting() || !l.mailbox.Offer(w) {
		return Asked{l: l}
	}
	return Asked{l, w}
}

// age is how old what this member shows can be at most. What a round has proved holds from
// its begin on, for a replica never goes back. Of the two clocks one may stand still while
// the machine sleeps, and the other may be set back.
func (l *ReadLane) age() time.Duration {
	at := l.proved.Load()
	if at == nil {
		return math.MaxInt64
	}
	now := l.now()
	return max(now.Sub(*at), now.Round(0).Sub(at.Round(0)))
}

// Wait waits for the round.
func (a Asked) Wait() error {
	l, w := a.l, a.w
	switch {
	case l == nil:
		return nil
	case w == nil:
		return ErrOverloaded
	}
	select {
	case err := <-w.reply:
		w.late.Stop()
		waiters.Put(w)
		return err
	case <-w.late.C:
		return ErrTimeout
	case <-l.life.Done():
	}
	select {
	case err := <-w.reply:
		return err
	default:
		return ErrStopped
	}
}

// Run is the actor's loop.
func (l *ReadLane) Run() error {
	if !l.life.Begin() {
		return nil
	}
	defer l.life.End()
	var waiting []*waiter
	for {
		select {
		case first := <-l.mailbox.Messages():
			runtime.Gosched() // goroutines that are about to ask share the round
			waiting = l.gather(append(waiting[:0], first))
		case <-l.life.Stopping():
			return nil
		}
		began := l.now()
		err := l.confirm(l.life.Stopping())
		l.Rounds.ObserveSince(began)
		if err != nil {
			l.Failed.Add(1)
		} else {
			l.proved.Store(&began)
		}
		for _, w := range waiting {
			w.tell(err)
		}
		clear(waiting)
	}
}

// gather adds all that wait now.
func (l *ReadLane) gather(waiting []*waiter) []*waiter {
	for {
		select {
		case next := <-l.mailbox.Messages():
			waiting = append(waiting, next)
		default:
			return waiting
		}
	}
}

// Stop ends the loop and waits for it.
func (l *ReadLane) Stop() { l.life.Halt() }
