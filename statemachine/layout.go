package statemachine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"copse/statemachine/tree"
)

// The store's keys, by their first byte:
//
//	c                                     the membership of the cluster
//	m                                     meta: format, indexes, counters
//	o                                     what the order shard has handed out
//	n <path>                              a node
//	x <expiration, 8 bytes> <path>        an expiration
//	e <index of its first event, 8 bytes> events of one raft entry
//
// Numbers in keys are big-endian, so that their order is the bytes' order.
//
// A path is the key with each '/' as 0x00, which sorts below every byte that a
// name may hold. So a directory's subtree is one contiguous range behind it, in
// depth-first order, and siblings are in the order of their names' bytes:
//
//	/a        n 00 'a'
//	/a/b      n 00 'a' 00 'b'
//	/a/b/c    n 00 'a' 00 'b' 00 'c'
//	/a!       n 00 'a' '!'
//
// A name may hold 0x00 and 0x01 too: they are written 01 01 and 01 02. The
// subtree of a path p is [p 00, p 01): no name starts with a bare 01.
//
// The membership's record is tree.AppendMembership's. It is in the first shard's
// store, once the cluster is founded. The order shard's record is the last index
// handed out to each slot, 8 bytes each.
const (
	membersPrefix = 'c'
	handedPrefix  = 'o'

	metaPrefix   = 'm'
	nodePrefix   = 'n'
	expiryPrefix = 'x'
	eventPrefix  = 'e'

	pathSeparator = 0x00
	pathEscape    = 0x01
)

// errDamaged is what a record that can't be read comes down to.
var (
	errDamaged   = errors.New("damaged record")
	errBadNode   = fmt.Errorf("%w: node", errDamaged)
	errBadNotice = fmt.Errorf("%w: event", errDamaged)
)

func appendPath(dst []byte, key string) []byte {
	if key == "/" {
		return dst
	}
	for i := range len(key) {
		switch c := key[i]; c {
		case '/':
			dst = append(dst, pathSeparator)
		case 0x00, 0x01:
			dst = append(dst, pathEscape, c+1)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendKey appends the key that a path stands for.
func appendKey(dst, path []byte) ([]byte, error) {
	start := len(dst)
	dst = append(dst, path...)
	for i, c := range dst[start:] {
		switch c {
		case pathSeparator:
			dst[start+i] = '/'
		case pathEscape:
			return appendEscapedKey(dst[:start+i], path[i:], path)
		}
	}
	return dst, nil
}

// appendEscapedKey goes on with rest, the part of path from its first escape on.
func appendEscapedKey(dst, rest, path []byte) ([]byte, error) {
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case pathSeparator:
			dst = append(dst, '/')
		case pathEscape:
			i++
			if i == len(rest) || rest[i] < 0x01 || rest[i] > 0x02 {
				return dst, fmt.Errorf("%w: path %x", errDamaged, path)
			}
			dst = append(dst, rest[i]-1)
		default:
			dst = append(dst, c)
		}
	}
	return dst, nil
}

func appendNodeKey(dst []byte, key string) []byte {
	return appendPath(append(dst, nodePrefix), key)
}

// appendBelow appends the end of the subtree of the node at storeKey: the
// first store key behind everything below it.
func appendBelow(dst, storeKey []byte) []byte {
	if len(storeKey) == 1 { // the root
		return append(dst, storeKey[0]+1)
	}
	dst = append(dst, storeKey...)
	return append(dst, pathSeparator+1)
}

func appendExpiryKey(dst []byte, at int64, key string) []byte {
	dst = append(dst, expiryPrefix)
	dst = binary.BigEndian.AppendUint64(dst, sortable(at))
	return appendPath(dst, key)
}

func readExpiryKey(storeKey []byte) (at int64, key string, err error) {
	if len(storeKey) < 9 {
		return 0, "", fmt.Errorf("%w: expiration key %x", errDamaged, storeKey)
	}
	path, err := appendKey(nil, storeKey[9:])
	key = string(path)
	if err == nil && !bytes.Equal(appendPath(nil, key), storeKey[9:]) {
		err = fmt.Errorf("%w: expiration key %x", errDamaged, storeKey)
	}
	return unsortable(binary.BigEndian.Uint64(storeKey[1:])), key, err
}

// sortable maps a signed number to an unsigned one of the same order.
func sortable(n int64) uint64   { return uint64(n) ^ 1<<63 }
func unsortable(n uint64) int64 { return int64(n ^ 1<<63) }

func appendEventKey(dst []byte, first tree.Index) []byte {
	return binary.BigEndian.AppendUint64(append(dst, eventPrefix), uint64(first))
}

func readEventKey(storeKey []byte) (tree.Index, error) {
	if len(storeKey) != 9 {
		return 0, fmt.Errorf("%w: event key %x", errDamaged, storeKey)
	}
	return tree.Index(binary.BigEndian.Uint64(storeKey[1:])), nil
}

// A node's record:
//
//	flags     1 byte: 1 directory, 2 has an expiration; others must be 0
//	modified  uvarint
//	created   uvarint
//	expires   8 bytes, if flagged
//	value     the rest
const (
	nodeIsDir   = 1
	nodeExpires = 2
)

// nodeRecordHead is the most that a record holds besides the value.
const nodeRecordHead = 1 + 2*binary.MaxVarintLen64 + 8

func appendNode(dst []byte, n *tree.Node) []byte {
	var flags byte
	if n.Dir {
		flags |= nodeIsDir
	}
	if n.Expires != 0 {
		flags |= nodeExpires
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(n.Modified))
	dst = binary.AppendUvarint(dst, uint64(n.Created))
	if n.Expires != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n.Expires))
	}
	return append(dst, n.Value...)
}

