package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"sync"
	"time"

	"copse/actors/loop"
	"copse/actors/peerlink"
	"copse/statemachine"

	"github.com/lni/dragonboat/v4"
	raft "github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// This file is what a Host does about replicas: it starts them, and changes who
// is a replica of a shard.

// engineMachine lends a machine to the engine, which closes what it is lent
// whenever it stops a replica. The machine outlives that: its owner closes it.
type engineMachine struct{ *statemachine.Machine }

var _ sm.IOnDiskStateMachine = engineMachine{}

func (engineMachine) Close() error { return nil }

// SaveSnapshot and the like are the machine's own.
func (m engineMachine) SaveSnapshot(state any, w io.Writer, stop <-chan struct{}) error {
	return m.Machine.SaveSnapshot(state, w, stop)
}

// Start is how this member's replica of a shard is started for the first time;
// a later start takes no notice of it.
type Start struct {
	Founders []uint64 // of a new cluster; none: the replica joins a running one
	Learning bool     // the replica has no vote yet
	Alone    bool     // there is no other voter
}

// StartReplica starts this member's replica of the shard. The caller closes m,
// after the host.
func (h *Host) StartReplica(shard uint64, m *statemachine.Machine, s Start) error {
	r := &h.replicas[shard]
	*r = replica{machine: engineMachine{m}, joined: len(s.Founders) == 0, learning: s.Learning, alone: s.Alone}
	if !r.joined {
		r.members = make(map[uint64]string, len(s.Founders))
		for _, id := range s.Founders {
			r.members[id] = peerlink.MemberUUID(id)
		}
	}
	return h.startReplica(shard)
}

func (h *Host) startReplica(shard uint64) (err error) {
	defer damage(&err)
	r := &h.replicas[shard]
	members, join := r.members, r.joined
	if h.nh.HasNodeInfo(shard, h.o.Replica) {
		members, join = nil, false // the engine has kept them
	}
	tickMS := uint64(h.tick / time.Millisecond)
	heartbeat := max(1, uint64(h.o.Heartbeat/time.Millisecond)/tickMS)
	election := max(3*heartbeat, uint64(h.o.Election/time.Millisecond)/tickMS*electionBase/10)
	if r.alone {
		heartbeat, election = 1, 10 // nobody else to agree with
	}
	create := func(uint64, uint64) sm.IOnDiskStateMachine { return r.machine }
	err = h.nh.StartOnDiskReplica(members, join, create, raft.Config{
		ReplicaID:           h.o.Replica,
		ShardID:             shard,
		IsNonVoting:         r.learning,
		CheckQuorum:         true,
		PreVote:             true,
		OrderedConfigChange: true,
		HeartbeatRTT:        heartbeat,
		ElectionRTT:         election,
		SnapshotEntries:     h.o.SnapshotCount,
		CompactionOverhead:  h.o.SnapshotCount / 5,
		MaxInMemLogSize:     64 << 20,
	})
	if err != nil {
		return fmt.Errorf("start shard %d: %w", shard, err)
	}
	return nil
}

// electionBase is how many tenths of the election time-out the engine is told. Its
// own time-outs are spread from one to two times that, and an election is refused
// by a member that heard of the leader within one: so now and then it takes a second
// one. With seven tenths, two are over within three seconds at etcd's default of one.
const electionBase = 7

// restartLimit bounds how long the engine may take to let a replica go.
const restartLimit = 10 * time.Second

// restart stops and starts the replica: the engine reads some settings at the
// start only. What is proposed meanwhile is refused as unsent.
func (h *Host) restart(stop <-chan struct{}, shard uint64, learning, alone bool) error {
	if err := h.nh.StopReplica(shard, h.o.Replica); err != nil {
		return fmt.Errorf("restart shard %d: %w", shard, err)
	}
	h.replicas[shard].learning, h.replicas[shard].alone = learning, alone
	late := time.NewTimer(restartLimit)
	defer late.Stop()
	for {
		err := h.startReplica(shard)
		if !errors.Is(err, dragonboat.ErrShardAlreadyExist) {
			return err
		}
		select {
		case <-time.After(retryPause):
		case <-late.C:
			return err
		case <-stop:
			return errStopped
		}
	}
}

