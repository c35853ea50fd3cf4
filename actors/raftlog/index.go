package raftlog

import (
	"fmt"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// index is what the log knows in memory: all but the entries themselves. The same code
// fills it from the log at the start, and from each frame once that is on disk.
type index struct {
	replicas map[raftio.NodeInfo]*replica
	live     map[uint32]int64 // bytes of entries in the range of a replica, by segment
}

// replica is what is known of one replica.
type replica struct {
	bootstrap []byte // as on disk; nil: none
	snapshot  []byte
	covered   uint64   // index of the snapshot
	state     pb.State // as the engine gave it last
	written   pb.State // as on disk: only its commit may lag behind
	first     uint64   // index of places[0]; there may be none
	places    []place
	recent    []pb.Entry // the newest entries, as far as they are kept in memory
	size      int        // of those, in bytes
	told      bool       // the head that is being read mentions the replica
}

// place is where the bytes of an entry are; a zero segment stands for nowhere.
type place struct {
	segment uint32 // the low half of its number
	at      uint32 // in the segment's payload, see format.go
	length  uint32
}

func newIndex() *index {
	return &index{replicas: map[raftio.NodeInfo]*replica{}, live: map[uint32]int64{}}
}

// last is the index of the last entry, or of what came in its place.
func (r *replica) last() uint64 { return r.first + uint64(len(r.places)) - 1 }

// of returns what is known of a replica, if need be from now on.
func (x *index) of(node raftio.NodeInfo) *replica {
	r := x.replicas[node]
	if r == nil {
		r = &replica{first: 1}
		x.replicas[node] = r
	}
	return r
}

// frame is one frame that is in the log, as apply needs it.
type frame struct {
	content []byte
	segment uint32
	at      uint32 // of the content in the segment's payload
	head    bool
	follows bool // of a head: nothing is missing between it and what was applied last
}

// apply takes in a frame.
func (x *index) apply(f frame) error {
	if f.head {
		x.beginHead(f.follows)
	}
	for at := 0; at < len(f.content); {
		r, next, err := cutRecord(f.content, at)
		if err != nil {
			return err
		}
		if r.kind == segmentsRecord || r.kind == nextRecord {
			at = next // of the log, not of a replica
			continue
		}
		if err := x.applyRecord(r, f); err != nil {
			return fmt.Errorf("%w, of shard %d", err, r.node.ShardID)
		}
		at = next
	}
	if f.head {
		return x.endHead(f.follows)
	}
	return nil
}

func (x *index) applyRecord(rec record, f frame) error {
	if rec.kind == removedRecord {
		x.remove(rec.node)
		return nil
	}
	r := x.of(rec.node)
	r.told = true
	switch rec.kind {
	case bootstrapRecord:
		r.bootstrap = append([]byte{}, rec.body...)
	case stateRecord:
		n, err := rec.numbers(3)
		if err != nil {
			return err
		}
		return r.advance(pb.State{Term: n[0], Vote: n[1], Commit: n[2]})
	case snapshotRecord, installedRecord:
		var ss pb.Snapshot
		if err := ss.Unmarshal(rec.body); err != nil {
			return errRecord
		}
		r.snapshot, r.covered = append([]byte{}, rec.body...), ss.Index
		if rec.kind == installedRecord {
			x.setRange(r, ss.Index+1, ss.Index)
		}
	case rangeRecord:
		return x.span(r, rec, f)
	case entriesRecord:
		return x.place(r, rec, f)
	case keptRecord:
		return x.move(r, rec, f)
	}
	return nil
}

// span takes in what a head says the range of the entries is. Segments that are gone may
// have changed it; otherwise nothing has.
func (x *index) span(r *replica, rec record, f frame) error {
	n, err := rec.numbers(2)
	if err != nil || !f.head {
		return errRecord
	}
	first, last := n[0], n[1]
	if f.follows {
		first = max(first, r.first) // entries may have been let go since the head was put together
	}
	if last+1 < first || f.follows && last != r.last() {
		return fmt.Errorf("the head says that the entries are %d to %d, and before it they were %d to %d", first, last, r.first, r.last())
	}
	x.setRange(r, first, last)
	return nil
}

// advance takes a hard state in, which never falls. What the engine gave since stays.
func (r *replica) advance(next pb.State) error {
	old := r.written
	if next.Term < old.Term || next.Commit < old.Commit || next.Term == old.Term && old.Vote != 0 && next.Vote != old.Vote {
		return fmt.Errorf("the hard state falls from term %d, vote %x, commit %d to term %d, vote %x, commit %d",
			old.Term, old.Vote, old.Commit, next.Term, next.Vote, next.Commit)
	}
	r.written = next
	if r.state.Term < next.Term || r.state.Commit <= next.Commit {
		r.state = next
	}
	return nil
}

// place takes in where new entries are. They replace those from their first index on: a new
// leader has overwritten what was never committed.
func (x *index) place(r *replica, rec record, f frame) error {
	first, err := rec.firstIndex()
	if err != nil || f.head {
		return errRecord
	}
	if first > r.last()+1 || first < r.first {
		return fmt.Errorf("entry %d is there, and the entries before it are %d to %d", first, r.first, r.last())
	}
	x.setRange(r, r.first, first-1)
	var bytes int64
	err = rec.eachEntry(func(at, length int) {
		r.places = append(r.places, place{f.segment, f.at + uint32(at), uint32(length)})
		bytes += int64(length)
	})
	x.live[f.segment] += bytes
	return err
}

// move takes in where entries are now whose old segment is given back. Those that were let
// go since the head was put together are skipped.
func (x *index) move(r *replica, rec record, f frame) error {
	next, err := rec.firstIndex()
	if err != nil || !f.head {
		return errRecord
	}
	outside := false
	err = rec.eachEntry(func(at, length int) {
		if outside = outside || next > r.last(); outside || next < r.first {
			next++
			return
		}
		p := &r.places[next-r.first]
		x.forget(*p)
		*p = place{f.segment, f.at + uint32(at), uint32(length)}
		x.live[f.segment] += int64(length)
		next++
	})
	if outside {
		err = fmt.Errorf("entry %d is kept, and the range is %d to %d", next, r.first, r.last())
	}
	return err
}

func (x *index) forget(p place) {
	if p.segment != 0 {
		x.live[p.segment] -= int64(p.length)
	}
}

// setRange makes first to last the range of the replica's entries. Where those that were
// not in it before are, nobody knows yet.
func (x *index) setRange(r *replica, first, last uint64) {
	for len(r.places) > 0 && r.last() > last {
		x.forget(r.places[len(r.places)-1])
		r.places = r.places[:len(r.places)-1]
	}
	for len(r.places) > 0 && r.first < first {
		x.forget(r.places[0])
		r.places = r.places[1:]
		r.first++
	}
	r.trim(first, last)
	if len(r.places) == 0 {
		r.first, r.places = first, make([]place, last+1-first)
		return
	}
	if front := r.first - first; front > 0 {
		r.places = append(make([]place, front, front+uint64(len(r.places))), r.places...)
		r.first = first
	}
	r.places = append(r.places, make([]place, last-r.last())...)
}

// compact forgets the entries up to an index.
func (x *index) compact(r *replica, to uint64) {
	to = min(to, r.last())
	if to >= r.first {
		x.setRange(r, to+1, r.last())
	}
}

func (x *index) remove(node raftio.NodeInfo) {
	if r := x.replicas[node]; r != nil {
		for _, p := range r.places {
			x.forget(p)
		}
		delete(x.replicas, node)
	}
}

// beginHead and endHead stand around the records of a head, which mentions every replica
// that there is. Where segments before it are gone, what they changed is not known.
func (x *index) beginHead(follows bool) {
	for _, r := range x.replicas {
		r.told = false
		if !follows {
			r.bootstrap, r.snapshot, r.covered, r.state, r.written = nil, nil, 0, pb.State{}, pb.State{}
		}
	}
}

func (x *index) endHead(follows bool) error {
	for node, r := range x.replicas {
		if r.told {
			continue
		}
		if follows {
			return fmt.Errorf("the head doesn't mention shard %d", node.ShardID)
		}
		x.remove(node)
	}
	return nil
}

// complete makes sure, when all of the log has been read, that nothing of what it should
// hold is missing. A start reads no entry that a snapshot covers.
func (x *index) complete() error {
	for node, r := range x.replicas {
		x.compact(r, r.covered)
		for i, p := range r.places {
			if p.segment == 0 {
				return fmt.Errorf("entry %d of shard %d is missing", r.first+uint64(i), node.ShardID)
			}
		}
		switch {
		case r.first > r.covered+1:
			return fmt.Errorf("the entries of shard %d begin with %d, and its snapshot ends with %d", node.ShardID, r.first, r.covered)
		case r.state.Commit > r.last() || r.covered > r.last():
			return fmt.Errorf("the entries of shard %d end with %d, and %d is committed", node.ShardID, r.last(), max(r.state.Commit, r.covered))
		}
	}
	return nil
}

// remember keeps new entries in memory, as far as limit bytes allow.
func (r *replica) remember(entries []pb.Entry, limit int) {
	r.trim(r.first, entries[0].Index-1)
	r.recent = append(r.recent, entries...)
	for i := range entries {
		r.size += entries[i].SizeUpperLimit()
	}
	drop := 0
	for ; r.size > limit; drop++ {
		r.size -= r.recent[drop].SizeUpperLimit()
		r.recent[drop] = pb.Entry{}
	}
	r.recent = r.recent[drop:]
}

// trim forgets those entries in memory that are not from first to last.
func (r *replica) trim(first, last uint64) {
	for len(r.recent) > 0 && r.recent[len(r.recent)-1].Index > last {
		end := &r.recent[len(r.recent)-1]
		r.size -= end.SizeUpperLimit()
		*end = pb.Entry{}
		r.recent = r.recent[:len(r.recent)-1]
	}
	for len(r.recent) > 0 && r.recent[0].Index < first {
		r.size -= r.recent[0].SizeUpperLimit()
		r.recent[0] = pb.Entry{}
		r.recent = r.recent[1:]
	}
}
