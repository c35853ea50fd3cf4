package actors

import (
	"time"

	"copse/actors/peerlink"
	"copse/actors/raft"
	"copse/actors/shard"
)

// group is the raft group of one shard, as the shard's actors need it.
type group struct {
	host  *raft.Host
	shard uint64
}

// Lead implements shard.Raft.
func (g group) Lead() shard.Lead {
	l := g.host.Leader(g.shard)
	return shard.Lead{Member: l.Member, Term: l.Term}
}

// LeadChanged implements shard.Raft.
func (g group) LeadChanged() <-chan struct{} { return g.host.LeaderChanged(g.shard) }

// HighestTerm implements shard.Raft.
func (g group) HighestTerm() uint64 { return g.host.HighestTerm() }

// Propose implements shard.Raft.
func (g group) Propose(cmd []byte) (shard.Entry, error) { return g.host.Propose(g.shard, cmd) }

// Confirm makes reads of this member see all that was acknowledged before the call.
func (g group) Confirm(stop <-chan struct{}) error { return g.host.Confirm(stop, g.shard) }

// post sends the shard actors' messages over the peer link.
type post struct{ link *peerlink.Link }

// PostSubmission implements shard.Link.
func (p post) PostSubmission(member, group uint64, s *shard.Submission) bool {
	buf := make([]byte, 0, 96+len(s.Commands))
	return p.link.Post(member, postSubmission, shard.AppendSubmission(buf, group, s, time.Now()))
}

// PostRefusal implements shard.Link.
func (p post) PostRefusal(group uint64, r shard.Refusal) bool {
	return p.link.Post(r.To, postRefusal, shard.AppendRefusal(nil, group, r))
}

// receive takes in what another member has posted.
func (n *Member) receive(from uint64, kind uint8, payload []byte) {
	if !n.opened.Load() {
		return // this member leads nothing yet, and has submitted nothing
	}
	var err error
	switch kind {
	case postSubmission:
		var id uint64
		var s shard.Submission
		if id, s, err = shard.ReadSubmission(payload, from, n.sharded != nil, time.Now()); err == nil {
			if p := n.part(id); p != nil {
				p.actor.Submitted(s)
			}
		}
	case postRefusal:
		var id uint64
		var r shard.Refusal
		if id, r, err = shard.ReadRefusal(payload); err == nil {
			if p := n.part(id); p != nil {
				p.actor.Refused(r)
			}
		}
	}
	if err != nil {
		n.o.Logger.Warn("dropped a malformed message of another member", "component", "peers", "member", from, "err", err)
	}
}
