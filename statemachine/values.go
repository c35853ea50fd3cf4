package statemachine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// A value of apartBytes or more is stored once, under a key of its own. The node that has
// it and the events that tell of it refer to it by the index of the change that wrote it,
// which no other value has.
//
//	n /k ──────────────┐          set /k at 7: writes v7
//	e 7  node ─────────┼──▶ v 7
//	e 9  prevNode ─────┘          set /k at 9: writes v9, and d 9 7
//	     node ────────────▶ v 9
//
// The event of the change that displaced a value is the last one to refer to it. When it
// leaves the window, the value is deleted. A change that displaces many values has one
// event, so the values to delete are noted (d) rather than read out of the events.

func appendValueKey(dst []byte, written tree.Index) []byte {
	return binary.BigEndian.AppendUint64(append(dst, valuePrefix), uint64(written))
}

func appendDropKey(dst []byte, displaced, written tree.Index) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, dropPrefix), uint64(displaced))
	return binary.BigEndian.AppendUint64(dst, uint64(written))
}

func readDropKey(storeKey []byte) (written tree.Index, err error) {
	if len(storeKey) != 17 {
		return 0, fmt.Errorf("%w: key of a displaced value %x", errDamaged, storeKey)
	}
	return tree.Index(binary.BigEndian.Uint64(storeKey[9:])), nil
}

// errNoValue says that a record refers to a value that isn't there.
var errNoValue = fmt.Errorf("%w: a value is missing", errDamaged)

// appendWhole appends a record from the store as it is in memory.
func appendWhole(dst []byte, from pebble.Reader, rec []byte) ([]byte, error) {
	n, _, length, err := readNodeHead(rec)
	dst = append(dst, rec...)
	if err != nil || n.Written == 0 {
		return dst, err
	}
	value, closer, err := from.Get(appendValueKey(nil, n.Written))
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, errNoValue
	}
	if err != nil {
		return dst, err
	}
	if len(value) != length {
		err = errBadNode
	}
	return append(dst, value...), errors.Join(err, closer.Close())
}

// getRecord reads the record of a node as it is in memory. Its error is
// pebble.ErrNotFound if there is none.
func getRecord(from pebble.Reader, storeKey []byte) ([]byte, error) {
	var before []byte
	for {
		rec, closer, err := from.Get(storeKey)
		if err != nil {
			return nil, err
		}
		whole, err := appendWhole(make([]byte, 0, len(rec)), from, rec)
		if errors.Is(err, errNoValue) && !bytes.Equal(before, rec) {
			// The node may have got another value, and its old one have been deleted,
			// between the two looks. An index is never used again, so a node that still
			// refers to the missing value is damaged.
			before = bytes.Clone(rec)
			if err := closer.Close(); err != nil {
				return nil, err
			}
			continue
		}
		return whole, errors.Join(err, closer.Close())
	}
}

// putValue stores the value of n, which takes the place of prev (nil: none), if it lies
// apart and isn't stored yet, and notes that prev's is displaced.
func (v *view) putValue(n, prev *tree.Node) {
	kept := prev != nil && liesApart(prev) && liesApart(n) && prev.Written == n.Written
	if kept {
		return
	}
	if liesApart(n) {
		v.key = appendValueKey(v.key[:0], n.Written)
		v.must(v.batch.Set(v.key, n.Value, nil))
	}
	if prev != nil && liesApart(prev) {
		v.dropValue(prev.Written)
	}
}

// dropValue notes that the change which is being made, the next one, displaces a value.
func (v *view) dropValue(written tree.Index) {
	v.key = appendDropKey(v.key[:0], v.meta.last+1, written)
	v.must(v.batch.Set(v.key, nil, nil))
}

// dropLimit is how many values are deleted at once; the others wait for the next time.
const dropLimit = 10_000

// deleteValues deletes the values that were displaced before the oldest event.
func (v *view) deleteValues(oldest tree.Index) {
	it := v.iter([]byte{dropPrefix}, appendDropKey(nil, oldest, 0))
	defer v.close(it)
	ok := it.First()
	for n := 0; ok && n < dropLimit; n++ {
		written, err := readDropKey(it.Key())
		v.must(err)
		v.must(v.batch.Delete(it.Key(), nil))
		v.key = appendValueKey(v.key[:0], written)
		v.must(v.batch.Delete(v.key, nil))
		ok = it.Next()
	}
	v.must(it.Error())
}
