package raftlog

import (
	"errors"
	"slices"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// The content of a frame is records, one behind the other:
//
//	+------+----------+----------+----------+-----------+
//	| kind | shard    | replica  | length   | body      |
//	+------+----------+----------+----------+-----------+
//	 1      8          8          4          length
//
//	kind       body
//	bootstrap  dragonboat's Bootstrap, as dragonboat writes it
//	state      term (8), vote (8), commit (8)
//	snapshot   dragonboat's Snapshot: what it covers was applied here
//	installed  dragonboat's Snapshot: it came from elsewhere, in place of all entries
//	entries    first index (8), and for each entry its length (4) and dragonboat's Entry.
//	           They take the place of those that had the same index or a higher one.
//	removed    nothing: no more is known of the replica
//
// Frame 0 of a segment is its head. It repeats what is known when the segment begins, so
// that older segments aren't needed for that, and has these too:
//
//	segments   for each older segment that is still needed: number (8) and the chain at its
//	           end (4), before the frame that names the next one
//	range      first index (8) and last index (8) of the replica's entries, of which
//	           older segments and the next record hold the bytes
//	kept       as entries: some of those in the range, which an older segment held
//
// And the last frame of a segment has nothing but
//
//	next       number (8) and salt (4) of the segment after it
//
// Zero is no kind.
type kind byte

const (
	bootstrapRecord kind = iota + 1
	stateRecord
	snapshotRecord
	installedRecord
	entriesRecord
	removedRecord
	segmentsRecord
	rangeRecord
	keptRecord
	nextRecord
)

const recordHead = 1 + 8 + 8 + 4

type record struct {
	kind kind
	node raftio.NodeInfo
	body []byte
	at   int // of the body in the content
}

// beginRecord appends a record without a body; endRecord, when the body is appended,
// gives it its length.
func beginRecord(dst []byte, k kind, node raftio.NodeInfo) []byte {
	dst = append(dst, byte(k))
	dst = le.AppendUint64(dst, node.ShardID)
	dst = le.AppendUint64(dst, node.ReplicaID)
	return le.AppendUint32(dst, 0)
}

func endRecord(dst []byte, begin int) []byte {
	le.PutUint32(dst[begin+recordHead-4:], uint32(len(dst)-begin-recordHead))
	return dst
}

func appendRecord(dst []byte, k kind, node raftio.NodeInfo, body []byte) []byte {
	begin := len(dst)
	return endRecord(append(beginRecord(dst, k, node), body...), begin)
}

func appendNumbers(dst []byte, k kind, node raftio.NodeInfo, numbers ...uint64) []byte {
	begin := len(dst)
	dst = beginRecord(dst, k, node)
	for _, n := range numbers {
		dst = le.AppendUint64(dst, n)
	}
	return endRecord(dst, begin)
}

// entriesAtMost is how many bytes appendEntries may append.
func entriesAtMost(entries []pb.Entry) int {
	all := recordHead + 8
	for i := range entries {
		all += 4 + entries[i].SizeUpperLimit()
	}
	return all
}

// appendEntries appends entries, of which the first has the lowest index.
func appendEntries(dst []byte, node raftio.NodeInfo, entries []pb.Entry) []byte {
	begin := len(dst)
	dst = beginRecord(slices.Grow(dst, entriesAtMost(entries)), entriesRecord, node)
	dst = le.AppendUint64(dst, entries[0].Index)
	for i := range entries {
		size := entries[i].Size()
		dst = le.AppendUint32(dst, uint32(size))
		at := len(dst)
		dst = dst[:at+size]
		if n, err := entries[i].MarshalTo(dst[at:]); err != nil || n != size {
			panic("raft log: an entry has another size than it says") // dragonboat's own code
		}
	}
	return endRecord(dst, begin)
}

var errRecord = errors.New("a record can't be understood")

// cutRecord takes the first record off the content from offset at on. next is the offset
// behind it.
func cutRecord(content []byte, at int) (r record, next int, err error) {
	rest := content[at:]
	if len(rest) < recordHead || rest[0] == 0 || kind(rest[0]) > nextRecord {
		return record{}, 0, errRecord
	}
	length := le.Uint32(rest[recordHead-4:])
	if uint64(length) > uint64(len(rest)-recordHead) {
		return record{}, 0, errRecord
	}
	next = at + recordHead + int(length)
	return record{
		kind: kind(rest[0]),
		node: raftio.NodeInfo{ShardID: le.Uint64(rest[1:]), ReplicaID: le.Uint64(rest[9:])},
		body: content[at+recordHead : next],
		at:   at + recordHead,
	}, next, nil
}

// numbers reads the body of a record of a fixed size.
func (r record) numbers(n int) ([]uint64, error) {
	if len(r.body) != 8*n {
		return nil, errRecord
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = le.Uint64(r.body[8*i:])
	}
	return list, nil
}

// firstIndex is that of a record of entries.
func (r record) firstIndex() (uint64, error) {
	if len(r.body) <= 8 {
		return 0, errRecord
	}
	return le.Uint64(r.body), nil
}

// eachEntry calls f with the place of each entry's bytes in the content.
func (r record) eachEntry(f func(at, length int)) error {
	for rest := r.body[8:]; len(rest) > 0; {
		if len(rest) < 4 || uint64(le.Uint32(rest)) > uint64(len(rest)-4) {
			return errRecord
		}
		length := int(le.Uint32(rest))
		f(r.at+len(r.body)-len(rest)+4, length)
		rest = rest[4+length:]
	}
	return nil
}
