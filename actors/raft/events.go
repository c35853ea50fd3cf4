package raft

import (
	"copse/actors/peerlink"

	"github.com/lni/dragonboat/v4/raftio"
)

// ConnectionFailed implements raftio.ISystemEventListener.
func (r *Replicas) ConnectionFailed(info raftio.ConnectionInfo) {
	if r.nowAway(info.Address, true) {
		r.o.Logger.Warn("a member can't be reached; trying again", "component", "peers", "member", info.Address)
	}
}

// ConnectionEstablished implements raftio.ISystemEventListener.
func (r *Replicas) ConnectionEstablished(info raftio.ConnectionInfo) {
	if r.nowAway(info.Address, false) {
		r.o.Logger.Info("a member can be reached again", "component", "peers", "member", info.Address)
	}
}

// nowAway notes whether a member is away, and reports whether that is news. That a member can
// be reached at first isn't.
func (r *Replicas) nowAway(member string, away bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.away[member]
	r.away[member] = away
	return away != before && (known || away)
}

// Away reports whether the member couldn't be reached lately, or hasn't been reached yet.
func (r *Replicas) Away(member uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	away, known := r.away[peerlink.TargetOf(member)]
	return away || !known
}

// NodeDeleted implements raftio.ISystemEventListener: this member's replica has
// applied its own removal.
func (r *Replicas) NodeDeleted(info raftio.NodeInfo) {
	r.mu.Lock()
	r.removed[info.ShardID] = true
	r.mu.Unlock()
	r.changed.Ring()
}

// MembershipChanged implements raftio.ISystemEventListener.
func (r *Replicas) MembershipChanged(raftio.NodeInfo) { r.changed.Ring() }

// quietEvents are those of dragonboat's events that nobody needs.
type quietEvents struct{}

func (quietEvents) NodeHostShuttingDown()                     {}
func (quietEvents) NodeUnloaded(raftio.NodeInfo)              {}
func (quietEvents) NodeReady(raftio.NodeInfo)                 {}
func (quietEvents) SendSnapshotStarted(raftio.SnapshotInfo)   {}
func (quietEvents) SendSnapshotCompleted(raftio.SnapshotInfo) {}
func (quietEvents) SendSnapshotAborted(raftio.SnapshotInfo)   {}
func (quietEvents) SnapshotReceived(raftio.SnapshotInfo)      {}
func (quietEvents) SnapshotRecovered(raftio.SnapshotInfo)     {}
func (quietEvents) SnapshotCreated(raftio.SnapshotInfo)       {}
func (quietEvents) SnapshotCompacted(raftio.SnapshotInfo)     {}
func (quietEvents) LogCompacted(raftio.EntryInfo)             {}
func (quietEvents) LogDBCompacted(raftio.EntryInfo)           {}
