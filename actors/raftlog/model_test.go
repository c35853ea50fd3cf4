package raftlog

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// model is the expected content of a log, kept in the simplest way.
type model map[raftio.NodeInfo]*held

type held struct {
	boot    bool
	state   pb.State
	sure    uint64 // the smallest commit index that a crash may leave
	covered uint64
	first   uint64 // the log may have older entries
	entries []pb.Entry
}

func (m model) clone() model {
	next := model{}
	for n, h := range m {
		c := *h
		c.entries = slices.Clone(h.entries)
		next[n] = &c
	}
	return next
}

func (m model) of(n raftio.NodeInfo) *held {
	if m[n] == nil {
		m[n] = &held{first: 1}
	}
	return m[n]
}

func (h *held) last() uint64 { return h.first + uint64(len(h.entries)) - 1 }

// settle is the effect of a write to the log on what was put off.
func (m model) settle() {
	for _, h := range m {
		h.sure = h.state.Commit
	}
}

// step is one call, and what it does to the model.
type step struct {
	what  string
	call  func(db raftio.ILogDB) error
	after model
}

// source draws a number below n.
type source func(n int) int

// next draws a step that dragonboat could make; removals allows it to remove replicas.
func (m model) next(draw source, removals bool) step {
	after := m.clone()
	n := node(uint64(draw(3))+1, uint64(draw(2))*0xffff_0000_0000+7)
	h := after.of(n)
	update := pb.Update{ShardID: n.ShardID, ReplicaID: n.ReplicaID}
	switch what := draw(20); {
	case what < 9:
		return after.append(n, update, draw)
	case what < 11: // a commit by itself
		h.state.Commit += uint64(draw(int(h.last()-h.state.Commit) + 1))
		h.state.Term = max(h.state.Term, 1)
		if old := m[n]; old == nil || old.state.Term != h.state.Term {
			after.settle()
		}
		update.State = h.state
		return saveState("commit", after, update)
	case what < 13: // an election
		h.state.Term, h.state.Vote = h.state.Term+1+uint64(draw(2)), uint64(draw(3))
		update.State = h.state
		after.settle()
		return saveState("vote", after, update)
	case what < 15 && h.state.Commit > 0:
		return after.snapshot(n, update, draw)
	case what < 16: // from another member
		h.covered, h.first, h.entries = h.last()+1+uint64(draw(5)), h.last()+6, nil
		h.first = h.covered + 1
		h.state.Term = max(h.state.Term, 1)
		h.state.Commit = h.covered
		after.settle()
		update.State, update.Snapshot = h.state, pb.Snapshot{Index: h.covered, Term: h.state.Term, ShardID: n.ShardID}
		return saveState("install", after, update)
	case what < 17:
		h.boot = true
		after.settle()
		return step{"bootstrap", func(db raftio.ILogDB) error {
			return db.SaveBootstrapInfo(n.ShardID, n.ReplicaID, pb.Bootstrap{Join: true})
		}, after}
	case what < 18 && removals && draw(4) == 0:
		delete(after, n)
		after.settle()
		return step{"remove", func(db raftio.ILogDB) error { return db.RemoveNodeData(n.ShardID, n.ReplicaID) }, after}
	case what < 19 && removals && draw(4) == 0:
		index := uint64(draw(50) + 1)
		*h = held{boot: true, state: pb.State{Term: 3, Commit: index}, covered: index, first: index + 1}
		after.settle()
		return step{"import", func(db raftio.ILogDB) error {
			return db.ImportSnapshot(pb.Snapshot{Index: index, Term: 3, ShardID: n.ShardID, Type: pb.OnDiskStateMachine}, n.ReplicaID)
		}, after}
	default: // nothing new
		update.State = h.state
		return saveState("nothing", m.clone(), update)
	}
}

func saveState(what string, after model, updates ...pb.Update) step {
	return step{what, func(db raftio.ILogDB) error { return db.SaveRaftState(updates, 1) }, after}
}

// append draws entries, which may replace uncommitted ones, possibly together with
// entries of another shard.
func (m model) append(n raftio.NodeInfo, update pb.Update, draw source) step {
	updates := []pb.Update{m.grow(n, update, draw)}
	if other := node(n.ShardID%3+1, 7); draw(4) == 0 {
		updates = append(updates, m.grow(other, pb.Update{ShardID: other.ShardID, ReplicaID: other.ReplicaID}, draw))
	}
	m.settle()
	return saveState("append", m, updates...)
}

func (m model) grow(n raftio.NodeInfo, update pb.Update, draw source) pb.Update {
	h := m.of(n)
	h.state.Term = max(h.state.Term, 1)
	if back := h.last() - max(h.state.Commit, h.first-1); back > 0 && draw(3) == 0 {
		h.state.Term++
		h.state.Vote = 0
		h.entries = h.entries[:len(h.entries)-draw(int(back)+1)]
	}
	for range draw(5) + 1 {
		e := pb.Entry{Term: h.state.Term, Index: h.last() + 1, Key: uint64(draw(100)), Cmd: text(draw)}
		h.entries = append(h.entries, e)
		update.EntriesToSave = append(update.EntriesToSave, e)
	}
	if draw(2) == 0 {
		h.state.Commit = h.last()
	}
	update.State = h.state
	return update
}

