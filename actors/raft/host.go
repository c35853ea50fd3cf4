package raft

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"copse/actors/loop"
	"copse/actors/peerlink"
	"copse/actors/raftlog"
	"copse/statemachine"
	"copse/statemachine/metric"

	"github.com/lni/dragonboat/v4"
	raft "github.com/lni/dragonboat/v4/config"
	"github.com/lni/vfs"
)

// Options configure a Host.
type Options struct {
	Dir            string // dragonboat's own directory
	Replica        uint64 // this member's id, and its replica's id in every shard
	Link           *peerlink.Link
	DeploymentID   uint64 // of this cluster: foreign traffic is dropped
	Shards         int    // raft groups
	ExecShards     uint64 // fixed in Dir at the first start
	Heartbeat      time.Duration
	Election       time.Duration
	SnapshotCount  uint64        // raft entries between two compactions of the log
	RequestTimeout time.Duration // of a proposal or a linearizable read
	LogExpected    bool          // Dir had a raft log before: without one, it is damaged
	// Fatal is called with the reason why raft can't go on: its disk fails, or its log
	// turns out to be damaged. It ends the process; nothing that raft was asked for is
	// answered afterwards. Nil: such an error panics.
	Fatal  func(error)
	Logger *slog.Logger
}

// Host is this member's dragonboat, with all of its replicas.
type Host struct {
	*Leaders
	*Proposer
	*Replicas

	nh   *dragonboat.NodeHost
	log  *raftlog.Factory
	o    Options
	tick time.Duration
}

// ErrDamaged is the cause if the raft log can't be read, or doesn't match the store.
var ErrDamaged = errors.New("the data directory is damaged: restore it from a backup, or start this member with an empty one")

// recoverDamage is deferred around dragonboat's start. It turns a panic, by which dragonboat
// reports files it can't make sense of, into err.
func recoverDamage(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w (%v)", ErrDamaged, r)
	}
}

// damagedError is one line about damage that a start finds.
type damagedError struct{ line string }

func (e damagedError) Error() string { return e.line }
func (e damagedError) Unwrap() error { return ErrDamaged }

// Damaged returns an error that is ErrDamaged and says what the format says.
func Damaged(format string, args ...any) error { return damagedError{fmt.Sprintf(format, args...)} }

// explain says what to do about a damaged raft log.
func explain(err error) error {
	var damaged *raftlog.Damage
	if !errors.As(err, &damaged) {
		return err
	}
	return Damaged("%v. Replace this member by a new one; if the cluster has no other, see `copse raftlog inspect`", damaged)
}

// fatal ends the process, since raft can't go on.
func (h *Host) fatal(err error) {
	if err = explain(err); h.o.Fatal == nil {
		panic(err)
	}
	h.o.Fatal(err)
}

// NewHost opens the raft log. Replicas.Start starts the replicas.
func NewHost(o Options) (*Host, error) { return newHost(o, vfs.Default) }

func newHost(o Options, files vfs.FS) (_ *Host, err error) {
	defer recoverDamage(&err)
	useLogger(o.Logger)
	changed := loop.NewBell()
	h := &Host{o: o, tick: tick(o), Leaders: newLeaders(o.Replica, o.Shards, changed)}
	h.Replicas = newReplicas(o, h.tick, changed)
	h.log = raftlog.New(raftlog.Options{Expected: o.LogExpected, Fatal: h.fatal, Logger: o.Logger})
	nh, err := dragonboat.NewNodeHost(h.config(files))
	if err != nil {
		if err = explain(err); !errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("start raft in %s: %w", o.Dir, err)
		}
		return nil, err
	}
	endWith(h.fatal)
	h.nh, h.Replicas.nh = nh, nh
	h.Proposer = newProposer(nh, o, h.Leaders)
	return h, nil
}

// Close stops all replicas and waits for that. It must be called once.
func (h *Host) Close() { h.nh.Close() }

// Campaign has this member's replicas stand for election that are alone and have no leader. A
// single member doesn't have to wait for its time-outs: nobody else could lead. What it has yet
// to apply keeps it from standing, so this is called again until it leads. After a crash it may
// have been alone only until some time ago, so what it has applied has to say so as well.
func (h *Host) Campaign() {
	for shard := uint64(1); shard <= uint64(h.o.Shards); shard++ {
		if h.Alone(shard) && h.Leader(shard).Member == 0 && len(h.Voters(shard)) == 1 {
			h.o.Link.Campaign(shard)
		}
	}
}

// longestTick bounds tick: dragonboat's own time-outs are late by up to three of them.
const longestTick = 100 * time.Millisecond

