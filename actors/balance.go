package actors

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"copse/actors/loop"
)

// How the leaders are spread. A leader that has just come is left alone for
// balanceRest, one that couldn't be moved for balanceRetry.
const (
	balanceEvery = time.Second
	balanceRest  = 3 * time.Second
	balanceRetry = 30 * time.Second
	balanceLimit = time.Second // for the wanted leader to say where it stands
	balanceLag   = 64          // raft entries that it may be behind
)

// Balancer is the actor that spreads the leaders of several data shards over the
// members: where this member leads a shard that belongs with another, which is up
// and has caught up, it lets that one lead. The order shard stays where it is.
type Balancer struct {
	node  *Member
	life  loop.Life
	log   *slog.Logger
	again map[uint64]time.Time // by shard: when it may be tried again
}

// NewBalancer returns the balancer of the node, which has several data shards.
func NewBalancer(n *Member, log *slog.Logger) *Balancer {
	return &Balancer{node: n, life: loop.NewLife(), log: log, again: map[uint64]time.Time{}}
}

// Run is the actor's loop.
func (b *Balancer) Run() error {
	if !b.life.Begin() {
		return nil
	}
	defer b.life.End()
	ctx, cancel := context.WithCancel(context.Background())
	var stopping sync.WaitGroup
	defer stopping.Wait()
	defer cancel()
	stopping.Go(func() { // a call under way ends with the actor
		select {
		case <-b.life.Stopping():
			cancel()
		case <-ctx.Done():
		}
	})
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

// move lets go of one shard at most.
func (b *Balancer) move(ctx context.Context, now time.Time) {
	n := b.node
	if n.leaving.Load() {
		return
	}
	for _, p := range n.parts {
		leader := n.host.Leader(p.id)
		if leader.Member != n.self() || now.Sub(leader.Since) < balanceRest || now.Before(b.again[p.id]) {
			continue
		}
		to := wantedLeader(p.slot, n.host.Voters(p.id))
		if to == n.self() || to == nobody {
			continue
		}
		if err := n.askReady(ctx, to, p); err != nil {
			continue // it is away, or lags: it may come
		}
		b.again[p.id] = now.Add(balanceRetry)
		if err := n.host.Transfer(p.id, to); err != nil {
			b.log.Warn("a shard's leader should be another member, and can't be moved; trying again later", "shard", p.id, "member", fmt.Sprintf("%x", to), "err", err)
			continue
		}
		b.log.Info("another member is to lead a shard", "shard", p.id, "member", fmt.Sprintf("%x", to))
		return
	}
}

// wantedLeader is the voter that the shard of the slot belongs with: by turns, in
// the order of their ids.
func wantedLeader(slot int, voters map[uint64]bool) uint64 {
	if len(voters) == 0 {
		return nobody
	}
	return slices.Sorted(maps.Keys(voters))[slot%len(voters)]
}

var errLags = errors.New("it lags")

// askReady asks another member whether it could lead the part's shard at once.
func (n *Member) askReady(ctx context.Context, member uint64, p *part) error {
	ctx, cancel := context.WithTimeout(ctx, balanceLimit)
	defer cancel()
	here := p.machine.RaftIndex()
	answer, err := n.link.Call(ctx, member, callReady, binary.BigEndian.AppendUint64(nil, p.id))
	switch {
	case err != nil:
		return err
	case len(answer) != 8:
		return fmt.Errorf("member %x answers %d bytes", member, len(answer))
	case binary.BigEndian.Uint64(answer)+balanceLag < here:
		return errLags
	}
	return nil
}

// answerReady serves callReady: it tells how far this member has applied a shard,
// unless it is about to stop, or may not serve yet.
func (n *Member) answerReady(payload []byte) ([]byte, error) {
	if !n.opened.Load() || n.leaving.Load() || len(payload) != 8 {
		return nil, errors.New("this member isn't to lead")
	}
	p := n.part(binary.BigEndian.Uint64(payload))
	if p == nil {
		return nil, fmt.Errorf("this member has no such shard: %x", payload)
	}
	return binary.BigEndian.AppendUint64(nil, p.machine.RaftIndex()), nil
}
