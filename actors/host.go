package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"copse/actors/peerlink"
	"copse/actors/raftlog"
	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"
	raft "github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
)

// HostOptions are what a Host is made with.
type HostOptions struct {
	Dir            string // dragonboat's own directory
	Replica        uint64 // this member's id, its replica's id in every shard
	Link           *peerlink.Link
	DeploymentID   uint64 // of this cluster: foreign traffic is dropped
	Shards         int    // raft groups
	ExecShards     uint64 // frozen into Dir at first start
	Heartbeat      time.Duration
	Election       time.Duration
	SnapshotCount  uint64        // raft entries between two compactions of the log
	RequestTimeout time.Duration // of a proposal or a linearizable read
	LogExpected    bool          // Dir had a raft log before: without one, it is damaged
	// Fatal is told why raft can't go on: its disk fails, or its log turns out to be
	// damaged. It ends the process, with exitCode(err); nothing that raft was asked for
	// is answered afterwards. Nil: such an error panics.
	Fatal  func(error)
	Logger *slog.Logger
}

// Host is the one place that speaks to dragonboat: it starts replicas, proposes
// raft entries, confirms reads, and knows who leads.
type Host struct {
	nh      *dragonboat.NodeHost
	log     *raftlog.Factory
	o       HostOptions
	tick    time.Duration
	leaders []leadership  // by shard id; shards count from 1
	highest atomic.Uint64 // raft term of any shard; never falls
	// replicas are by shard id too. Written at the start, then by the owner of the
	// membership alone.
	replicas []replica
	events   *replicaEvents
	// sessions are what proposals are made with, by shard id: the engine's
	// no-op sessions, for it keeps no client sessions for stores on disk.
	sessions []*client.Session
}

// replica is one running replica, as it was started.
type replica struct {
	machine  engineMachine
	members  map[uint64]string // of a founder
	joined   bool
	learning bool
	alone    bool // started with the quick clock of a single member
}

// leadership is what the engine last said of a shard. Written by its event
// goroutine, read from anywhere.
type leadership struct {
	term  atomic.Uint64 // never falls
	came  atomic.Uint64 // leaders that have come
	view  atomic.Pointer[Leader]
	ready chan struct{} // closed once a leader is known; owned by LeaderUpdated
	bell  chan struct{} // rings when the leader has changed; capacity 1
	left  chan struct{} // likewise, for HandOver
}

// Leader says who leads a shard. Member is 0 while nobody is known to.
type Leader struct {
	Member uint64
	Last   uint64    // who leads or, while nobody does, did last
	Since  time.Time // Last has been it
}

// ErrRaftDamaged is the cause where the raft log can't be read, or doesn't match
// the store.
var ErrRaftDamaged = errors.New("the data directory is damaged: restore it from a backup, or start this member afresh")

// damage, deferred around the engine's start, turns its panic into err: that is
// how the engine tells of files that it can't make sense of.
func damage(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w (%v)", ErrRaftDamaged, r)
	}
}

// explain says what to do about a damaged raft log.
func explain(err error) error {
	var damaged *raftlog.Damage
	if !errors.As(err, &damaged) {
		return err
	}
	return dirErrorf(ErrRaftDamaged, "%v. Replace this member by a fresh one; if the cluster has no other, see `copse raftlog inspect`", damaged)
}

// fatal ends the process for a reason that raft can't go on after.
func (h *Host) fatal(err error) {
	if err = explain(err); h.o.Fatal == nil {
		panic(err)
	}
	h.o.Fatal(err)
}

