package statemachine

import (
	"sync/atomic"

	"copse/statemachine/tree"
)

// published is a machine's state after the last update. The apply worker stores it, and
// readers load it without a lock. Each field is consistent by itself, not with the others.
type published struct {
	index     atomic.Uint64
	raftIndex atomic.Uint64
	floor     atomic.Uint64
	stats     atomic.Pointer[tree.Stats]
	nodes     atomic.Uint64
	expiring  atomic.Uint64
	handed    atomic.Pointer[[]tree.Index] // immutable; nil except in the order shard
	hashes    hashes
	replaced  atomic.Uint64
	once      atomic.Pointer[once]
	clock     publishedClock
	names     atomic.Pointer[NameTotals]
}

// set publishes what m says, with the event window beginning at floor, and names.
func (p *published) set(m meta, floor tree.Index, names *nameWindows) {
	stats := m.stats
	p.stats.Store(&stats)
	p.nodes.Store(m.counts.nodes)
	p.expiring.Store(m.counts.expiring)
	p.raftIndex.Store(m.raftIndex)
	p.index.Store(uint64(m.last))
	p.floor.Store(uint64(floor))
	if names.limits.on() || p.names.Load() == nil {
		p.names.Store(names.totals())
	}
	if before := p.once.Load(); before == nil || *before != m.once {
		now := m.once
		p.once.Store(&now)
	}
}

// The methods below may be called from any goroutine.

// Index returns the tree's index: that of the latest change visible to reads.
func (m *Machine) Index() tree.Index { return tree.Index(m.published.index.Load()) }

// RaftIndex returns the index of the last raft entry visible to reads.
func (m *Machine) RaftIndex() uint64 { return m.published.raftIndex.Load() }

// Replaced returns how often a snapshot has replaced the replica since New.
func (m *Machine) Replaced() uint64 { return m.published.replaced.Load() }

// Floor returns the oldest index that waitIndex may ask for.
func (m *Machine) Floor() tree.Index { return tree.Index(m.published.floor.Load()) }

// Newest reports whether the store has the newest format: then all members can read what that is for.
func (m *Machine) Newest() bool { return m.published.once.Load().newest }

// Answers returns how many answers are kept to requests that may be repeated, and the bytes that they take in the store.
func (m *Machine) Answers() (n, bytes uint64) {
	o := m.published.once.Load()
	return o.answers, o.bytes
}

// Nodes returns the number of nodes in the replica: files and directories, including
// hidden ones.
func (m *Machine) Nodes() uint64 { return m.published.nodes.Load() }

// Expirations returns the number of nodes that have a TTL of their own.
func (m *Machine) Expirations() uint64 { return m.published.expiring.Load() }

// Handed returns the last index that the order shard has handed out to each slot, as
// far as this replica has applied the log; nil for any other shard. The caller must not
// modify it. Index, which is the counter here, may already be larger by the time Handed
// returns, so read Index first.
func (m *Machine) Handed() []tree.Index {
	if handed := m.published.handed.Load(); handed != nil {
		return *handed
	}
	return nil
}

// Stats returns the counters of this replica, without those of watchers.
func (m *Machine) Stats() tree.Stats {
	s := *m.published.stats.Load()
	for part := range m.gets.All {
		s.GetsSuccess += part.success.Load()
		s.GetsFail += part.fail.Load()
	}
	return s
}

// gets counts reads, by whether there was what they asked for.
type gets struct{ success, fail atomic.Uint64 }

// got counts a read.
func (m *Machine) got(success bool) {
	part := m.gets.Take()
	if success {
		part.success.Add(1)
	} else {
		part.fail.Add(1)
	}
	m.gets.Give(part)
}
