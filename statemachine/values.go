package statemachine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// A large value, of largeValueBytes or more, is stored once, under a key of its own (v). Its
// node, and the events that contain it, refer to it by the index of the change that wrote
// it, which is unique.
//
//	n /k ──────────────┐          set /k at 7: writes v7
//	e 7  node ─────────┼──▶ v 7
//	e 9  prevNode ─────┘          set /k at 9: writes v9, and d 9 7
//	     node ────────────▶ v 9
//
// The last event to refer to a value is that of the change that replaced or removed it. When
// that event leaves the window, the value is deleted. Removing a directory may remove many
// values but has a single event, so the values to delete are recorded under keys (d) rather
// than found through the events.

func appendValueKey(dst []byte, written tree.Index) []byte {
	return binary.BigEndian.AppendUint64(append(dst, valuePrefix), uint64(written))
}

func appendDropKey(dst []byte, replacedAt, written tree.Index) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, dropPrefix), uint64(replacedAt))
	return binary.BigEndian.AppendUint64(dst, uint64(written))
}

func readDropKey(storeKey []byte) (written tree.Index, err error) {
	if len(storeKey) != 17 {
		return 0, fmt.Errorf("%w: key of a replaced value %x", ErrDamaged, storeKey)
	}
	return tree.Index(binary.BigEndian.Uint64(storeKey[9:])), nil
}

// errNoValue reports a record that refers to a large value that isn't in the store.
var errNoValue = fmt.Errorf("%w: a value is missing", ErrDamaged)

// appendFullRecord appends the full form of rec, which is in stored form, if there is room
// for it in an answer, both as it is and printed: whoever held the one and waited for the
// other could wait for those who do the same.
func appendFullRecord(dst []byte, from pebble.Reader, rec []byte, in answerRoom) ([]byte, error) {
	n, _, length, err := readNodeHead(rec)
	dst = append(dst, rec...)
	if err != nil || n.Written == 0 {
		return dst, err
	}
	if length > freeValue && !hasRoom(in, 2*length) {
		return dst, errNoRoom
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

// getRecord reads the full record of a node. Its error is pebble.ErrNotFound if there is
// none. in is as in appendFullRecord.
func getRecord(from pebble.Reader, storeKey []byte, in answerRoom) ([]byte, error) {
	var before []byte
	for {
		rec, closer, err := from.Get(storeKey)
		if err != nil {
			return nil, err
		}
		whole, err := appendFullRecord(make([]byte, 0, len(rec)), from, rec, in)
		if errors.Is(err, errNoValue) && !bytes.Equal(before, rec) {
			// Between the two reads, the node may have been overwritten and the old value
			// deleted. Indexes are never reused, so if the node still refers to the missing
			// value, it is damaged.
			before = bytes.Clone(rec)
			if err := closer.Close(); err != nil {
				return nil, err
			}
			continue
		}
		return whole, errors.Join(err, closer.Close())
	}
}

// putValue stores the value of n, which replaces prev (nil: none), if it is large and isn't
// stored yet. It records that prev's value is to be deleted, if that was large.
func (v *view) putValue(n, prev *tree.Node) {
	kept := prev != nil && hasLargeValue(prev) && hasLargeValue(n) && prev.Written == n.Written
	if kept {
		return
	}
	if hasLargeValue(n) {
		v.key = appendValueKey(v.key[:0], n.Written)
		v.must(v.batch.Set(v.key, n.Value, nil))
	}
	if prev != nil && hasLargeValue(prev) {
		v.dropValue(prev.Written)
	}
}

// dropValue records that the current change, which gets the next index, drops a value.
func (v *view) dropValue(written tree.Index) {
	v.key = appendDropKey(v.key[:0], v.meta.last+1, written)
	v.must(v.batch.Set(v.key, nil, nil))
}

// dropLimit is the number of values that one call of deleteValues deletes at most; it
// leaves the rest to the next call.
const dropLimit = 10_000

// deleteValues deletes the values that were dropped before the oldest event.
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
