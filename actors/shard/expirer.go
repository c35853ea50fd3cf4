package shard

import (
	"log/slog"
	"math"
	"time"

	"copse/actors/loop"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// expireLimit bounds how many nodes one raft entry expires, so that
// applying it stays short; what is left follows at once.
const expireLimit = 1000

// expirePause is how long a failed expiry waits before it is tried again.
const expirePause = 50 * time.Millisecond

// expireLook is how long the expirer sleeps at most: its timer stands still
// while the machine is suspended, and doesn't notice a clock that is set.
const expireLook = time.Second

// sayEvery is how often the leader writes the time while nothing else is written. It is below
// statemachine.ClockRuns, or the shard's time would stand still.
const sayEvery = time.Second

// Expirations has what an Expirer needs of the shard's store.
type Expirations interface {
	// NextExpiry is the time of the earliest expiration, in nanoseconds; ok is
	// false if there is none.
	NextExpiry() (at int64, ok bool, err error)
	// ExpiryWake rings when an earlier one has come.
	ExpiryWake() <-chan struct{}
	// Due is how many nodes are due at now, limit at most.
	Due(now int64, limit int) (int, error)
	// Clock is the shard's time, by which they expire.
	Clock() statemachine.Heard
}

// Expirer is the actor that turns the passing of time into commands: while this
// member leads the shard, it submits "expire what is due" at the moment
// when the earliest expiration is due, and until then now and then
// a batch with the time. It sleeps while there is no expiration.
type Expirer struct {
	actor *Actor
	store Expirations
	log   *slog.Logger
	life  loop.Life
}

// NewExpirer returns the expirer of the shard of a.
func NewExpirer(a *Actor, store Expirations, log *slog.Logger) *Expirer {
	return &Expirer{actor: a, store: store, log: log, life: loop.NewLife()}
}

// Run is the actor's loop.
func (x *Expirer) Run() error {
	if !x.life.Begin() {
		return nil
	}
	defer x.life.End()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if wait, ok := x.step(); ok {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-timer.C:
		case <-x.store.ExpiryWake():
		case <-x.life.Stopping():
			return nil
		}
	}
}

// step submits what is due, and returns how long to sleep; ok is false if
// nothing is going to be due.
func (x *Expirer) step() (wait time.Duration, ok bool) {
	at, ok, err := x.store.NextExpiry()
	if err != nil {
		x.log.Error("reading expirations failed", "shard", x.actor.o.Shard, "err", err)
		return time.Second, true
	}
	if !ok {
		return 0, false
	}
	lead := x.actor.o.Raft.Lead()
	leads := lead.Member == x.actor.o.Core.Self
	now, clock := time.Now(), x.store.Clock()
	due, wait := upcoming(now, clock, lead.Term, at)
	switch {
	case wait > 0:
		return min(wait, expireLook), true
	case !leads:
		return expirePause, true // the leader's business; unless it becomes ours
	}
	if err := x.expire(due); err != nil {
		x.log.Warn("expiring keys failed; trying again", "shard", x.actor.o.Shard, "err", err)
		return expirePause, true
	}
	return 0, true
}

// upcoming returns how long to wait until the next submission, with the earliest expiration at
// at, and up to which time nodes are due then. That is the shard's time in the last batch of this
// term's leader. Before there is one, nothing is due: the batch is submitted for its time.
func upcoming(now time.Time, clock statemachine.Heard, term uint64, at int64) (due int64, wait time.Duration) {
	switch {
	case !clock.Known(): // by the time of day, as before 2026-11-30
		return now.UnixNano(), time.Unix(0, at).Sub(now)
	case clock.Epoch != term:
		return nothingDue, 0
	case clock.Time >= at:
		return clock.Time, 0
	}
	return clock.Time, min(time.Duration(at-clock.Time), sayEvery) - now.Sub(clock.At)
}

// nothingDue is before any expiration.
const nothingDue = math.MinInt64

// expire submits one expiry of the nodes due at at, and waits for its outcome. Each node takes an
// index, so the command says how many may expire: at least one, even if none is due.
func (x *Expirer) expire(at int64) error {
	due, err := x.store.Due(at, expireLimit)
	if err != nil {
		return err
	}
	outcome := make(chan tree.Reply, 1)
	x.actor.Submit(&tree.Command{Op: tree.OpExpire, Key: "/", Now: at, Limit: max(1, due)}, func(r tree.Reply) { outcome <- r })
	select {
	case r := <-outcome:
		if r.Err != nil {
			return r.Err
		}
		return nil
	case <-x.life.Stopping():
		return ErrStopped
	}
}

// Stop ends the loop and waits for it.
func (x *Expirer) Stop() { x.life.Halt() }
