package actors

import (
	"log/slog"
	"time"

	"copse/actors/loop"
	"copse/actors/raft"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// expireLimit is how many nodes one raft entry expires at most, so that
// applying it stays short; what is left follows at once.
const expireLimit = 1000

// expirePause is how long a failed expiry waits before it is tried again.
const expirePause = 50 * time.Millisecond

// expireLook is how long the expirer sleeps at most: its timer stands still
// while the machine is suspended, and doesn't notice a clock that is set.
const expireLook = time.Second

// Expirer is the actor that turns the passing of time into commands: while this
// member leads the shard, it proposes "expire what is due now" at the moment
// when the earliest expiration is due. It sleeps otherwise.
type Expirer struct {
	host    *raft.Host
	shard   uint64
	machine *statemachine.Machine
	propose func(stop <-chan struct{}, c *tree.Command) error
	log     *slog.Logger
	life    loop.Life
}

// NewExpirer returns the expirer of the shard, to which propose takes a command.
func NewExpirer(host *raft.Host, shard uint64, m *statemachine.Machine, propose func(stop <-chan struct{}, c *tree.Command) error, log *slog.Logger) *Expirer {
	return &Expirer{host: host, shard: shard, machine: m, propose: propose, log: log, life: loop.NewLife()}
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
		case <-x.machine.ExpiryWake():
		case <-x.life.Stopping():
			return nil
		}
	}
}

// step expires what is due, and returns how long to sleep; ok is false if
// nothing is going to be due.
func (x *Expirer) step() (wait time.Duration, ok bool) {
	at, ok, err := x.machine.NextExpiry()
	if err != nil {
		x.log.Error("reading expirations failed", "shard", x.shard, "err", err)
		return time.Second, true
	}
	if !ok {
		return 0, false
	}
	now := time.Now()
	if wait = time.Unix(0, at).Sub(now); wait > 0 {
		return min(wait, expireLook), true
	}
	if !x.host.Leads(x.shard) {
		return expirePause, true // the leader's business; unless it becomes ours
	}
	err = x.propose(x.life.Stopping(), &tree.Command{Op: tree.OpExpire, Key: "/", Now: now.UnixNano(), Limit: expireLimit})
	if err != nil {
		x.log.Warn("expiring keys failed; trying again", "shard", x.shard, "err", err)
		return expirePause, true
	}
	return 0, true
}

// Stop ends the loop and waits for it.
func (x *Expirer) Stop() { x.life.Halt() }