// isDirRecord reports whether a record, which is whole, is a directory's.
func isDirRecord(rec []byte) bool { return rec[0]&nodeIsDir != 0 }

// readNode reads the record of the node at key. The value points into rec.
func readNode(key string, rec []byte) (tree.Node, error) {
	n := tree.Node{Key: key}
	if len(rec) == 0 || rec[0] > nodeIsDir|nodeExpires {
		return n, errBadNode
	}
	flags := rec[0]
	rec = rec[1:]
	modified, size := binary.Uvarint(rec)
	if size <= 0 {
		return n, errBadNode
	}
	rec = rec[size:]
	created, size := binary.Uvarint(rec)
	if size <= 0 {
		return n, errBadNode
	}
	rec = rec[size:]
	if flags&nodeExpires != 0 {
		if len(rec) < 8 {
			return n, errBadNode
		}
		n.Expires = int64(binary.BigEndian.Uint64(rec))
		rec = rec[8:]
	}
	n.Dir = flags&nodeIsDir != 0
	n.Modified, n.Created = tree.Index(modified), tree.Index(created)
	n.Value = rec
	return n, nil
}

// Format is the version of the layout that this copse writes; a store with a
// larger one is refused. Format 1 had no membership; a store of that format is
// founded anew, which changes nothing else. Up to format 2 the nodes weren't
// counted; they are when such a store is opened.
const Format = 3

// meta is what a replica knows besides its nodes. It is written in the same
// batch as each change, and is the whole of what must agree with the raft log.
type meta struct {
	raftIndex uint64     // the last raft entry applied
	last      tree.Index // the index of the latest change
	oldest    tree.Index // the first event of the oldest record in the window; 0: none
	trimmed   tree.Index // no event from here on has been taken out of the window
	epoch     uint64     // the highest of any batch applied; see docs/SHARDS.md
	stats     tree.Stats // writes only
	counts    counts
	uncounted bool // the record is of a format without counts
}

var (
	metaKey    = []byte{metaPrefix}
	membersKey = []byte{membersPrefix}
	handedKey  = []byte{handedPrefix}
)

// numbers lists meta's fields in the order of the record: the format, then
// each as 8 bytes.
func (m *meta) numbers() []*uint64 {
	s := &m.stats
	return []*uint64{
		&m.raftIndex, (*uint64)(&m.last), (*uint64)(&m.oldest), (*uint64)(&m.trimmed),
		&s.SetsSuccess, &s.SetsFail, &s.DeleteSuccess, &s.DeleteFail,
		&s.UpdateSuccess, &s.UpdateFail, &s.CreateSuccess, &s.CreateFail,
		&s.CompareAndSwapSuccess, &s.CompareAndSwapFail,
		&s.CompareAndDeleteSuccess, &s.CompareAndDeleteFail, &s.ExpireCount,
		&m.counts.nodes, &m.counts.expiring, &m.epoch,
	}
}

// countFormat is the first format whose meta ends with the counts.
const countFormat = 3

func (m *meta) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, Format)
	for _, n := range m.numbers() {
		dst = binary.BigEndian.AppendUint64(dst, *n)
	}
	return dst
}

// ErrNewerFormat refuses a store that a newer copse has written.
var ErrNewerFormat = errors.New("the data is in a newer format than this copse knows: start the newer copse again")

func readMeta(rec []byte) (meta, error) {
	var m meta
	if len(rec) < 8 {
		return m, fmt.Errorf("%w: meta", errDamaged)
	}
	format := binary.BigEndian.Uint64(rec)
	if format > Format {
		return m, fmt.Errorf("%w (format %d)", ErrNewerFormat, format)
	}
	rec = rec[8:]
	fields := m.numbers()
	if m.uncounted = format < countFormat; m.uncounted {
		fields = fields[:len(fields)-2]
	}
	if len(rec) != 8*len(fields) {
		return m, fmt.Errorf("%w: meta", errDamaged)
	}
	for i, n := range fields {
		*n = binary.BigEndian.Uint64(rec[8*i:])
	}
	return m, nil
}
