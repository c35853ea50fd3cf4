package statemachine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

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
//
// A value longer than rowBytes is in several rows: the first under the key of the value, and further
// ones under that and their number. All are full but the last. Pebble copies, compresses and checksums a
// row in one go, which nothing can interrupt, so with one of ten megabytes the whole process would wait
// for it. A value that an earlier version wrote is one row, of whatever length.

// rowBytes is the length of the longest row.
const rowBytes = 256 << 10

// rowsOf is the number of rows of a value.
func rowsOf(length int) int { return max(1, (length+rowBytes-1)/rowBytes) }

func appendValueKey(dst []byte, written tree.Index) []byte {
	return binary.BigEndian.AppendUint64(append(dst, valuePrefix), uint64(written))
}

// appendRowKey appends the key of a row of a value; row 0 is the first.
func appendRowKey(dst []byte, written tree.Index, row int) []byte {
	return appendRow(appendValueKey(dst, written), row)
}

// appendRow makes the key of a row from that of its value.
func appendRow(key []byte, row int) []byte {
	if row > 0 {
		key = binary.BigEndian.AppendUint16(key, uint16(row))
	}
	return key
}

// isRow reports whether storeKey is that of a further row of the value under key, if that is a value.
func isRow(storeKey, key []byte) bool {
	return key[0] == valuePrefix && len(storeKey) > len(key) && bytes.HasPrefix(storeKey, key)
}

// ownValue begins the numbers of values that no index of the tree stands for: see numberValue. No index comes so far.
const ownValue = 1 << 62

// numberValue returns the number of a value that is written before a change gives it to a node, or whose index another
// value may have. It is used once, in whatever generation of the raft group.
func (v *view) numberValue() tree.Index {
	last := uint64(ownValue)
	rec, closer, err := v.batch.Get(numberKey)
	switch {
	case err == nil && len(rec) == 8:
		last = binary.BigEndian.Uint64(rec)
		v.must(closer.Close())
	case err == nil:
		v.must(fmt.Errorf("%w: number of the last value", ErrDamaged))
	case !errors.Is(err, pebble.ErrNotFound):
		v.must(err)
	}
	v.must(v.batch.Set(numberKey, binary.BigEndian.AppendUint64(nil, last+1), nil))
	return tree.Index(last + 1)
}

// isOwn reports whether a value has a number by numberValue. Who numbered it has written it.
func isOwn(written tree.Index) bool { return written>>62 == 1 }

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

// fullRecord returns the full form of rec, which is in stored form, if there is room
// for it in an answer, both as it is and printed: whoever held the one and waited for the
// other could wait for those who do the same.
func fullRecord(from pebble.Reader, rec []byte, in answerRoom) ([]byte, error) {
	n, _, length, err := readNodeHead(rec)
	if err != nil || n.Written == 0 {
		return bytes.Clone(rec), err
	}
	if length > freeValue && !hasRoom(in, 2*length) {
		return nil, errNoRoom
	}
	return readRows(from, rec, n.Written, length)
}

// readRows returns rec and the value of so many bytes.
func readRows(from pebble.Reader, rec []byte, written tree.Index, length int) ([]byte, error) {
	var key []byte
	return joinRows(nil, rec, length, func(dst []byte, row int) ([]byte, error) {
		key = appendRowKey(key[:0], written, row)
		value, closer, err := from.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			return dst, errNoValue
		}
		if err != nil {
			return dst, err
		}
		return append(dst, value...), closer.Close()
	})
}

// joinRows returns rec and the value of so many bytes whose rows add appends, in buf if that is long enough.
func joinRows(buf, rec []byte, length int, add func(dst []byte, row int) ([]byte, error)) ([]byte, error) {
	if length > maxRecord {
		return nil, errBadNode
	}
	end := len(rec) + length
	if cap(buf) < end {
		buf = make([]byte, 0, end) // not by append, which would clear it in one go
	}
	buf = append(buf[:0], rec...)
	for row := 0; ; row++ {
		before := len(buf)
		var err error
		if buf, err = add(buf, row); err != nil {
			return nil, err
		}
		switch {
		case len(buf) == end:
			return buf, nil
		case len(buf) > end, len(buf)-before != rowBytes:
			return nil, errBadNode
		}
	}
}

