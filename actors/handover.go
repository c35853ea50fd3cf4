package actors

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// This file is how a leader that stops hands its shard over without a write
// being lost. While the engine hands over it drops what other members send to the
// old leader, and tells nobody. So they are asked first to hold their writes:
//
//	leader                    another member
//	  ── callHold ─────────────▶  proposes nothing more
//	  ◀──────────── answer ──     nothing is under way
//	  hands over                  holds on
//	                              hears of the new leader, and proposes again
//
// Both sides give up soon, and writes are then what they are when a leader dies:
// their outcome may be unknown.

// Limits of a handover.
const (
	handOverLimit = 3 * time.Second        // until others lead
	askHoldLimit  = 300 * time.Millisecond // until the others hold their writes
	holdLimit     = time.Second            // that writes are held
)

// HandOver lets other members lead what this one leads. It is to be called
// before the front-end stops, so that no client has to wait for an election.
func (n *Node) HandOver() {
	if n.host.Leads(orderShard) {
		n.askHold(orderShard)
	}
	n.host.HandOver(handOverLimit)
}

// askHold asks all other members at once to hold their writes to the shard. One
// that doesn't answer has none that get through.
func (n *Node) askHold(shard uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), askHoldLimit)
	defer cancel()
	payload := binary.BigEndian.AppendUint64(nil, shard)
	var all sync.WaitGroup
	for _, m := range n.machine.Membership().Members {
		if m.ID != n.self() {
			all.Go(func() { _, _ = n.link.Call(ctx, m.ID, callHold, payload) })
		}
	}
	all.Wait()
}

// answerHold serves callHold.
func (n *Node) answerHold(ctx context.Context, from uint64, payload []byte) error {
	if len(payload) != 8 || binary.BigEndian.Uint64(payload) != orderShard {
		return fmt.Errorf("this member has no such shard: %x", payload)
	}
	return n.router.shard.Hold(ctx, from)
}

// hold asks a shard's actor to propose nothing while leader leads. settled is
// closed once nothing is under way.
type hold struct {
	leader  uint64
	settled chan struct{}
}

// held says whether, for whom and until when a shard's actor holds its writes.
type held struct {
	leader uint64 // 0: it doesn't
	until  time.Time
	asked  []chan struct{} // to be closed
}

func (h held) on() bool { return h.leader != 0 }

// Hold makes the actor propose nothing until another than leader leads, or for a
// second, and returns once nothing is under way. What waits goes on waiting.
func (s *Shard) Hold(ctx context.Context, leader uint64) error {
	h := hold{leader: leader, settled: make(chan struct{})}
	select {
	case s.holds <- h:
	case <-s.life.done:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-h.settled:
		return nil
	case <-s.life.done:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold begins to hold writes, unless it is another that leads.
func (s *Shard) hold(h hold) {
	if h.leader == 0 || s.host.Leader(s.id).Member != h.leader {
		close(h.settled)
		return
	}
	s.held.leader, s.held.until = h.leader, time.Now().Add(holdLimit)
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
	if leader != 0 && leader != s.held.leader || now.After(s.held.until) {
		s.held.leader = 0
	}
}
