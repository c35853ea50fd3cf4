package shard

import (
	"log/slog"
	"time"

	"copse/actors/loop"
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

// Expirations has what an Expirer needs of the shard's store.
type Expirations interface {
	// NextExpiry is the time of the earliest expiration, in Unix nanoseconds; ok is
	// false if there is none.
	NextExpiry() (at int64, ok bool, err error)
	// ExpiryWake rings when an earlier one has come.
	ExpiryWake() <-chan struct{}
	// Due is how many nodes are due at now, limit at most.
	Due(now int64, limit int) (int, error)
}

// Expirer is the actor that turns the passing of time into commands: while this
// member leads the shard, it submits "expire what is due now" at the moment
// when the earliest expiration is due. It sleeps otherwise.
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

// step expires what is due, and returns how long to sleep; ok is false if
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
	now := time.Now()
	if wait = time.Unix(0, at).Sub(now); wait > 0 {
		return min(wait, expireLook), true
	}
	if x.actor.o.Raft.Lead().Member != x.actor.o.Core.Self {
		return expirePause, true // the leader's business; unless it becomes ours
	}
	if err := x.expire(now.UnixNano()); err != nil {
		x.log.Warn("expiring keys failed; trying again", "shard", x.actor.o.Shard, "err", err)
		return expirePause, true
	}
	return 0, true
}

// expire submits one expiry and waits for its outcome. Each node takes an index, so the
// command says how many may expire.
func (x *Expirer) expire(now int64) error {
	due, err := x.store.Due(now, expireLimit)
	if err != nil || due == 0 {
		return err
	}
	outcome := make(chan tree.Reply, 1)
	x.actor.Submit(&tree.Command{Op: tree.OpExpire, Key: "/", Now: now, Limit: due}, func(r tree.Reply) { outcome <- r })
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