// roll is who the replicas of a shard are, as of a moment after the call.
type roll struct {
	change   uint64 // what a change has to name, or it is refused as outdated
	voters   map[uint64]bool
	learners map[uint64]bool
	removed  map[uint64]bool
}

// rollLimit bounds one question to the engine about a shard's replicas.
const rollLimit = 2 * time.Second

func (h *Host) roll(shard uint64) (roll, error) {
	ctx, cancel := context.WithTimeout(context.Background(), rollLimit)
	defer cancel()
	m, err := h.nh.SyncGetShardMembership(ctx, shard)
	if err != nil {
		return roll{}, fmt.Errorf("read the replicas of shard %d: %w", shard, err)
	}
	r := roll{change: m.ConfigChangeID, voters: map[uint64]bool{}, learners: map[uint64]bool{}, removed: map[uint64]bool{}}
	for id := range maps.Keys(m.Nodes) {
		r.voters[id] = true
	}
	for id := range maps.Keys(m.NonVotings) {
		r.learners[id] = true
	}
	for id := range maps.Keys(m.Removed) {
		r.removed[id] = true
	}
	return r, nil
}

// addLearner makes member a replica without a vote.
func (h *Host) addLearner(shard, member, change uint64) error {
	return h.changeReplicas(func(limit time.Duration) (*dragonboat.RequestState, error) {
		return h.nh.RequestAddNonVoting(shard, member, peerlink.MemberUUID(member), change, limit)
	})
}

// addVoter gives member, which learns, its vote.
func (h *Host) addVoter(shard, member, change uint64) error {
	return h.changeReplicas(func(limit time.Duration) (*dragonboat.RequestState, error) {
		return h.nh.RequestAddReplica(shard, member, peerlink.MemberUUID(member), change, limit)
	})
}

// removeReplica takes member out, for ever.
func (h *Host) removeReplica(shard, member, change uint64) error {
	return h.changeReplicas(func(limit time.Duration) (*dragonboat.RequestState, error) {
		return h.nh.RequestDeleteReplica(shard, member, change, limit)
	})
}

// changeLimit is how long one change of a shard's replicas may take.
const changeLimit = 3 * time.Second

// changeReplicas waits for one change. Its outcome may stay unknown: whoever
// asked looks at the roll again.
func (h *Host) changeReplicas(request func(limit time.Duration) (*dragonboat.RequestState, error)) error {
	rs, err := request(changeLimit)
	if err != nil {
		return err
	}
	defer rs.Release()
	late := time.NewTimer(changeLimit + lateness)
	defer late.Stop()
	select {
	case r := <-rs.AppliedC():
		switch {
		case r.Completed():
			return nil
		case r.Rejected():
			return errOutdated
		default:
			return errUnsent
		}
	case <-late.C:
		return errTimeout
	}
}

// errOutdated says that a change of replicas was refused: another came before it.
var errOutdated = errors.New("the replicas have changed meanwhile")

// transfer asks the shard's leader, this member, to let another lead.
func (h *Host) transfer(shard, to uint64) error {
	return h.nh.RequestLeaderTransfer(shard, to)
}

// remembersVote reports whether the replica starts with a vote: whether the last
// snapshot of its log has it as a voter. Until then a start replays how it came to
// be a learner first, which the engine does only to one that is started so.
func (h *Host) remembersVote(shard uint64) (bool, error) {
	log, err := h.nh.GetLogReader(shard)
	if err != nil {
		return false, fmt.Errorf("read the raft log of shard %d: %w", shard, err)
	}
	_, votes := log.Snapshot().Membership.Addresses[h.o.Replica]
	return votes, nil
}

