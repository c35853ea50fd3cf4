package raftlog

import (
	"fmt"
	"sync/atomic"

	"copse/statemachine/metric"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// name is what dragonboat writes down of its log store, and asks for at the next start.
const name = "copse-raftlog"

// Factory makes the log for an engine. It is a config.LogDBFactory.
type Factory struct {
	o Options
	counts
	made atomic.Pointer[raftLog]
}

// New returns a factory of logs with these options.
func New(o Options) *Factory {
	return &Factory{o: o, counts: counts{Syncs: metric.NewDurations()}}
}

// Name implements config.LogDBFactory.
func (f *Factory) Name() string { return name }

// Subdirectory is where the log is in the directory that dragonboat gives it.
const Subdirectory = "log"

// Create implements config.LogDBFactory: it opens the log below the first directory. An
// error is a *Damage if the log is damaged.
func (f *Factory) Create(_ config.NodeHostConfig, _ config.LogDBCallback, dirs, _ []string) (raftio.ILogDB, error) {
	dir, err := openDirectory(directory(dirs[0]).Path(Subdirectory))
	if err != nil {
		return nil, fmt.Errorf("open the raft log: %w", err)
	}
	l, err := open(dir, f.o, &f.counts)
	if err != nil {
		return nil, err
	}
	f.made.Store(l)
	return l, nil
}

// Replica is what a log holds of a replica.
type Replica struct {
	First, Last uint64 // entries; Last is First-1 if there is none
	Term        uint64
	Snapshot    pb.Snapshot // its Index is 0 if there is none
}

// Replica returns what the open log holds of a replica that was bootstrapped.
func (f *Factory) Replica(shard, replica uint64) (Replica, bool) {
	l := f.made.Load()
	l.mu.RLock()
	defer l.mu.RUnlock()
	r := l.index.replicas[node(shard, replica)]
	if r == nil || r.bootstrap == nil {
		return Replica{}, false
	}
	known := Replica{First: r.first, Last: r.last(), Term: r.state.Term}
	if r.snapshot != nil {
		pb.MustUnmarshal(&known.Snapshot, r.snapshot)
	}
	return known, true
}

func node(shard, replica uint64) raftio.NodeInfo { return raftio.GetNodeInfo(shard, replica) }

// Name implements raftio.ILogDB, as all below. No method returns an error of the disk's:
// see Options.Fatal.
func (l *raftLog) Name() string { return name }

// BinaryFormat is the version of the format, for dragonboat's own notes.
func (l *raftLog) BinaryFormat() uint32 { return raftio.PlainLogDBBinVersion }

// Close writes the commits that have not been written yet, and closes the files.
func (l *raftLog) Close() error {
	l.mu.RLock()
	owed := false
	for _, r := range l.index.replicas {
		owed = owed || r.state != r.written
	}
	l.mu.RUnlock()
	if owed {
		l.save(func(*batch) {})
	}
	return l.closeFiles()
}

// ListNodeInfo lists the replicas that were bootstrapped.
func (l *raftLog) ListNodeInfo() (list []raftio.NodeInfo, _ error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for node, r := range l.index.replicas {
		if r.bootstrap != nil {
			list = append(list, node)
		}
	}
	return list, nil
}

// SaveBootstrapInfo makes how the replica began durable.
func (l *raftLog) SaveBootstrapInfo(shard, replica uint64, b pb.Bootstrap) error {
	l.save(func(to *batch) {
		to.content = appendRecord(to.content, bootstrapRecord, node(shard, replica), pb.MustMarshal(&b))
	})
	return nil
}

// GetBootstrapInfo returns what SaveBootstrapInfo was given last.
func (l *raftLog) GetBootstrapInfo(shard, replica uint64) (b pb.Bootstrap, _ error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r := l.index.replicas[node(shard, replica)]
	if r == nil || r.bootstrap == nil {
		return b, raftio.ErrNoBootstrapInfo
	}
	return b, b.Unmarshal(r.bootstrap)
}

// SaveRaftState makes hard states, entries and received snapshots durable, of all updates
// with one write and one sync.
func (l *raftLog) SaveRaftState(updates []pb.Update, _ uint64) error {
	due := make([]*pb.Update, 0, len(updates))
	l.mu.Lock()
	for i := range updates {
		if l.due(&updates[i]) {
			due = append(due, &updates[i])
		}
	}
	l.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	l.save(func(b *batch) {
		for _, u := range due {
			l.add(b, u)
		}
	})
	return nil
}

// due reports whether an update has to be written now. A commit that advances by itself
// hasn't: raft finds it out anew, so it waits for the next write.
func (l *raftLog) due(u *pb.Update) bool {
	r := l.index.replicas[node(u.ShardID, u.ReplicaID)]
	switch {
	case len(u.EntriesToSave) > 0 || u.Snapshot.Index > 0 && (r == nil || u.Snapshot.Index > r.covered):
		return true
	case pb.IsEmptyState(u.State) || r != nil && r.state == u.State:
		return false
	case r == nil || u.Term != r.state.Term || u.Vote != r.state.Vote || u.Commit < r.state.Commit:
		return true
	}
	r.state.Commit = u.Commit
	return false
}

// add appends an update's records. What a start would take for damage, dragonboat may not
// write.
func (l *raftLog) add(b *batch, u *pb.Update) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	node := node(u.ShardID, u.ReplicaID)
	r := l.index.replicas[node]
	if r == nil {
		r = &replica{first: 1}
	}
	first, last := r.first, r.last()
	if u.Snapshot.Index > r.covered {
		b.content = appendRecord(b.content, installedRecord, node, pb.MustMarshal(&u.Snapshot))
		first, last = u.Snapshot.Index+1, u.Snapshot.Index
	}
	if e := u.EntriesToSave; len(e) > 0 {
		if e[0].Index > last+1 || e[0].Index < first {
			l.fail(fmt.Errorf("raft log: dragonboat wrote entry %d of shard %d where the log has entries %d to %d", e[0].Index, u.ShardID, first, last))
		}
		b.content = appendEntries(l.lengthen(b.content, e), node, e)
		b.added = append(b.added, added{node, e})
	}
	if !pb.IsEmptyState(u.State) && u.State != r.written {
		check := replica{written: r.written}
		if err := check.advance(u.State); err != nil {
			l.fail(fmt.Errorf("raft log: dragonboat wrote of shard %d that %w", u.ShardID, err))
		}
		b.content = appendState(b.content, node, u.State)
	}
}

