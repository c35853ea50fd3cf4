package statemachine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"copse/statemachine/tree"
)

// The store's keys, by their first byte:
//
//	a                                     whether auth is on
//	c                                     the membership of the cluster
//	k                                     the last number of a value that has its own (numberValue), 8 bytes
//	m                                     meta: format, indexes, counters
//	o                                     the indexes handed out by the order shard
//	p <number, 8 bytes>                   a value that is being staged (stage.go)
//	r <name>                              a role
//	s                                     the source that a mirror follows
//	u <name>                              a user
//	n <path>                              a node
//	v <index that wrote it, 8 bytes>      a large value, stored outside its node, or its first row; or it has a number of its own
//	v <the same> <row, 2 bytes>           a further row of it
//	l <the same number, 8 bytes>          if it has several rows, the length of the JSON string that shows it, a uvarint
//	d <index, 8 bytes> <index, 8 bytes>   the change at the first index replaced the large value of the second, which has so many rows
//	x <expiration, 8 bytes> <path>        an expiration
//	e <index of its first event, 8 bytes> events of one raft entry
//	i <id>                                the answer to a request that may be repeated (once.go)
//	t <time, 8 bytes> <id>                the same by its time: the size of that record
//	h, h <path>, w <path> <index>         windows of top-level names (namerecords.go)
//
// Numbers in keys are big-endian, so that keys sort by number.
//
// A path is the key with each '/' replaced by 0x00, which sorts below every byte of a
// name. So a directory is directly followed by its subtree, as one contiguous range in
// depth-first order, and siblings are sorted by the bytes of their names:
//
//	/a        n 00 'a'
//	/a/b      n 00 'a' 00 'b'
//	/a/b/c    n 00 'a' 00 'b' 00 'c'
//	/a!       n 00 'a' '!'
//
// In names, 0x00 and 0x01 are escaped as 01 01 and 01 02. The
// subtree of a path p is [p 00, p 01): no name starts with a bare 01.
//
// The membership is encoded by tree.AppendMembership. It is in the first shard's store,
// from the founding of the cluster on. So are users and roles, encoded by package auth: a
// record each, so that a change writes little however many there are. The order shard's record is the last index handed
// out to each slot, 8 bytes each.
const (
	authPrefix    = 'a'
	membersPrefix = 'c'
	numberPrefix  = 'k'
	handedPrefix  = 'o'
	rolePrefix    = 'r'
	stagedPrefix  = 'p'
	mirrorPrefix  = 's'
	userPrefix    = 'u'

	metaPrefix   = 'm'
	nodePrefix   = 'n'
	expiryPrefix = 'x'
	eventPrefix  = 'e'
	valuePrefix  = 'v'
	dropPrefix   = 'd'
	textPrefix   = 'l'

	answerPrefix     = 'i'
	answerTimePrefix = 't'

	pathSeparator = 0x00
	pathEscape    = 0x01
)

var (
	metaKey    = []byte{metaPrefix}
	authKey    = []byte{authPrefix}
	membersKey = []byte{membersPrefix}
	mirrorKey  = []byte{mirrorPrefix}
	numberKey  = []byte{numberPrefix}
	handedKey  = []byte{handedPrefix}
)

// ErrDamaged reports that the store can't be read because its files are damaged.
var ErrDamaged = errors.New("the store is damaged")

