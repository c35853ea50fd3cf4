package raft

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"copse/actors/loop"
	"copse/actors/peerlink"
	"copse/statemachine"

	"github.com/lni/dragonboat/v4"
	raft "github.com/lni/dragonboat/v4/config"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// Replicas starts this member's replicas, and changes which members have a replica of
// a shard. It listens to dragonboat's events; dragonboat waits for a listener,
// sometimes with a lock held, so a listener only notes the event and rings a bell.
type Replicas struct {
	quietEvents

	nh   *dragonboat.NodeHost
	o    Options
	tick time.Duration
	// own are this member's replicas by shard id. Written at the start, then by the
	// goroutine that changes replicas.
	own     []replica
	changed loop.Bell // rings when a leader or a shard's replicas have changed

	mu      sync.Mutex
	removed map[uint64]bool // shards that this member's replica was removed from
	away    map[string]bool // whether a member can't be reached, by dragonboat's address; unknown at first
}

// replica is one running replica, as it was started.
type replica struct {
	machine  borrowedMachine
	founders map[uint64]string // dragonboat's addresses by member; empty: it joined
	learning bool
	alone    atomic.Bool // started with the short time-outs of a single member
}

// borrowedMachine is a machine that dragonboat may close whenever it stops a replica.
// The machine outlives that: its owner closes it.
type borrowedMachine struct{ *statemachine.Machine }

var _ sm.IOnDiskStateMachine = borrowedMachine{}

// Close does nothing.
func (borrowedMachine) Close() error { return nil }

func newReplicas(o Options, tick time.Duration, changed loop.Bell) *Replicas {
	return &Replicas{
		o: o, tick: tick, own: make([]replica, o.Shards+1), changed: changed,
		removed: map[uint64]bool{}, away: map[string]bool{},
	}
}

// Start says how this member's replica of a shard is started for the first time.
// Later starts go by what dragonboat has stored.
type Start struct {
	Founders []uint64 // members of a new cluster; none: the replica joins a running one
	Learning bool     // the replica has no vote yet
	Alone    bool     // there is no other voter
}

// StartReplica starts this member's replica of the shard. The caller closes m, after
// the Host.
func (r *Replicas) StartReplica(shard uint64, m *statemachine.Machine, s Start) error {
	own := &r.own[shard]
	own.machine, own.learning = borrowedMachine{m}, s.Learning
	own.alone.Store(s.Alone)
	if len(s.Founders) > 0 {
		own.founders = make(map[uint64]string, len(s.Founders))
		for _, id := range s.Founders {
			own.founders[id] = peerlink.MemberUUID(id)
		}
	}
	return r.start(shard)
}

// Started reports whether this member's replica of the shard has ever been started: then who
// founded it is stored.
func (r *Replicas) Started(shard uint64) bool { return r.nh.HasNodeInfo(shard, r.o.Replica) }

// electionTenths is how many tenths of the election time-out dragonboat is given. It
// draws its own time-outs from one to two times the value it is given, and a member
// that has heard from the leader within that value refuses an election, so that
// occasionally a second one is needed. With seven tenths, two elections are over within
// three seconds at etcd's default of one.
const electionTenths = 7

func (r *Replicas) start(shard uint64) (err error) {
	defer recoverDamage(&err)
	own := &r.own[shard]
	founders, join := own.founders, len(own.founders) == 0
	if r.Started(shard) {
		founders, join = nil, false // dragonboat has stored them
	}
	tickMS := uint64(r.tick / time.Millisecond)
	heartbeat := max(1, uint64(r.o.Heartbeat/time.Millisecond)/tickMS)
	election := max(3*heartbeat, uint64(r.o.Election/time.Millisecond)/tickMS*electionTenths/10)
	if own.alone.Load() {
		heartbeat, election = 1, 3 // nobody else has to agree
	}
	create := func(uint64, uint64) sm.IOnDiskStateMachine { return own.machine }
	err = r.nh.StartOnDiskReplica(founders, join, create, raft.Config{
		ReplicaID:           r.o.Replica,
		ShardID:             shard,
		IsNonVoting:         own.learning,
		CheckQuorum:         true,
		PreVote:             true,
		OrderedConfigChange: true,
		HeartbeatRTT:        heartbeat,
		ElectionRTT:         election,
		SnapshotEntries:     0, // never by itself: see Compactor
		CompactionOverhead:  r.o.SnapshotCount / compactKeep,
		MaxInMemLogSize:     64 << 20,
	})
	if err != nil {
		return fmt.Errorf("start shard %d: %w", shard, err)
	}
	return nil
}

// restartLimit bounds how long dragonboat may take to release a replica.
const restartLimit = 10 * time.Second

// RestartReplica stops this member's replica of the shard and starts it as one voter
// among several: some of dragonboat's settings can't be changed otherwise. What is
// proposed meanwhile fails with ErrUnsent.
func (r *Replicas) RestartReplica(stop <-chan struct{}, shard uint64) error {
	if err := r.nh.StopReplica(shard, r.o.Replica); err != nil {
		return fmt.Errorf("restart shard %d: %w", shard, err)
	}
	r.own[shard].learning = false
	r.own[shard].alone.Store(false)
	late := time.NewTimer(restartLimit)
	defer late.Stop()
	for {
		err := r.start(shard)
		if !errors.Is(err, dragonboat.ErrShardAlreadyExist) {
			return err
		}
		select {
		case <-time.After(retryPause):
		case <-late.C:
			return err
		case <-stop:
			return ErrStopped
		}
	}
}