// writer is a batch under way.
type writer struct {
	home  *home
	db    *pebble.DB
	batch *pebble.Batch
}

// setValue writes a large value: into the batch if it is one row, and otherwise at once, row by row, as
// the batch would be copied each time it grows. The batch is committed later. Until then nothing refers to
// the rows, and if it never is, they are written again with the same entry of the log.
func (w *writer) setValue(written tree.Index, value []byte) error {
	if len(value) <= rowBytes {
		return w.batch.Set(appendValueKey(nil, written), value, nil)
	}
	err := w.home.change(func(c *current) { c.rows = true })
	if err == nil {
		err = w.setText(written, (&tree.Node{Value: value}).TextLen())
	}
	var key []byte
	for row := 0; err == nil && len(value) > 0; row++ {
		n := min(rowBytes, len(value))
		key = appendRowKey(key[:0], written, row)
		err = w.db.Set(key, value[:n], pebble.NoSync)
		value = value[n:]
	}
	return err
}

// getRecord reads the full record of a node. Its error is pebble.ErrNotFound if there is
// none. in is as in fullRecord.
func getRecord(from pebble.Reader, storeKey []byte, in answerRoom) ([]byte, error) {
	var before []byte
	for {
		rec, closer, err := from.Get(storeKey)
		if err != nil {
			return nil, err
		}
		whole, err := fullRecord(from, rec, in)
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
	if hasLargeValue(n) && !isOwn(n.Written) {
		v.must(v.setValue(n.Written, n.Value))
	}
	if prev != nil && hasLargeValue(prev) {
		v.dropValue(v.meta.last+1, prev.Written, prev.Len())
	}
}

// dropValue records that the change at the index drops a value of so many bytes.
func (v *view) dropValue(at, written tree.Index, length int) {
	v.key = appendDropKey(v.key[:0], at, written)
	v.must(v.batch.Set(v.key, appendDrop(nil, length), nil))
}

// appendDrop appends what is under the key of a value to be deleted: the number of its rows, a uvarint.
// An earlier version, or a snapshot by one, has nothing there.
func appendDrop(dst []byte, length int) []byte {
	return binary.AppendUvarint(dst, uint64(rowsOf(length)))
}

// dropLimit is the number of values that one call of deleteValues deletes at most; it
// leaves the rest to the next call.
const dropLimit = 10_000

// Values of several rows linger, as answers that show them may yet be printed when the window has moved on: a few of
// them fill it. The last to be dropped stay, up to a number of rows, for so many times what the window has.
const (
	lingerRows    = 256 << 20 / rowBytes
	lingerWindows = 50
)

// deleteValues deletes the values that were dropped before the oldest event, but for those that linger, which were
// dropped at from or later.
func (v *view) deleteValues(oldest, from tree.Index) {
	it := v.iter([]byte{dropPrefix}, appendDropKey(nil, oldest, 0))
	defer v.close(it)
	ok, lingering := it.Last(), uint64(0)
	for n := 0; ok && n < dropLimit; ok = it.Prev() {
		written, err := readDropKey(it.Key())
		v.must(err)
		rows, _ := binary.Uvarint(v.value(it))
		if rows > 1 {
			if lingering += rows; lingering <= lingerRows && bytes.Compare(it.Key(), appendDropKey(nil, from, 0)) >= 0 {
				continue
			}
		}
		n++
		v.must(v.batch.Delete(it.Key(), nil))
		if rows == 0 {
			v.must(v.batch.DeleteRange(appendValueKey(nil, written), appendValueKey(nil, written+1), nil))
			v.must(v.batch.Delete(appendTextKey(nil, written), nil))
		}
		v.deleteRows(written, int(min(rows, math.MaxUint16+1)))
	}
	v.must(it.Error())
}

// deleteRows deletes a value that has so many rows.
func (v *view) deleteRows(written tree.Index, rows int) {
	if rows > 1 {
		v.must(v.batch.Delete(appendTextKey(nil, written), nil))
	}
	for row := range rows {
		v.key = appendRowKey(v.key[:0], written, row)
		v.must(v.batch.Delete(v.key, nil))
	}
}