// IterateEntries appends entries from low up to high, which is not one of them, until they
// have more than limit bytes: the last one may exceed it.
func (l *raftLog) IterateEntries(entries []pb.Entry, size, shard, replica, low, high, limit uint64) ([]pb.Entry, uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r := l.index.replicas[node(shard, replica)]
	if r == nil || low < r.first {
		return entries, size, nil
	}
	var reader entryReader
	high = min(high, r.last()+1)
	for i := low; i < high; i++ {
		e, err := l.entry(r, i, high, &reader)
		if err != nil {
			l.fail(err)
		}
		entries = append(entries, e)
		if size += uint64(e.SizeUpperLimit()); size > limit {
			break
		}
	}
	return entries, size, nil
}

// entry returns entry i; those up to high are going to be asked for too.
func (l *raftLog) entry(r *replica, i, high uint64, reader *entryReader) (pb.Entry, error) {
	if len(r.recent) > 0 && i >= r.recent[0].Index {
		return r.recent[i-r.recent[0].Index], nil
	}
	p := r.places[i-r.first]
	until := r.places[high-1-r.first]
	if until.segment != p.segment {
		until = p
	}
	return reader.entry(l.segments[p.segment], p, until)
}

// ReadRaftState returns the hard state, and which entries there are behind a snapshot.
func (l *raftLog) ReadRaftState(shard, replica, snapshot uint64) (raftio.RaftState, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r := l.index.replicas[node(shard, replica)]
	if r == nil || pb.IsEmptyState(r.state) {
		return raftio.RaftState{}, raftio.ErrNoSavedLog
	}
	s := raftio.RaftState{State: r.state, FirstIndex: snapshot}
	// A snapshot is of what was committed, whether that was written or not.
	s.State.Commit = max(s.State.Commit, r.covered)
	if first := max(r.first, snapshot+1); r.last() >= first {
		s.FirstIndex, s.EntryCount = first, r.last()-first+1
	}
	return s, nil
}

