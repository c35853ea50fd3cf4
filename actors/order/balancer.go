package order

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"copse/actors/loop"
)

// How leaders are spread. A leader that has just come is left alone for balanceRest, and
// one that could not be moved for balanceRetry.
const (
	balanceEvery = time.Second
	balanceRest  = 3 * time.Second
	balanceRetry = 30 * time.Second
	balanceLag   = 64 // raft entries that the member which should lead may be behind
)

// Groups has what a Balancer needs of this member and its raft groups.
type Groups interface {
	// Leads reports whether this member leads the shard and may be balanced, and since
	// when.
	Leads(shard uint64) (since time.Time, leads bool)
	Voters(shard uint64) map[uint64]bool
	// Ready returns nil if the member could lead the shard at once: it is at most lag
	// raft entries behind this one.
	Ready(ctx context.Context, member, shard, lag uint64) error
	// Transfer lets the member lead the shard, and reports whether it does now.
	Transfer(ctx context.Context, member, shard uint64) bool
}

// Balancer is the actor that spreads the leaders of several data shards over the
// members: where this member leads a shard that should be led by another one, which is
// up and has caught up, it transfers the leadership. The order shard is not balanced.
type Balancer struct {
	self   uint64
	shards []uint64 // by slot
	groups Groups
	log    *slog.Logger
	life   loop.Life
	again  map[uint64]time.Time // by shard: when it may be tried again
}

// NewBalancer returns the balancer of the member self. shards are the data shards, by
// slot.
func NewBalancer(self uint64, shards []uint64, groups Groups, log *slog.Logger) *Balancer {
	return &Balancer{self: self, shards: shards, groups: groups, log: log, life: loop.NewLife(), again: map[uint64]time.Time{}}
}

// Run is the actor's loop.
func (b *Balancer) Run() error {
	if !b.life.Begin() {
		return nil
	}
	defer b.life.End()
	ctx, end := b.life.Context() // what is under way ends with the actor
	defer end()
	ticker := time.NewTicker(balanceEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			b.move(ctx, now)
		case <-b.life.Stopping():
			return nil
		}
	}
}

// Stop ends the loop and waits for it.
func (b *Balancer) Stop() { b.life.Halt() }

// move transfers the leadership of one shard at most.
func (b *Balancer) move(ctx context.Context, now time.Time) {
	for slot, shard := range b.shards {
		since, leads := b.groups.Leads(shard)
		if !leads || now.Sub(since) < balanceRest || now.Before(b.again[shard]) {
			continue
		}
		to := WantedLeader(slot, b.groups.Voters(shard))
		if to == 0 || to == b.self || b.groups.Ready(ctx, to, shard, balanceLag) != nil {
			continue // it is away, or lags: it may come
		}
		b.again[shard] = now.Add(balanceRetry)
		member := fmt.Sprintf("%x", to)
		if !b.groups.Transfer(ctx, to, shard) {
			b.log.Warn("the leadership of a shard could not be transferred to the member that should have it; trying again later", "shard", shard, "member", member)
			continue
		}
		b.log.Info("transferred the leadership of a shard, to spread the leaders", "shard", shard, "member", member)
		return
	}
}

// WantedLeader is the voter that should lead the shard of the slot: round robin, in the
// order of the voters' ids. Without voters it is 0.
func WantedLeader(slot int, voters map[uint64]bool) uint64 {
	if len(voters) == 0 {
		return 0
	}
	return slices.Sorted(maps.Keys(voters))[slot%len(voters)]
}
