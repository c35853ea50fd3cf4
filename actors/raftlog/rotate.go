package raftlog

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"

	"github.com/lni/dragonboat/v4/raftio"
)

// A segment is given back when nothing that is still wanted lies in it. One with little of
// that in it would be kept for long by a shard that hardly gets entries: so that little is
// written once more, into the head of the next segment.
const (
	littleOf = 8 // a segment is little used if at most one in so many bytes is wanted
	moveOf   = 4 // and at most one in so many bytes of the next segment is moved there
)

// found makes the first segment.
func (l *raftLog) found() error {
	head := appendRecord(nil, segmentsRecord, raftio.NodeInfo{}, nil)
	s, err := l.create(1, head, 0, 0)
	if err != nil {
		return err
	}
	l.active, l.segments[s.key()] = s, s
	return nil
}

// rotate begins a new segment, in which a frame of need sectors has room; see format.go for
// what a crash leaves of that. writing is held.
func (l *raftLog) rotate(need int64) error {
	old := l.active
	head, keep, err := l.head()
	if err != nil {
		return err
	}
	s, err := l.create(old.number+1, head, old.chain, need)
	if err != nil {
		return fmt.Errorf("begin a segment of the raft log: %w", err)
	}
	name := le.AppendUint32(le.AppendUint64(nil, s.number), s.salt)
	old.end = old.chain
	if err := l.put(old, appendRecord(nil, nextRecord, raftio.NodeInfo{}, name)); err != nil {
		return err
	}
	old.sealed = true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active, l.segments[s.key()] = s, s
	f := frame{content: head, segment: s.key(), at: payloadSize + lengthSize, head: true, follows: true}
	if err := l.index.apply(f); err != nil {
		return fmt.Errorf("raft log: %w", err)
	}
	return l.free(keep)
}

// head returns the content of the next segment's head, and which segments it lists.
func (l *raftLog) head() (content []byte, keep map[uint32]bool, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	moving := l.moving()
	keep = map[uint32]bool{}
	content = beginRecord(nil, segmentsRecord, raftio.NodeInfo{})
	for _, s := range l.inOrder() {
		key := s.key()
		if s != l.active && (l.index.live[key] == 0 || moving[key] || mutant.freeEarly) {
			continue
		}
		keep[key] = true
		end := s.end
		if s == l.active {
			end = s.chain
		}
		content = le.AppendUint32(le.AppendUint64(content, s.number), end)
	}
	content = endRecord(content, 0)
	nodes := slices.SortedFunc(maps.Keys(l.index.replicas), func(a, b raftio.NodeInfo) int {
		return cmp.Or(cmp.Compare(a.ShardID, b.ShardID), cmp.Compare(a.ReplicaID, b.ReplicaID))
	})
	for _, node := range nodes {
		if content, err = l.appendReplica(content, node, moving); err != nil {
			return nil, nil, err
		}
	}
	return content, keep, nil
}

