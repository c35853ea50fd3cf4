package actors

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Limits of a leadership transfer.
const (
	restLimit     = 500 * time.Millisecond // until nothing is under way, and the successor has applied all of it
	readyPause    = 2 * time.Millisecond   // between two questions whether it has
	transferLimit = 3 * time.Second        // until others lead everything
)

// TransferLeadership lets other members lead what this one leads. It is to be called
// before the front-end stops, so that no client has to wait for an election. It reports
// whether all went as planned, so that no write has failed.
//
// The plan, for each shard: propose nothing more, wait until what was proposed is
// applied, here and by the successor, and then have dragonboat transfer. Otherwise
// dragonboat would silently drop what is proposed during the transfer, and a successor
// that has yet to apply something would silently not take over. What members submit
// waits here; it is refused as soon as this member no longer leads, and goes to the
// successor.
func (n *Member) TransferLeadership() (planned bool) {
	n.leaving.Store(true)
	return n.transferAll()
}

func (n *Member) transferAll() (planned bool) {
	ctx, cancel := context.WithTimeout(context.Background(), transferLimit)
	defer cancel()
	planned = true
	for shard := uint64(orderShard); shard < orderShard+uint64(len(n.machines())); shard++ {
		if n.host.Leads(shard) && len(n.host.Voters(shard)) > 1 {
			planned = n.transfer(ctx, n.part(shard), func() uint64 { return n.host.Successor(n.host.Voters(shard)) }) && planned
		}
	}
	return planned
}

// transfer lets another member lead the part's shard: the one that to names, which may
// be another each time, or nobody. It reports whether another member leads now, and all
// went as planned.
func (n *Member) transfer(ctx context.Context, p *part, to func() uint64) (planned bool) {
	planned = n.rest(ctx, p, to)
	n.host.TransferTo(ctx, p.id, to)
	if n.host.Leads(p.id) { // in vain: those who write here go on
		_ = p.actor.Resume(context.Background())
		return false
	}
	return planned
}

// rest pauses the part's actor, and waits until the other member could take over.
func (n *Member) rest(ctx context.Context, p *part, to func() uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, restLimit)
	defer cancel()
	if p.actor.Pause(ctx) != nil {
		return false
	}
	for ctx.Err() == nil {
		if member := to(); member != 0 && n.askReady(ctx, member, p, 0) == nil {
			return true
		}
		select {
		case <-time.After(readyPause):
		case <-ctx.Done():
		}
	}
	return false
}

// errLags is why a member can't lead a shard at once.
var errLags = errors.New("it has yet to apply what is in the log")

// readyLimit bounds how long a member may take to say whether it could lead.
const readyLimit = time.Second

// askReady asks another member whether it could lead the part's shard at once: it is
// at most lag raft entries behind this one.
func (n *Member) askReady(ctx context.Context, member uint64, p *part, lag uint64) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	here := p.machine.RaftIndex()
	answer, err := n.link.Call(ctx, member, callReady, binary.BigEndian.AppendUint64(nil, p.id))
	switch {
	case err != nil:
		return err
	case len(answer) != 8:
		return fmt.Errorf("member %x answers %d bytes", member, len(answer))
	case binary.BigEndian.Uint64(answer)+lag < here:
		return errLags
	}
	return nil
}

// answerReady serves callReady: it tells how far this member has applied a shard,
// unless it is about to stop, or may not serve yet.
func (n *Member) answerReady(payload []byte) ([]byte, error) {
	if !n.opened.Load() || n.leaving.Load() || len(payload) != 8 {
		return nil, errors.New("this member can't lead now")
	}
	p := n.part(binary.BigEndian.Uint64(payload))
	if p == nil {
		return nil, fmt.Errorf("this member has no such shard: %x", payload)
	}
	return binary.BigEndian.AppendUint64(nil, p.machine.RaftIndex()), nil
}

// balanced lets a Balancer see and move the leaders.
type balanced struct{ *Member }

// Leads implements order.Groups.
func (n balanced) Leads(shard uint64) (since time.Time, leads bool) {
	l := n.host.Leader(shard)
	return l.Since, l.Member == n.self() && !n.leaving.Load()
}

// Voters implements order.Groups.
func (n balanced) Voters(shard uint64) map[uint64]bool { return n.host.Voters(shard) }

// Ready implements order.Groups.
func (n balanced) Ready(ctx context.Context, member, shard, lag uint64) error {
	return n.askReady(ctx, member, n.part(shard), lag)
}

// Transfer implements order.Groups.
func (n balanced) Transfer(ctx context.Context, member, shard uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	n.transfer(ctx, n.part(shard), func() uint64 { return member })
	return !n.host.Leads(shard)
}