// NewHost opens dragonboat's directory and its port.
func NewHost(o HostOptions) (_ *Host, err error) {
	defer damage(&err)
	useLogger(o.Logger)
	h := &Host{o: o, tick: tick(o), leaders: make([]leadership, o.Shards+1), replicas: make([]replica, o.Shards+1), events: newReplicaEvents(o.Logger)}
	for i := range h.leaders {
		h.leaders[i].view.Store(&Leader{})
		h.leaders[i].ready = make(chan struct{})
		h.leaders[i].bell = make(chan struct{}, 1)
		h.leaders[i].left = make(chan struct{}, 1)
	}
	h.log = raftlog.New(raftlog.Options{Expected: o.LogExpected, Fatal: h.fatal, Logger: o.Logger})
	nh, err := dragonboat.NewNodeHost(h.engineConfig())
	if err != nil {
		if err = explain(err); !errors.Is(err, ErrRaftDamaged) {
			err = fmt.Errorf("start raft in %s: %w", o.Dir, err)
		}
		return nil, err
	}
	h.nh = nh
	endWith(h.fatal)
	for shard := range h.leaders {
		h.sessions = append(h.sessions, nh.GetNoOPSession(uint64(shard)))
	}
	return h, nil
}

// tick is the engine's clock: a single member elects itself after ten ticks, so
// its start is quick; a cluster keeps to etcd's heartbeat.
func tick(o HostOptions) time.Duration {
	return min(5*time.Millisecond, o.Heartbeat)
}

// engineAddress fills a field that the engine wants and, since the Link knows
// where members are, has no use for.
const engineAddress = "copse.invalid:2380"

func (h *Host) engineConfig() raft.NodeHostConfig {
	o := h.o
	logdb := raft.GetTinyMemLogDBConfig() // its store isn't used, but the directory is pinned to Shards
	logdb.Shards = o.ExecShards
	return raft.NodeHostConfig{
		DeploymentID:        o.DeploymentID,
		NodeHostDir:         o.Dir,
		RTTMillisecond:      uint64(h.tick / time.Millisecond),
		RaftAddress:         engineAddress,
		NodeHostID:          peerlink.MemberUUID(o.Replica),
		RaftEventListener:   h,
		SystemEventListener: h.events,
		EnableMetrics:       true,
		MaxSendQueueSize:    64 << 20,
		MaxReceiveQueueSize: 64 << 20,
		Expert: raft.ExpertConfig{
			Engine: raft.EngineConfig{
				ExecShards:     o.ExecShards,
				CommitShards:   1,
				ApplyShards:    uint64(o.Shards) + 1,
				SnapshotShards: 4,
				CloseShards:    uint64(o.Shards) + 1,
			},
			LogDB:               logdb,
			LogDBFactory:        h.log,
			TransportFactory:    o.Link.TransportFactory(),
			NodeRegistryFactory: o.Link.RegistryFactory(),
		},
	}
}

// LeaderUpdated implements raftio.IRaftEventListener. The engine calls it on
// one goroutine and waits for it.
func (h *Host) LeaderUpdated(info raftio.LeaderInfo) {
	if info.ShardID >= uint64(len(h.leaders)) {
		return
	}
	l := &h.leaders[info.ShardID]
	raise(&l.term, info.Term)
	raise(&h.highest, info.Term)
	next := *l.view.Load()
	if info.LeaderID == next.Member {
		return
	}
	next.Member = info.LeaderID
	if next.Member != 0 && next.Member != next.Last {
		next.Last, next.Since = next.Member, time.Now()
	}
	l.view.Store(&next)
	if next.Member != 0 {
		l.came.Add(1)
	}
	ringBell(l.bell)
	ringBell(l.left)
	ringBell(h.events.bell)
	select {
	case <-l.ready:
	default:
		if info.LeaderID != 0 {
			close(l.ready)
		}
	}
}

// raise makes n at least to.
func raise(n *atomic.Uint64, to uint64) {
	for seen := n.Load(); to > seen && !n.CompareAndSwap(seen, to); seen = n.Load() {
	}
}

// LeaderChanged is the bell that rings when the shard's leader has changed. It
// is the shard's actor's.
func (h *Host) LeaderChanged(shard uint64) <-chan struct{} { return h.leaders[shard].bell }

// LeaderChanges is how many leaders of the shard this member has seen come.
func (h *Host) LeaderChanges(shard uint64) uint64 { return h.leaders[shard].came.Load() }

// Leader returns who leads the shard.
func (h *Host) Leader(shard uint64) Leader { return *h.leaders[shard].view.Load() }

