package raftlog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/lni/dragonboat/v4/raftio"
)

// Inspect prints what the log in the directory holds, which is not in use, and changes
// nothing. A damaged log is read up to its damage, which is returned as a *Damage.
func Inspect(dir string, w io.Writer) error {
	d, err := load(directory(dir))
	for _, s := range slices.SortedFunc(maps.Values(d.segments), func(a, b *segment) int { return cmp.Compare(a.number, b.number) }) {
		fmt.Fprintf(w, "segment %d: %s, %d of %d sectors read, %d bytes of entries wanted\n", s.number, s.path, s.next, s.sectors, d.index.live[s.key()])
	}
	for _, node := range slices.SortedFunc(maps.Keys(d.index.replicas), func(a, b raftio.NodeInfo) int {
		return cmp.Or(cmp.Compare(a.ShardID, b.ShardID), cmp.Compare(a.ReplicaID, b.ReplicaID))
	}) {
		r := d.index.replicas[node]
		fmt.Fprintf(w, "shard %d, member %x: term %d, vote %x, committed up to entry %d; entries %d to %d; snapshot up to entry %d\n",
			node.ShardID, node.ReplicaID, r.state.Term, r.state.Vote, r.state.Commit, r.first, r.last(), r.covered)
	}
	if d.torn.to > 0 {
		fmt.Fprintf(w, "the last write was cut off by a crash, at byte %d of %s; the next start drops what is left of it\n", d.torn.from*sectorSize, d.active.path)
	}
	return errors.Join(err, d.close())
}

// Cut drops what lies behind the damage of the log in the directory, acknowledged or not.
// The damage has to be at that position: so nobody cuts a log by mistake.
func Cut(dir string, at Position) error { return cut(directory(dir), at) }

func cut(dir files, at Position) error {
	d, err := load(dir)
	if err := d.close(); err != nil {
		return err
	}
	var damage *Damage
	switch {
	case err == nil:
		return errors.New("the raft log is sound: there is nothing to cut")
	case !errors.As(err, &damage):
		return err
	case damage.Position == Position{}:
		return fmt.Errorf("%w: what is left can't be used without what is missing", damage)
	case damage.Position != at:
		return fmt.Errorf("%w: what is sound ends at %v, not at %v", damage, damage.Position, at)
	}
	names, err := dir.List()
	if err != nil {
		return err
	}
	for _, n := range d.sort(names) {
		if n > at.Segment {
			err = errors.Join(err, dir.Remove(segmentName(n)))
		}
	}
	if err = errors.Join(err, dir.Sync(), wipe(dir, at)); err != nil {
		return err
	}
	left, err := load(dir)
	return errors.Join(err, left.close())
}

// wipe makes a segment end at the position.
func wipe(dir files, at Position) error {
	s, err := openSegment(dir, at.Segment)
	if err != nil {
		return err
	}
	zeros := make([]byte, (s.sectors-int64(at.Sector))*sectorSize)
	_, err = s.file.WriteAt(zeros, int64(at.Sector)*sectorSize)
	return errors.Join(err, s.file.Sync(), s.file.Close())
}