// RemoveEntriesTo lets entries up to index go. Their space is given back with their
// segment.
func (l *raftLog) RemoveEntriesTo(shard, replica, index uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.index.replicas[node(shard, replica)]; r != nil {
		l.index.compact(r, index)
	}
	return nil
}

// CompactEntriesTo has nothing to do that RemoveEntriesTo hasn't done.
func (l *raftLog) CompactEntriesTo(_, _, _ uint64) (<-chan struct{}, error) {
	done := make(chan struct{})
	close(done)
	return done, nil
}

// SaveSnapshots makes it durable that the replicas have snapshots.
func (l *raftLog) SaveSnapshots(updates []pb.Update) error {
	var due []*pb.Update
	l.mu.RLock()
	for i := range updates {
		u := &updates[i]
		if r := l.index.replicas[node(u.ShardID, u.ReplicaID)]; u.Snapshot.Index > 0 && (r == nil || u.Snapshot.Index > r.covered) {
			due = append(due, u)
		}
	}
	l.mu.RUnlock()
	if len(due) == 0 {
		return nil
	}
	l.save(func(b *batch) {
		for _, u := range due {
			l.guardSnapshot(u)
			b.content = appendRecord(b.content, snapshotRecord, node(u.ShardID, u.ReplicaID), pb.MustMarshal(&u.Snapshot))
		}
	})
	return nil
}

// guardSnapshot is for snapshots what add is for entries.
func (l *raftLog) guardSnapshot(u *pb.Update) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	last := uint64(0)
	if r := l.index.replicas[node(u.ShardID, u.ReplicaID)]; r != nil {
		last = r.last()
	}
	if u.Snapshot.Index > last {
		l.fail(fmt.Errorf("raft log: dragonboat wrote a snapshot of shard %d up to entry %d, and the log ends with %d", u.ShardID, u.Snapshot.Index, last))
	}
}

// GetSnapshot returns the replica's snapshot, an empty one if there is none.
func (l *raftLog) GetSnapshot(shard, replica uint64) (ss pb.Snapshot, _ error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r := l.index.replicas[node(shard, replica)]
	if r == nil || r.snapshot == nil {
		return ss, nil
	}
	return ss, ss.Unmarshal(r.snapshot)
}

// RemoveNodeData removes all that is known of the replica.
func (l *raftLog) RemoveNodeData(shard, replica uint64) error {
	l.save(func(b *batch) {
		b.content = appendRecord(b.content, removedRecord, node(shard, replica), nil)
	})
	return nil
}

// ImportSnapshot makes the replica one that begins with the snapshot.
func (l *raftLog) ImportSnapshot(ss pb.Snapshot, replica uint64) error {
	l.save(func(b *batch) {
		n := node(ss.ShardID, replica)
		b.content = appendRecord(b.content, removedRecord, n, nil)
		b.content = appendRecord(b.content, bootstrapRecord, n, pb.MustMarshal(&pb.Bootstrap{Join: true, Type: ss.Type}))
		b.content = appendState(b.content, n, pb.State{Term: ss.Term, Commit: ss.Index})
		b.content = appendRecord(b.content, installedRecord, n, pb.MustMarshal(&ss))
	})
	return nil
}
