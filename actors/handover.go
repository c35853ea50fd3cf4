package actors

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"copse/actors/raft"
)

// This file is how a leader that stops hands its shard over without a write
// being lost. While the engine hands over it drops what other members send to the
// old leader, and tells nobody; and a successor that hasn't applied all that is
// committed lets its chance go by, again without a word. So all is brought to
// rest first:
//
//	leader                     each other member
//	  proposes nothing more
//	  ── callHold ─────────────▶ proposes nothing more
//	  ◀──────────────── answer ── has nothing under way, and applied all there is
//	  ── callHold ─────────────▶ has applied what came from members that answered later
//	  ◀──────────────── answer ──
//	  hands over                 hears of the new leader, and proposes again
//
// What waits meanwhile goes on waiting, for some milliseconds. Everybody gives up
// soon, and writes are then what they are when a leader dies: their outcome may be
// unknown.

// Limits of a handover.
const (
	restLimit     = 500 * time.Millisecond // until all is at rest
	holdLimit     = 2 * time.Second        // that a member holds its writes
	handOverLimit = 3 * time.Second        // until others lead
)

// With several shards nothing of that is needed. Only a data shard's leader proposes
// to it; what it proposed in vain it learns by the indexes, and goes to the next
// leader. Asks that are lost on their way to the order shard are asked again.

// HandOver lets other members lead what this one leads. It is to be called
// before the front-end stops, so that no client has to wait for an election. It
// reports whether all was at rest, so that no write can have been lost.
func (n *Member) HandOver() (rested bool) {
	n.leaving.Store(true)
	if n.several != nil {
		n.host.TransferAll(handOverLimit)
		return true
	}
	rested = true
	if n.host.Leads(orderShard) && len(n.host.Voters(orderShard)) > 1 {
		rested = n.rest()
	}
	n.host.TransferAll(handOverLimit)
	if n.host.Leads(orderShard) { // in vain: those who write here go on
		_ = n.parts[0].shard.Hold(context.Background(), nobody)
	}
	return rested
}

// rest brings the shard to rest, which this member leads. What takes too long, on
// a slow disk, is left alone: it reports false then.
func (n *Member) rest() bool {
	ctx, cancel := context.WithTimeout(context.Background(), restLimit)
	defer cancel()
	_ = n.parts[0].shard.Hold(ctx, n.self())
	n.askHold(ctx)
	n.askHold(ctx)
	return ctx.Err() == nil
}

// askHold asks all other members at once to hold their writes. One that doesn't
// answer has none that get through.
func (n *Member) askHold(ctx context.Context) {
	payload := binary.BigEndian.AppendUint64(nil, orderShard)
	var all sync.WaitGroup
	for _, m := range n.machine.Membership().Members {
		if m.ID != n.self() {
			all.Go(func() { _, _ = n.link.Call(ctx, m.ID, callHold, payload) })
		}
	}
	all.Wait()
}

// answerHold serves callHold.
func (n *Member) answerHold(ctx context.Context, from uint64, payload []byte) error {
	if !n.opened.Load() || n.several != nil || len(payload) != 8 || binary.BigEndian.Uint64(payload) != orderShard {
		return fmt.Errorf("this member holds no such shard: %x", payload)
	}
	if err := n.parts[0].shard.Hold(ctx, from); err != nil {
		return err
	}
	return n.host.Confirm(ctx.Done(), orderShard)
}

// hold asks a shard's actor to propose nothing while leader leads; settled is
// closed once nothing is under way.
type hold struct {
	leader  uint64
	settled chan struct{}
}

// nobody leads: to hold writes for it is to hold them no longer.
const nobody = 0

// held says whether, for whom and until when a shard's actor holds its writes.
type held struct {
	leader uint64 // nobody: it doesn't
	until  time.Time
	asked  []chan struct{} // to be closed
}

func (h held) on() bool { return h.leader != nobody }

// Hold makes the actor propose nothing until another than leader leads, or for
// holdLimit, and returns once nothing is under way. Writes wait meanwhile.
func (s *Shard) Hold(ctx context.Context, leader uint64) error {
	h := hold{leader: leader, settled: make(chan struct{})}
	select {
	case s.holds <- h:
	case <-s.life.Done():
		return raft.ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-h.settled:
		return nil
	case <-s.life.Done():
		return raft.ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold begins to hold writes, or ends it, unless it is another that leads.
func (s *Shard) hold(h hold) {
	if h.leader == nobody || s.host.Leader(s.id).Member == h.leader {
		s.held.leader, s.held.until = h.leader, time.Now().Add(holdLimit)
	}
	s.held.asked = append(s.held.asked, h.settled)
}

// answerHolds tells who asked for a hold once nothing is under way.
func (s *Shard) answerHolds() {
	if len(s.inflight) > 0 {
		return
	}
	for _, settled := range s.held.asked {
		close(settled)
	}
	s.held.asked = nil
}

// letGo ends the hold when another leads, or when it has lasted too long.
func (s *Shard) letGo(now time.Time) {
	leader := s.host.Leader(s.id).Member
	if leader != nobody && leader != s.held.leader || now.After(s.held.until) {
		s.held.leader = nobody
	}
}