func (l *raftLog) inOrder() []*segment {
	return slices.SortedFunc(maps.Values(l.segments), func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
}

// moving are the segments whose entries the next head takes in.
func (l *raftLog) moving() map[uint32]bool {
	list := map[uint32]bool{}
	room := l.nextSize() / moveOf
	for _, s := range l.inOrder() {
		live := l.index.live[s.key()]
		if s != l.active && live > 0 && live <= s.sectors*sectorSize/littleOf && live <= room {
			list[s.key()] = true
			room -= live
		}
	}
	return list
}

// appendReplica appends what a head says of one replica.
func (l *raftLog) appendReplica(dst []byte, node raftio.NodeInfo, moving map[uint32]bool) ([]byte, error) {
	r := l.index.replicas[node]
	if r.bootstrap != nil {
		dst = appendRecord(dst, bootstrapRecord, node, r.bootstrap)
	}
	if r.state.Term != 0 && !mutant.bareHead {
		dst = appendState(dst, node, r.state)
	}
	if r.snapshot != nil {
		dst = appendRecord(dst, snapshotRecord, node, r.snapshot)
	}
	dst = appendNumbers(dst, rangeRecord, node, r.first, r.last())
	if len(moving) == 0 {
		return dst, nil
	}
	var reader entryReader
	begin := -1 // of the record that is being appended
	for i, p := range r.places {
		switch moves := moving[p.segment]; {
		case moves && begin < 0:
			begin = len(dst)
			dst = le.AppendUint64(beginRecord(dst, keptRecord, node), r.first+uint64(i))
		case !moves && begin >= 0:
			dst, begin = endRecord(dst, begin), -1
		}
		if begin < 0 {
			continue
		}
		b, err := reader.bytes(l.segments[p.segment], p, p)
		if err != nil {
			return nil, err
		}
		dst = append(le.AppendUint32(dst, p.length), b...)
	}
	if begin >= 0 {
		dst = endRecord(dst, begin)
	}
	return dst, nil
}

// nextSize is the size that the next segment should get.
func (l *raftLog) nextSize() int64 {
	if l.active == nil {
		return min(firstSize, l.o.SegmentSize)
	}
	return min(2*l.active.sectors*sectorSize, l.o.SegmentSize)
}

// create makes a segment with its head, ready for use. A frame of need sectors has room in
// it besides.
func (l *raftLog) create(number uint64, head []byte, before uint32, need int64) (*segment, error) {
	least := 1 + sectorsOf(len(head)) + need + 1
	name := numbered(number, newSuffix)
	f, size, used, err := l.room(name, least*sectorSize)
	if err != nil {
		return nil, err
	}
	s := &segment{
		number: number, path: l.dir.Path(segmentName(number)), file: f,
		sectors: size / sectorSize, salt: newSalt(), before: before,
	}
	if s.sectors < least || s.sectors > maxSectors {
		return nil, errors.Join(fmt.Errorf("a segment of %d bytes can't be", size), f.Close())
	}
	content := header{number, uint32(s.sectors), before}.append(nil)
	first, _ := appendFrame(nil, content, s.salt, 0, 0)
	s.rewind(first)
	all, chain := appendFrame(first, head, s.salt, s.chain, 1)
	s.previous, s.next, s.chain = 1, int64(len(all))/sectorSize, chain
	if s.fresh = s.next; used {
		s.fresh = s.sectors
	}
	_, err = f.WriteAt(all, 0)
	if err == nil {
		err = l.sync(f)
	}
	if err == nil {
		err = l.dir.Rename(name, segmentName(s.number))
	}
	if err == nil {
		err = l.dir.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

// newSalt draws the salt of a file's new life.
func newSalt() uint32 {
	for !mutant.noSalt {
		var b [4]byte
		_, _ = rand.Read(b[:]) // it never fails
		if salt := le.Uint32(b[:]); salt != 0 {
			return salt
		}
	}
	return 1
}

// room returns a file with at least so many bytes: one that has served before, or a new one
// of the size that the next segment should get. On a disk that is nearly full it is smaller.
// used says that the file has served before.
func (l *raftLog) room(name string, least int64) (f file, size int64, used bool, err error) {
	for len(l.spare) > 0 {
		old := l.spare[0]
		l.spare = l.spare[1:]
		if err := l.dir.Rename(old, name); err != nil {
			return nil, 0, false, err
		}
		f, err := l.dir.Open(name)
		if err != nil {
			return nil, 0, false, err
		}
		size, err := f.Size()
		if err != nil {
			return nil, 0, false, errors.Join(err, f.Close())
		}
		if size >= max(least, l.nextSize()) && size <= max(least, l.o.SegmentSize) {
			return f, size / sectorSize * sectorSize, true, nil
		}
		if err := errors.Join(f.Close(), l.dir.Remove(name)); err != nil {
			return nil, 0, false, err
		}
	}
	for size := max(least, l.nextSize()/sectorSize*sectorSize); ; size = max(least, size/2/sectorSize*sectorSize) {
		f, err := l.dir.Create(name)
		if err != nil {
			return nil, 0, false, err
		}
		if err = f.Allocate(size); err == nil {
			return f, size, false, nil
		}
		if err = errors.Join(err, f.Close()); size == least || !errors.Is(err, syscall.ENOSPC) {
			return nil, 0, false, err
		}
	}
}

// free gives back the segments that are not to be kept. Names needn't be durable for that:
// the new head doesn't list them, so a start removes those that come back. mu is held.
func (l *raftLog) free(keep map[uint32]bool) error {
	for key, s := range l.segments {
		if s == l.active || keep[key] {
			continue
		}
		delete(l.segments, key)
		delete(l.index.live, key)
		if err := s.file.Close(); err != nil {
			return err
		}
		if spare := numbered(s.number, spareSuffix); len(l.spare) < spareFiles && s.sectors*sectorSize == l.o.SegmentSize {
			if err := l.dir.Rename(segmentName(s.number), spare); err != nil {
				return err
			}
			l.spare = append(l.spare, spare)
		} else if err := l.dir.Remove(segmentName(s.number)); err != nil {
			return err
		}
	}
	return nil
}