// successor is the voter, other than this member, that was heard of last; 0 if
// none was lately.
func (h *Host) successor(voters map[uint64]bool) uint64 {
	var to uint64
	latest := time.Now().Add(-2 * h.o.Election)
	for id := range voters {
		if heard := h.o.Link.LastHeard(id); id != h.o.Replica && heard.After(latest) {
			to, latest = id, heard
		}
	}
	return to
}

// voters are the voters of the shard as far as this member has applied its log.
func (h *Host) voters(shard uint64) map[uint64]bool {
	voters := map[uint64]bool{}
	for _, s := range h.nh.GetNodeHostInfo(dragonboat.NodeHostInfoOption{SkipLogInfo: true}).ShardInfoList {
		if s.ShardID == shard {
			for id := range s.Replicas {
				voters[id] = true
			}
		}
	}
	return voters
}

// votes reports whether member has a vote in any shard.
func (h *Host) votes(member uint64) bool {
	for shard := uint64(1); shard <= uint64(h.o.Shards); shard++ {
		if h.voters(shard)[member] {
			return true
		}
	}
	return false
}

// transferPause is how long a successor has to take a shard over before it, or
// another, is asked again: the engine doesn't tell of one that let its chance go by.
const transferPause = 500 * time.Millisecond

// transferTo lets another member, which to names, lead the shard, if this one does. It
// returns when another does, when there is none, or when ctx is done.
func (h *Host) transferTo(ctx context.Context, shard uint64, to func() uint64) {
	for h.Leads(shard) && ctx.Err() == nil {
		member := to()
		if member == 0 || h.transfer(shard, member) != nil {
			return
		}
		h.awaitLeft(shard)
	}
}

// awaitLeft waits until this member doesn't lead the shard any more, or for
// transferPause.
func (h *Host) awaitLeft(shard uint64) {
	again := time.NewTimer(transferPause)
	defer again.Stop()
	for h.Leads(shard) {
		select {
		case <-h.leaders[shard].left: // it may have rung for what was before
		case <-again.C:
			return
		}
	}
}

// replicaEvents hears of the engine's events. The engine waits for the listener,
// sometimes with a lock held, so it does no more than note and ring.
type replicaEvents struct {
	raftio.ISystemEventListener // the events that nobody here needs

	bell loop.Bell // rings when something has changed
	log  *slog.Logger

	mu      sync.Mutex
	deleted map[uint64]bool // shards that this member's replica has been taken out of
	away    map[string]bool // members that can't be reached, by the engine's address
}

func newReplicaEvents(log *slog.Logger) *replicaEvents {
	return &replicaEvents{
		ISystemEventListener: quietEvents{},
		bell:                 loop.NewBell(),
		log:                  log,
		deleted:              map[uint64]bool{},
		away:                 map[string]bool{},
	}
}

// ConnectionFailed implements raftio.ISystemEventListener.
func (e *replicaEvents) ConnectionFailed(info raftio.ConnectionInfo) {
	if e.turned(info.Address, true) {
		e.log.Warn("a member can't be reached; it is tried again", "component", "peers", "member", info.Address)
	}
}

// ConnectionEstablished implements raftio.ISystemEventListener.
func (e *replicaEvents) ConnectionEstablished(info raftio.ConnectionInfo) {
	if e.turned(info.Address, false) {
		e.log.Info("a member can be reached again", "component", "peers", "member", info.Address)
	}
}

// turned notes whether a member is away, and reports whether that is new.
func (e *replicaEvents) turned(member string, away bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.away[member]
	if away {
		e.away[member] = true
	} else {
		delete(e.away, member)
	}
	return before != away
}

// NodeDeleted implements raftio.ISystemEventListener: this member's replica has
// applied its own removal.
func (e *replicaEvents) NodeDeleted(info raftio.NodeInfo) {
	e.mu.Lock()
	e.deleted[info.ShardID] = true
	e.mu.Unlock()
	e.bell.Ring()
}