// tick is the unit of dragonboat's clock: a heartbeat, or an even part of one if that is long.
// Each tick wakes several goroutines, which is most of what an idle member does; and where it is
// a heartbeat, those of all shards are due at once and share frames. The time-out of an election
// has at least seven lengths to draw from, so that two members seldom stand at once. dragonboat
// refuses a request that may take less than a tick.
func tick(o Options) time.Duration {
	longest := max(time.Millisecond, min(longestTick, o.Election/10, o.RequestTimeout/2))
	parts := (o.Heartbeat + longest - 1) / longest
	return (o.Heartbeat / parts).Truncate(time.Millisecond)
}

// unusedAddress fills a field that dragonboat insists on and doesn't need, since the
// Link knows where members are.
const unusedAddress = "copse.invalid:2380"

func (h *Host) config(files vfs.FS) raft.NodeHostConfig {
	o := h.o
	logdb := raft.GetTinyMemLogDBConfig() // its store isn't used, but the directory is pinned to Shards
	logdb.Shards = o.ExecShards
	return raft.NodeHostConfig{
		DeploymentID:        o.DeploymentID,
		NodeHostDir:         o.Dir,
		RTTMillisecond:      uint64(h.tick / time.Millisecond),
		RaftAddress:         unusedAddress,
		NodeHostID:          peerlink.MemberUUID(o.Replica),
		RaftEventListener:   h.Leaders,
		SystemEventListener: h.Replicas,
		EnableMetrics:       true,
		MaxSendQueueSize:    64 << 20,
		MaxReceiveQueueSize: 64 << 20,
		Expert: raft.ExpertConfig{
			FS: snapshotFiles{files, h.fatal, &checkedSnapshots{}},
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

// CheckLog refuses a raft log and a store that don't belong together, because one of
// them was lost or replaced by an older copy: dragonboat would end the process when it
// notices, or answer from what is left. It also takes the term from the log, so that a
// member that finds no leader shows the term it has seen. It must be called before the
// replica is started.
func (h *Host) CheckLog(shard uint64, m *statemachine.Machine) error {
	log, there := h.log.Replica(shard, h.o.Replica)
	applied, snapshot := m.RaftIndex(), log.Snapshot
	switch {
	case there && m.Created():
		return fmt.Errorf("%w: the store of shard %d is gone", ErrDamaged, shard)
	case !there && applied > 0:
		return fmt.Errorf("%w: the raft log of shard %d is gone", ErrDamaged, shard)
	case there && log.Last < applied:
		return fmt.Errorf("%w: the log of shard %d ends at entry %d, but its store already holds entry %d", ErrDamaged, shard, log.Last, applied)
	case there && snapshot.Dummy && snapshot.OnDiskIndex > applied:
		return fmt.Errorf("%w: the store of shard %d ends at entry %d, but the log says that it held entry %d", ErrDamaged, shard, applied, snapshot.OnDiskIndex)
	}
	h.sawTerm(shard, log.Term)
	return nil
}

// compactKeep is the part of the entries since the last compaction that stays in the
// log, for replicas that lag a little: one in five.
const compactKeep = 5

// Compact truncates the shard's log up to overhead entries before the last one
// applied, once the machine has made them durable. It doesn't wait for that.
func (h *Host) Compact(shard uint64, overhead uint64) error {
	_, err := h.compact(shard, overhead)
	return err
}

// Snapshot takes a snapshot of the shard, and truncates its log as usual. It doesn't
// wait for that.
func (h *Host) Snapshot(shard uint64) error { return h.Compact(shard, h.o.SnapshotCount/compactKeep) }

// compact is Compact, for those who wait.
func (h *Host) compact(shard uint64, overhead uint64) (Request, error) {
	rs, err := h.nh.RequestSnapshot(shard, dragonboat.SnapshotOption{
		OverrideCompactionOverhead: true,
		CompactionOverhead:         overhead,
	}, h.o.RequestTimeout)
	return Request{rs}, err
}

// WriteMetrics writes what the raft log and dragonboat have counted.
func (h *Host) WriteMetrics(w *metric.Writer) {
	w.Family("copse_raft_log_sync_duration_seconds", metric.HistogramKind, "Syncs of the raft log: a write is acknowledged when a majority of members has synced it.")
	w.Histogram(h.log.Syncs)
	w.Counter("copse_raft_log_sync_failed_total", "Syncs of the raft log that failed.", h.log.Failed.Load())
	for _, name := range []string{"etcd_wal_fsync_durations_seconds", "etcd_disk_wal_fsync_duration_seconds"} {
		w.Family(name, metric.HistogramKind, "As etcd: syncs of the raft log.")
		w.Histogram(h.log.Syncs)
	}
	writeDragonboat(w)
}