// text draws the content of an entry, which may be zeros or larger than a sector.
func text(draw source) []byte {
	size := draw(40)
	if draw(3) == 0 {
		size = draw(3000)
	}
	b := make([]byte, size)
	if draw(4) > 0 {
		for i := range b {
			b[i] = byte(draw(256))
		}
	}
	return b
}

// snapshot draws a snapshot of committed entries, and drops entries.
func (m model) snapshot(n raftio.NodeInfo, update pb.Update, draw source) step {
	h := m.of(n)
	index := h.state.Commit
	to := index - min(index, uint64(draw(10)))
	if index > h.covered {
		h.covered = index
		m.settle()
	}
	drop := int(min(to, h.last())) - int(h.first) + 1
	if drop > 0 {
		h.first, h.entries = h.first+uint64(drop), h.entries[drop:]
	}
	update.Snapshot = pb.Snapshot{Index: index, Term: 1, ShardID: n.ShardID, Dummy: true}
	return step{"snapshot", func(db raftio.ILogDB) error {
		if err := db.SaveSnapshots([]pb.Update{update}); err != nil || drop <= 0 {
			return err
		}
		if err := db.RemoveEntriesTo(n.ShardID, n.ReplicaID, to); err != nil {
			return err
		}
		_, err := db.CompactEntriesTo(n.ShardID, n.ReplicaID, to)
		return err
	}, m}
}

// differs reports how the log differs from the model. After a crash, commits that were put
// off may be lost, and only the entries after the snapshot count.
func (m model) differs(db raftio.ILogDB, crashed bool) error {
	for shard := uint64(1); shard <= 3; shard++ {
		for _, n := range []raftio.NodeInfo{node(shard, 7), node(shard, 0xffff_0000_0007)} {
			h := m[n]
			if h == nil {
				h = &held{first: 1}
			}
			if err := h.differs(db, n, crashed); err != nil {
				return fmt.Errorf("shard %d, replica %x: %w", n.ShardID, n.ReplicaID, err)
			}
		}
	}
	list, err := db.ListNodeInfo()
	want := 0
	for _, h := range m {
		if h.boot {
			want++
		}
	}
	if err != nil || len(list) != want {
		return fmt.Errorf("%d replicas are bootstrapped, want %d: %v", len(list), want, err)
	}
	return nil
}

func (h *held) differs(db raftio.ILogDB, n raftio.NodeInfo, crashed bool) error {
	if _, err := db.GetBootstrapInfo(n.ShardID, n.ReplicaID); (err == nil) != h.boot {
		return fmt.Errorf("bootstrapped %v: %v", h.boot, err)
	}
	ss, err := db.GetSnapshot(n.ShardID, n.ReplicaID)
	if err != nil || ss.Index != h.covered {
		return fmt.Errorf("snapshot %d, want %d: %v", ss.Index, h.covered, err)
	}
	rs, err := db.ReadRaftState(n.ShardID, n.ReplicaID, h.covered)
	if (err == nil) == pb.IsEmptyState(h.state) {
		return fmt.Errorf("state %+v, want %+v: %v", rs.State, h.state, err)
	}
	if err != nil {
		return nil
	}
	least := h.state.Commit
	if crashed {
		least = max(h.sure, h.covered)
	}
	if rs.State.Term != h.state.Term || rs.State.Vote != h.state.Vote || rs.State.Commit > max(h.state.Commit, h.covered) || rs.State.Commit < least {
		return fmt.Errorf("state %+v, want %+v with a commit of %d at least", rs.State, h.state, least)
	}
	first := max(h.first, h.covered+1)
	if err := covers(rs, first, h.last()); err != nil {
		return err
	}
	low := h.first
	if crashed {
		low = first
	}
	entries, _, err := db.IterateEntries(nil, 0, n.ShardID, n.ReplicaID, low, h.last()+1, 1<<40)
	if err != nil || uint64(len(entries)) != h.last()+1-low {
		return fmt.Errorf("%d entries from %d to %d: %v", len(entries), low, h.last(), err)
	}
	for i, e := range entries {
		want := h.entries[low-h.first+uint64(i)]
		if e.Index != want.Index || e.Term != want.Term || e.Key != want.Key || !bytes.Equal(e.Cmd, want.Cmd) {
			return fmt.Errorf("entry %d is %+v, want %+v", want.Index, e, want)
		}
	}
	return nil
}

// adopt adopts the commits that a crash has left.
func (m model) adopt(db raftio.ILogDB) {
	for n, h := range m {
		if rs, err := db.ReadRaftState(n.ShardID, n.ReplicaID, h.covered); err == nil {
			h.state.Commit = rs.State.Commit
		}
	}
}

// seeded draws from a seed.
func seeded(seed uint64) source {
	r := rand.New(rand.NewPCG(seed, 0))
	return func(n int) int { return r.IntN(n) }
}

func (m model) String() string {
	var b bytes.Buffer
	for _, n := range slices.SortedFunc(maps.Keys(m), func(a, b raftio.NodeInfo) int { return int(a.ShardID) - int(b.ShardID) }) {
		h := m[n]
		fmt.Fprintf(&b, "%d/%x: %+v, covered %d, entries %d to %d\n", n.ShardID, n.ReplicaID, h.state, h.covered, h.first, h.last())
	}
	return b.String()
}