// MembershipChanged implements raftio.ISystemEventListener.
func (e *replicaEvents) MembershipChanged(raftio.NodeInfo) { e.bell.Ring() }

// gone reports whether this member's replica of the shard has been removed.
func (e *replicaEvents) gone(shard uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.deleted[shard]
}

// quietEvents takes no notice of anything.
type quietEvents struct{}

func (quietEvents) NodeHostShuttingDown()                       {}
func (quietEvents) NodeUnloaded(raftio.NodeInfo)                {}
func (quietEvents) NodeDeleted(raftio.NodeInfo)                 {}
func (quietEvents) NodeReady(raftio.NodeInfo)                   {}
func (quietEvents) MembershipChanged(raftio.NodeInfo)           {}
func (quietEvents) ConnectionEstablished(raftio.ConnectionInfo) {}
func (quietEvents) ConnectionFailed(raftio.ConnectionInfo)      {}
func (quietEvents) SendSnapshotStarted(raftio.SnapshotInfo)     {}
func (quietEvents) SendSnapshotCompleted(raftio.SnapshotInfo)   {}
func (quietEvents) SendSnapshotAborted(raftio.SnapshotInfo)     {}
func (quietEvents) SnapshotReceived(raftio.SnapshotInfo)        {}
func (quietEvents) SnapshotRecovered(raftio.SnapshotInfo)       {}
func (quietEvents) SnapshotCreated(raftio.SnapshotInfo)         {}
func (quietEvents) SnapshotCompacted(raftio.SnapshotInfo)       {}
func (quietEvents) LogCompacted(raftio.EntryInfo)               {}
func (quietEvents) LogDBCompacted(raftio.EntryInfo)             {}

// logEntry is one entry of a raft log.
type logEntry = raftpb.Entry

// tailPage is about how many bytes of the log are read at once.
const tailPage = 64 << 20

// tail reads the shard's log behind the entry after, committed or not.
func (h *Host) tail(shard, after uint64) ([]logEntry, error) {
	log, err := h.nh.GetLogReader(shard)
	if err != nil {
		return nil, fmt.Errorf("read the raft log of shard %d: %w", shard, err)
	}
	_, last := log.GetRange()
	var tail []logEntry
	for after < last {
		page, err := log.Entries(after+1, last+1, tailPage)
		if err != nil {
			return nil, fmt.Errorf("read the raft log of shard %d from %d: %w", shard, after+1, err)
		}
		if len(page) == 0 {
			break
		}
		tail = append(tail, page...)
		after = page[len(page)-1].Index
	}
	return tail, nil
}

// applyTail applies those of the entries that m hasn't applied yet.
func applyTail(m *statemachine.Machine, tail []logEntry) error {
	for _, e := range tail {
		if e.Index <= m.RaftIndex() {
			continue
		}
		var cmd []byte
		switch {
		case e.Type == raftpb.ApplicationEntry:
			cmd = e.Cmd
		case e.Type == raftpb.EncodedEntry && len(e.Cmd) > 0 && e.Cmd[0] == 0: // the engine's plain form, and all that copse uses
			cmd = e.Cmd[1:]
		case e.Type == raftpb.EncodedEntry:
			return fmt.Errorf("raft entry %d: unknown encoding", e.Index)
		}
		if len(cmd) == 0 {
			continue
		}
		if _, err := m.Update([]sm.Entry{{Index: e.Index, Cmd: cmd}}); err != nil {
			return err
		}
	}
	return nil
}

// begin is the first entry that the shard's log still holds.
func (h *Host) begin(shard uint64) (uint64, error) {
	log, err := h.nh.GetLogReader(shard)
	if err != nil {
		return 0, err
	}
	first, _ := log.GetRange()
	return first, nil
}