// StopReplicas stops all of this member's replicas, so that it votes no more and applies
// nothing more. They can't be started again. What is proposed afterwards fails with
// ErrUnsent.
func (h *Host) StopReplicas() error {
	var all error
	for shard := uint64(1); shard <= uint64(h.o.Shards); shard++ {
		if err := h.nh.StopReplica(shard, h.o.Replica); err != nil && !errors.Is(err, dragonboat.ErrShardNotFound) {
			all = errors.Join(all, fmt.Errorf("stop the replica of shard %d: %w", shard, err))
		}
		h.lost(shard)
	}
	return all
}

// Learning reports whether this member's replica of the shard runs without a vote.
func (r *Replicas) Learning(shard uint64) bool { return r.own[shard].learning }

// EndLearning records that this member's replica, which dragonboat has turned into a
// voter, has its vote for good.
func (r *Replicas) EndLearning(shard uint64) { r.own[shard].learning = false }

// Alone reports whether this member's replica of the shard runs with the short
// time-outs of a single member.
func (r *Replicas) Alone(shard uint64) bool { return r.own[shard].alone.Load() }

// Changed rings when a shard's leader or replicas have changed. It has one receiver.
func (r *Replicas) Changed() <-chan struct{} { return r.changed }

// Removed reports whether this member's replica of the shard was removed.
func (r *Replicas) Removed(shard uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed[shard]
}

// VoterSet is which members have a replica of a shard.
type VoterSet struct {
	Change   uint64 // a change has to name this, or it is refused as outdated
	Voters   map[uint64]bool
	Learners map[uint64]bool // replicas without a vote
	Removed  map[uint64]bool // can never come back
}

// questionLimit bounds one question to a shard about its replicas.
const questionLimit = 2 * time.Second

// VoterSet asks the shard, linearizably, which members have a replica.
func (r *Replicas) VoterSet(shard uint64) (VoterSet, error) {
	ctx, cancel := context.WithTimeout(context.Background(), questionLimit)
	defer cancel()
	m, err := r.nh.SyncGetShardMembership(ctx, shard)
	if err != nil {
		return VoterSet{}, fmt.Errorf("read the replicas of shard %d: %w", shard, err)
	}
	set := VoterSet{Change: m.ConfigChangeID, Voters: map[uint64]bool{}, Learners: map[uint64]bool{}, Removed: map[uint64]bool{}}
	for id := range maps.Keys(m.Nodes) {
		set.Voters[id] = true
	}
	for id := range maps.Keys(m.NonVotings) {
		set.Learners[id] = true
	}
	for id := range maps.Keys(m.Removed) {
		set.Removed[id] = true
	}
	return set, nil
}

// Voters are the shard's voters as far as this member has applied its log.
func (r *Replicas) Voters(shard uint64) map[uint64]bool {
	voters := map[uint64]bool{}
	for _, s := range r.nh.GetNodeHostInfo(dragonboat.NodeHostInfoOption{SkipLogInfo: true}).ShardInfoList {
		if s.ShardID == shard {
			for id := range s.Replicas {
				voters[id] = true
			}
		}
	}
	return voters
}

// Votes reports whether member has a vote in any shard.
func (r *Replicas) Votes(member uint64) bool {
	for shard := uint64(1); shard <= uint64(r.o.Shards); shard++ {
		if r.Voters(shard)[member] {
			return true
		}
	}
	return false
}

// AddLearner gives member a replica without a vote.
func (r *Replicas) AddLearner(shard, member, change uint64) error {
	return awaitChange(func(limit time.Duration) (*dragonboat.RequestState, error) {
		return r.nh.RequestAddNonVoting(shard, member, peerlink.MemberUUID(member), change, limit)
	})
}

// AddVoter gives a vote to member, whose replica has none.
func (r *Replicas) AddVoter(shard, member, change uint64) error {
	return awaitChange(func(limit time.Duration) (*dragonboat.RequestState, error) {
		return r.nh.RequestAddReplica(shard, member, peerlink.MemberUUID(member), change, limit)
	})
}

// RemoveReplica removes member's replica for good.
func (r *Replicas) RemoveReplica(shard, member, change uint64) error {
	return awaitChange(func(limit time.Duration) (*dragonboat.RequestState, error) {
		return r.nh.RequestDeleteReplica(shard, member, change, limit)
	})
}

// changeLimit bounds how long one change of a shard's replicas may take.
const changeLimit = 3 * time.Second

// ErrOutdated says that a change of replicas was refused because another one came
// first.
var ErrOutdated = errors.New("the replicas have changed meanwhile")

// awaitChange waits for one change. Its outcome may stay unknown: the caller should
// look at the VoterSet again.
func awaitChange(request func(limit time.Duration) (*dragonboat.RequestState, error)) error {
	rs, err := request(changeLimit)
	if err != nil {
		return err
	}
	defer rs.Release()
	late := time.NewTimer(changeLimit + lateness)
	defer late.Stop()
	select {
	case result := <-rs.AppliedC():
		switch {
		case result.Completed():
			return nil
		case result.Rejected():
			return ErrOutdated
		default:
			return ErrUnsent
		}
	case <-late.C:
		return ErrTimeout
	}
}
