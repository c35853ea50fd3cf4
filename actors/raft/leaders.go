package raft

import (
	"sync/atomic"
	"time"

	"copse/actors/loop"
	"copse/statemachine/recent"

	"github.com/lni/dragonboat/v4/raftio"
)

// Leaders knows who leads each shard and the highest raft terms, as dragonboat last
// reported. Shards count from 1.
type Leaders struct {
	self    uint64
	shown   func(uint64) uint64 // raft's term as clients see it
	shards  []leadership        // by shard id
	highest atomic.Uint64       // raft term of any shard; never falls
	changed loop.Bell           // rings when any leader has changed; see Replicas
	seen    recent.List[recent.LeaderChange]
}

// leadership is what dragonboat last reported about a shard. Its event goroutine
// writes it; anyone may read it.
type leadership struct {
	term  atomic.Uint64 // raft's; never falls
	came  atomic.Uint64 // changes of the leader, to a known one
	view  atomic.Pointer[Leader]
	ready chan struct{} // closed once a leader is known; owned by LeaderUpdated
	bell  loop.Bell     // rings when the leader or its term has changed; for the shard's actor
	left  loop.Bell     // likewise, for TransferTo
}

// Leader says who leads a shard. Member is 0 while no leader is known.
type Leader struct {
	Member uint64
	Term   uint64    // raft's, in which Member leads
	Last   uint64    // the present leader or, if there is none, the last one
	Since  time.Time // when Last became leader
}

func newLeaders(self uint64, shards int, changed loop.Bell) *Leaders {
	l := &Leaders{self: self, shown: func(raft uint64) uint64 { return raft }, shards: make([]leadership, shards+1), changed: changed}
	for i := range l.shards {
		s := &l.shards[i]
		s.view.Store(&Leader{})
		s.ready = make(chan struct{})
		s.bell, s.left = loop.NewBell(), loop.NewBell()
	}
	return l
}

// LeaderUpdated implements raftio.IRaftEventListener. dragonboat calls it on one
// goroutine and waits for it.
func (l *Leaders) LeaderUpdated(info raftio.LeaderInfo) {
	if info.ShardID >= uint64(len(l.shards)) {
		return
	}
	l.sawTerm(info.ShardID, info.Term)
	s := &l.shards[info.ShardID]
	next := *s.view.Load()
	if info.LeaderID == next.Member && (info.LeaderID == 0 || info.Term <= next.Term) {
		return
	}
	next.Member, next.Term = info.LeaderID, info.Term
	if next.Member != 0 && next.Member != next.Last {
		next.Last, next.Since = next.Member, time.Now()
	}
	s.view.Store(&next)
	l.note(info.ShardID)
	if next.Member != 0 {
		s.came.Add(1)
	}
	s.bell.Ring()
	s.left.Ring()
	l.changed.Ring()
	select {
	case <-s.ready:
	default:
		if info.LeaderID != 0 {
			close(s.ready)
		}
	}
}

// lost notes that no leader is known any more, after the shard's replica has stopped.
func (l *Leaders) lost(shard uint64) {
	s := &l.shards[shard]
	last := *s.view.Load()
	last.Member = 0
	s.view.Store(&last)
	l.note(shard)
	s.bell.Ring()
	s.left.Ring()
	l.changed.Ring()
}

// note adds a shard's present leader to the list of RecentChanges.
func (l *Leaders) note(shard uint64) {
	l.seen.Add(recent.LeaderChange{At: time.Now(), Shard: shard, Leader: l.Leader(shard).Member, Term: l.ShownTerm(shard)})
}

// RecentChanges are the last changes of leaders that this member has seen, the newest first.
func (l *Leaders) RecentChanges() []recent.LeaderChange { return l.seen.All() }

// sawTerm notes a term of the shard.
func (l *Leaders) sawTerm(shard, term uint64) {
	raise(&l.shards[shard].term, term)
	raise(&l.highest, term)
}

// raise sets n to at least to.
func raise(n *atomic.Uint64, to uint64) {
	for seen := n.Load(); to > seen && !n.CompareAndSwap(seen, to); seen = n.Load() {
	}
}

// ShowTermsAs sets the function from raft's terms to those that are shown. It must never fall while they don't.
// Call it before any replica is started.
func (l *Leaders) ShowTermsAs(shown func(raft uint64) uint64) { l.shown = shown }

// Self is this member's id.
func (l *Leaders) Self() uint64 { return l.self }

// Leader returns who leads the shard.
func (l *Leaders) Leader(shard uint64) Leader { return *l.shards[shard].view.Load() }

// Leads reports whether this member leads the shard.
func (l *Leaders) Leads(shard uint64) bool { return l.Leader(shard).Member == l.self }

// Ready is closed once the shard has had a leader.
func (l *Leaders) Ready(shard uint64) <-chan struct{} { return l.shards[shard].ready }

// LeaderChanged rings when the shard's leader has changed. It has one receiver, the
// shard's actor.
func (l *Leaders) LeaderChanged(shard uint64) <-chan struct{} { return l.shards[shard].bell }

// LeaderChanges is how many times this member has seen a leader of the shard come.
func (l *Leaders) LeaderChanges(shard uint64) uint64 { return l.shards[shard].came.Load() }

// ShownTerm is the highest term seen in the shard, as it is shown.
func (l *Leaders) ShownTerm(shard uint64) uint64 { return l.shown(l.shards[shard].term.Load()) }

// HighestTerm is the highest term seen in any shard, as it is shown.
func (l *Leaders) HighestTerm() uint64 { return l.shown(l.highest.Load()) }