var (
	errBadNode  = fmt.Errorf("%w: node", ErrDamaged)
	errBadEvent = fmt.Errorf("%w: event", ErrDamaged)
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

// appendKey decodes path and appends the key.
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

// appendEscapedKey is appendKey for rest, the part of path from its first escape on.
func appendEscapedKey(dst, rest, path []byte) ([]byte, error) {
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case pathSeparator:
			dst = append(dst, '/')
		case pathEscape:
			i++
			if i == len(rest) || rest[i] < 0x01 || rest[i] > 0x02 {
				return dst, fmt.Errorf("%w: path %x", ErrDamaged, path)
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

// appendBelow appends the end of the subtree of the node at storeKey: the first store key
// after everything below it.
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
		return 0, "", fmt.Errorf("%w: expiration key %x", ErrDamaged, storeKey)
	}
	path, err := appendKey(nil, storeKey[9:])
	key = string(path)
	if err == nil && !bytes.Equal(appendPath(nil, key), storeKey[9:]) {
		err = fmt.Errorf("%w: expiration key %x", ErrDamaged, storeKey)
	}
	return unsortable(binary.BigEndian.Uint64(storeKey[1:])), key, err
}

// sortable maps signed numbers to unsigned ones in the same order.
func sortable(n int64) uint64   { return uint64(n) ^ 1<<63 }
func unsortable(n uint64) int64 { return int64(n ^ 1<<63) }

func appendEventKey(dst []byte, first tree.Index) []byte {
	return binary.BigEndian.AppendUint64(append(dst, eventPrefix), uint64(first))
}

func readEventKey(storeKey []byte) (tree.Index, error) {
	if len(storeKey) != 9 {
		return 0, fmt.Errorf("%w: event key %x", ErrDamaged, storeKey)
	}
	return tree.Index(binary.BigEndian.Uint64(storeKey[1:])), nil
}

// A node's record:
//
//	flags     1 byte: 1 directory, 2 has an expiration, 4 has a large value; others must be 0
//	modified  uvarint
//	created   uvarint
//	expires   8 bytes, if flagged
//	written   uvarint, if the value is large: the index of the change that wrote it
//	length    uvarint, if the value is large: its length
//	value     the rest
//
// That is the full form, as used in memory. The stored form, in nodes and in events, leaves
// out a large value, which has a key of its own (values.go).
const (
	nodeIsDir      = 1
	nodeExpires    = 2
	nodeLargeValue = 4
)

// largeValueBytes is the smallest size of a large value.
const largeValueBytes = 1 << 10

// hasLargeValue reports whether the value of n is stored under a key of its own.
func hasLargeValue(n *tree.Node) bool { return n.Len() >= largeValueBytes }

// nodeRecordHead is the maximum size of a record without its value.
const nodeRecordHead = 1 + 4*binary.MaxVarintLen64 + 8

// appendNodeHead appends the record without its value.
func appendNodeHead(dst []byte, n *tree.Node) []byte {
	var flags byte
	if n.Dir {
		flags |= nodeIsDir
	}
	if n.Expires != 0 {
		flags |= nodeExpires
	}
	if hasLargeValue(n) {
		flags |= nodeLargeValue
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(n.Modified))
	dst = binary.AppendUvarint(dst, uint64(n.Created))
	if n.Expires != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n.Expires))
	}
	if hasLargeValue(n) {
		dst = binary.AppendUvarint(dst, uint64(n.Written))
		dst = binary.AppendUvarint(dst, uint64(n.Len()))
	}
	return dst
}

// appendNode appends the full record.
func appendNode(dst []byte, n *tree.Node) []byte {
	return append(appendNodeHead(dst, n), n.Value...)
}

// appendStoredNode appends the record in stored form.
func appendStoredNode(dst []byte, n *tree.Node) []byte {
	dst = appendNodeHead(dst, n)
	if hasLargeValue(n) {
		return dst
	}
	return append(dst, n.Value...)
}

// readNode decodes the full record of the node at key. The value refers to rec.
func readNode(key string, rec []byte) (tree.Node, error) {
	n, value, length, err := readNodeHead(rec)
	if err == nil && len(value) != length {
		err = errBadNode
	}
	n.Key, n.Value = key, value
	return n, err
}

// readNodeHead decodes a record up to its value, whose length it returns. rest is the
// value; it is empty if the record is in stored form and the value is large.
func readNodeHead(rec []byte) (n tree.Node, rest []byte, length int, err error) {
	if len(rec) == 0 || rec[0] > nodeIsDir|nodeExpires|nodeLargeValue {
		return n, nil, 0, errBadNode
	}
	flags := rec[0]
	f := tree.NewDecoder(rec[1:])
	n.Dir = flags&nodeIsDir != 0
	n.Modified, n.Created = tree.Index(f.Uvarint()), tree.Index(f.Uvarint())
	if flags&nodeExpires != 0 {
		n.Expires = int64(f.BigEndian64())
	}
	if flags&nodeLargeValue != 0 {
		n.Written = tree.Index(f.Uvarint())
		length = int(min(f.Uvarint(), math.MaxInt))
	} else {
		length = f.Left()
	}
	large := flags&nodeLargeValue != 0
	switch {
	case f.Failed(), large != (length >= largeValueBytes), large && n.Written == 0,
		n.Dir && length > 0, n.Expires == 0 && flags&nodeExpires != 0:
		return n, nil, 0, errBadNode // no encoder writes such a record
	}
	return n, f.Rest(), length, nil
}