// Term returns the highest raft term seen in the shard.
func (h *Host) Term(shard uint64) uint64 { return h.leaders[shard].term.Load() }

// HighestTerm returns the highest raft term seen in any shard.
func (h *Host) HighestTerm() uint64 { return h.highest.Load() }

// Leads reports whether this member leads the shard.
func (h *Host) Leads(shard uint64) bool { return h.Leader(shard).Member == h.o.Replica }

// checkLog refuses a raft log and a store that don't belong together: one of them was
// lost, or replaced by an older copy. The engine would end the process where it notices,
// or answer from what is left. It takes the term from the log as well: a member that finds
// no leader shows the one that it has seen. It is to be called before StartReplica.
func (h *Host) checkLog(shard uint64, m *statemachine.Machine) error {
	log, there := h.log.Replica(shard, h.o.Replica)
	applied, ss := m.RaftIndex(), log.Snapshot
	switch {
	case there && m.Created():
		return fmt.Errorf("%w: the store of shard %d is gone", ErrRaftDamaged, shard)
	case !there && applied > 0:
		return fmt.Errorf("%w: the raft log of shard %d is gone", ErrRaftDamaged, shard)
	case there && log.Last < applied:
		return fmt.Errorf("%w: the log of shard %d ends at entry %d, its store holds entry %d already", ErrRaftDamaged, shard, log.Last, applied)
	case there && ss.Dummy && ss.OnDiskIndex > applied:
		return fmt.Errorf("%w: the store of shard %d ends at entry %d, and the log says that it held entry %d", ErrRaftDamaged, shard, applied, ss.OnDiskIndex)
	}
	raise(&h.leaders[shard].term, log.Term)
	raise(&h.highest, log.Term)
	return nil
}

// Compact lets the shard's log go up to overhead entries before the last one
// applied, once the machine has made them durable. It doesn't wait.
func (h *Host) Compact(shard uint64, overhead uint64) error {
	_, err := h.compact(shard, overhead)
	return err
}

// compact is Compact, to be waited for.
func (h *Host) compact(shard uint64, overhead uint64) (proposal, error) {
	rs, err := h.nh.RequestSnapshot(shard, dragonboat.SnapshotOption{
		OverrideCompactionOverhead: true,
		CompactionOverhead:         overhead,
	}, h.o.RequestTimeout)
	return proposal{rs}, err
}

// Ready returns a channel that is closed once the shard has had a leader.
func (h *Host) Ready(shard uint64) <-chan struct{} { return h.leaders[shard].ready }

// Close stops all replicas, closes their machines and waits for that. Once.
func (h *Host) Close() { h.nh.Close() }

// lateness is how long after the engine's own time-out an answer is given up:
// the engine's clock stands still while its disk does.
const lateness = 500 * time.Millisecond

// patience is how long an outcome is waited for before it may be lost: a leader
// that lives answers within an election time-out, unless its disk is slow.
func (h *Host) patience() time.Duration { return min(2*h.o.Election, h.o.RequestTimeout) }

// errUnsent says that a request did not enter the raft log, and may be tried
// again: the engine is busy, or the shard has no leader at the moment.
var errUnsent = errors.New("no leader is known")

// proposal is one raft entry, or one round of a linearizable read, under way.
type proposal struct{ rs *dragonboat.RequestState }

// propose puts cmd, which is copied, on its way into the shard's log. It fails
// with errUnsent where trying again is safe, or with another error.
func (h *Host) propose(shard uint64, cmd []byte) (proposal, error) {
	rs, err := h.nh.Propose(h.sessions[shard], cmd, h.o.RequestTimeout)
	return proposal{rs}, refusal(err)
}

// confirm starts to make sure that reads of the shard, once the proposal has
// settled, see all that was acknowledged before the call.
func (h *Host) confirm(shard uint64, patience time.Duration) (proposal, error) {
	rs, err := h.nh.ReadIndex(shard, patience)
	return proposal{rs}, refusal(err)
}

