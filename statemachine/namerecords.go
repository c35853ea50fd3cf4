package statemachine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// The records of the windows of names (names.go):
//
//	h               floor, up to, swept
//	h <path>        floor, last, events, bytes, since: the window of the name that is the path
//	w <path> <last> events, bytes, since, and then events as in a record of the common window
//
// All numbers have 8 bytes. An event record has the events of one name and one record of the
// common window; last is the index of its latest. A node in it is in full form: it has a copy of
// a large value, which the store may have deleted by then.
//
// A copse that knows nothing of these records leaves them as they are. That it has applied
// something since shows in up to, the tree's index when they were last right.
const (
	nameWindowPrefix = 'h'
	nameEventPrefix  = 'w'

	nameIndexBytes = 8
	nameHeadBytes  = 3 * 8
	maxIndex       = tree.Index(math.MaxUint64)
)

var errBadName = fmt.Errorf("%w: event window of a name", ErrDamaged)

func appendNameKey(dst []byte, name string) []byte {
	return appendPath(append(dst, nameWindowPrefix), "/"+name)
}

// appendNameEventKey appends the key of the record that ends with an index.
func appendNameEventKey(dst []byte, name string, last tree.Index) []byte {
	dst = append(appendPath(append(dst, nameEventPrefix), "/"+name), pathSeparator)
	return binary.BigEndian.AppendUint64(dst, uint64(last))
}

func (n *nameWindows) append(dst []byte) []byte {
	return appendNumbers(dst, uint64(n.floor), uint64(n.upTo), uint64(n.swept))
}

func (w *nameWindow) append(dst []byte) []byte {
	return appendNumbers(dst, uint64(w.floor), uint64(w.last), w.events, w.bytes, uint64(w.since))
}

func appendNumbers(dst []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	return dst
}

// readNumbers reads a record that consists of the numbers.
func readNumbers(rec []byte, numbers ...*uint64) error {
	if len(rec) != 8*len(numbers) {
		return errBadName
	}
	for i, n := range numbers {
		*n = binary.BigEndian.Uint64(rec[8*i:])
	}
	return nil
}

func (n *nameWindows) read(rec []byte) error {
	var swept uint64
	err := readNumbers(rec, (*uint64)(&n.floor), (*uint64)(&n.upTo), &swept)
	n.swept = int64(swept)
	return err
}

func readNameWindow(storeKey, rec []byte) (*nameWindow, error) {
	key, err := appendKey(nil, storeKey[1:])
	w, since := &nameWindow{name: tree.TopName(string(key))}, uint64(0)
	if err == nil {
		err = readNumbers(rec, (*uint64)(&w.floor), (*uint64)(&w.last), &w.events, &w.bytes, &since)
	}
	if w.since = int64(since); err == nil && (w.name == "" || "/"+w.name != string(key) || w.events == 0 || w.floor > w.last) {
		err = errBadName
	}
	return w, err
}

// nameRecord is a record of a name's window while it is being built.
type nameRecord struct {
	eventRecord
	window *nameWindow
	events uint64
}

// The buffers that are kept for the next records: so many, of so many bytes each.
const (
	keptNameRecords     = 1 << 10
	keptNameRecordBytes = 4 << 10
)

// recordOf returns the record of w that is being built.
func (n *nameWindows) recordOf(w *nameWindow) *nameRecord {
	if w.record == 0 {
		if len(n.records) < cap(n.records) {
			n.records = n.records[:len(n.records)+1]
		} else {
			n.records = append(n.records, nameRecord{})
		}
		w.record = len(n.records)
		r := &n.records[w.record-1]
		r.window, r.events, r.data, r.named = w, 0, r.data[:0], true
	}
	return &n.records[w.record-1]
}

// endNameRecords stores the records that are being built, and makes their windows small enough.
func (v *view) endNameRecords() {
	n := v.events.names
	for i := range n.records {
		r := &n.records[i]
		if r.window == nil { // left out
			continue
		}
		appendNumbers(r.data[:0], r.size, r.events, uint64(v.meta.clock.Time))
		v.key = appendNameEventKey(v.key[:0], r.window.name, r.window.last)
		v.must(v.batch.Set(v.key, r.data, nil))
		r.window.record = 0
	}
	for i := range n.records {
		r := &n.records[i]
		if r.window != nil {
			v.limitName(r.window)
		}
		if r.window = nil; cap(r.data) > keptNameRecordBytes {
			r.data = nil
		}
	}
	if n.records = n.records[:0]; cap(n.records) > keptNameRecords {
		n.records = nil
	}
}

// nameHead is what a record says of its events.
type nameHead struct {
	last          tree.Index
	bytes, events uint64
	since         int64
}

// readNameRecord splits a record into its head and its events.
func readNameRecord(storeKey, rec []byte) (h nameHead, events []byte, err error) {
	if len(rec) <= nameHeadBytes || len(storeKey) < nameIndexBytes {
		return h, nil, errBadName
	}
	var since uint64
	err = readNumbers(rec[:nameHeadBytes], &h.bytes, &h.events, &since)
	h.since = int64(since)
	h.last = tree.Index(binary.BigEndian.Uint64(storeKey[len(storeKey)-nameIndexBytes:]))
	return h, rec[nameHeadBytes:], err
}

// loadNames reads the windows that the store has, by whatever limits.
func loadNames(from pebble.Reader, limits NameLimits) (n *nameWindows, err error) {
	n = &nameWindows{limits: limits}
	if n.stored, err = n.load(from); err != nil || !n.stored || !limits.on() {
		return n, err
	}
	n.of = make(map[string]*nameWindow)
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{nameWindowPrefix, 0}, UpperBound: []byte{nameWindowPrefix + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		rec, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		w, err := readNameWindow(it.Key(), rec)
		if err != nil {
			return nil, err
		}
		n.of[w.name] = w
		n.events += w.events
		n.bytes += w.bytes
	}
	return n, it.Error()
}

// load reads the record of all windows, if there is one.
func (n *nameWindows) load(from pebble.Reader) (found bool, err error) {
	rec, closer, err := from.Get([]byte{nameWindowPrefix})
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(n.read(rec), closer.Close())
}

// windowOf returns the window of a name in the store, where the tree's index is last. If the
// name has none, it is one without events.
func (n *nameWindows) windowOf(from pebble.Reader, name string, last tree.Index) (*nameWindow, error) {
	found, err := n.load(from)
	if err != nil {
		return nil, err
	}
	none := &nameWindow{name: name, floor: n.floor}
	if !found || n.upTo != last {
		none.floor = last + 1
		return none, nil
	}
	key := appendNameKey(nil, name)
	rec, closer, err := from.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return nil, err
	}
	w, err := readNameWindow(key, rec)
	return w, errors.Join(err, closer.Close())
}