// longer is how long to wait for a round after one that was waited for in vain
// for so long; 0 is none yet. A round that is lost with a leader, or comes before
// a new one is ready for it, is never answered, and nobody tells: so the first is
// given up soon. A slow leader gets ever more time.
func (h *Host) longer(patience time.Duration) time.Duration {
	return min(max(2*patience, h.o.Heartbeat), h.patience())
}

func refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dragonboat.ErrSystemBusy), errors.Is(err, dragonboat.ErrShardNotReady),
		errors.Is(err, dragonboat.ErrShardNotFound), errors.Is(err, dragonboat.ErrShardNotInitialized):
		return errUnsent
	default:
		return err
	}
}

// settled receives the outcome, once.
func (p proposal) settled() <-chan dragonboat.RequestResult {
	if p.rs == nil {
		return nil
	}
	return p.rs.AppliedC()
}

// Errors of an outcome, in the words of v2's causes.
var (
	errTimeout    = errors.New("etcdserver: request timed out")
	errLeaderLost = errors.New("etcdserver: request timed out, possibly due to previous leader failure")
	errStopped    = errors.New("etcdserver: server stopped")
)

// outcome reads what settled has received. data is the state machine's answer
// and raftIndex the entry's, if err is nil. err is errUnsent if the entry
// provably didn't enter the log.
func (p proposal) outcome(r dragonboat.RequestResult) (data []byte, raftIndex uint64, err error) {
	defer p.rs.Release()
	switch {
	case r.Completed():
		result := r.GetResult()
		return result.Data, result.Value, nil
	case r.Dropped():
		return nil, 0, errUnsent
	case r.Timeout():
		return nil, 0, errTimeout
	default:
		return nil, 0, errStopped
	}
}

// retryPause is how long to wait before something unsent is tried again.
const retryPause = 5 * time.Millisecond

// do runs start until its request has settled; it gives up at the request
// time-out, or when stop is closed. data is the state machine's answer.
func (h *Host) do(stop <-chan struct{}, start func() (proposal, error)) (data []byte, raftIndex uint64, err error) {
	late := time.NewTimer(h.o.RequestTimeout + lateness)
	defer late.Stop()
	for {
		p, err := start()
		if err == nil {
			select {
			case r := <-p.settled():
				data, raftIndex, err = p.outcome(r)
			case <-late.C:
				return nil, 0, errTimeout
			case <-stop:
				return nil, 0, errStopped
			}
		}
		if !errors.Is(err, errUnsent) {
			return data, raftIndex, err
		}
		select {
		case <-time.After(retryPause):
		case <-late.C:
			return nil, 0, errTimeout
		case <-stop:
			return nil, 0, errStopped
		}
	}
}

// Propose proposes one command by itself and waits for it.
func (h *Host) Propose(stop <-chan struct{}, shard uint64, c *tree.Command) error {
	_, err := h.Decide(stop, shard, c)
	return err
}

// Decide proposes one command by itself and returns its reply.
func (h *Host) Decide(stop <-chan struct{}, shard uint64, c *tree.Command) (tree.Reply, error) {
	cmd := tree.AppendCommand(tree.AppendBatch(nil, h.o.Replica, 1), c)
	data, raftIndex, err := h.do(stop, func() (proposal, error) { return h.propose(shard, cmd) })
	if err != nil {
		return tree.Reply{}, err
	}
	r, _, _ := statemachine.CutReply(data)
	r.State.RaftIndex, r.State.RaftTerm = raftIndex, h.HighestTerm()
	return r, nil
}

// Confirm waits until reads of the shard see all that was acknowledged before.
// A round leaves no trace, so another is tried after one that may have been lost.
func (h *Host) Confirm(stop <-chan struct{}, shard uint64) error {
	began := time.Now()
	var patience time.Duration
	for {
		patience = h.longer(patience)
		_, _, err := h.do(stop, func() (proposal, error) { return h.confirm(shard, patience) })
		if !errors.Is(err, errTimeout) || time.Since(began) >= h.o.RequestTimeout {
			return err
		}
	}
}
