package statemachine

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// A record of the event window holds notices of one raft entry, one after the
// other, with no count (an entry with much to tell has several records):
//
//	index   uvarint
//	action  1 byte
//	flags   1 byte: 1 directory, 2 refresh
//	key     uvarint length, bytes
//	json    uvarint length, bytes
const (
	noticeDir     = 1
	noticeRefresh = 2
)

func appendNotice(dst []byte, n *tree.Notice) []byte {
	var flags byte
	if n.Dir {
		flags |= noticeDir
	}
	if n.Refresh {
		flags |= noticeRefresh
	}
	dst = binary.AppendUvarint(dst, uint64(n.Index))
	dst = append(dst, byte(n.Action), flags)
	dst = binary.AppendUvarint(dst, uint64(len(n.Key)))
	dst = append(dst, n.Key...)
	dst = binary.AppendUvarint(dst, uint64(len(n.JSON)))
	return append(dst, n.JSON...)
}

// readNotice takes one notice off the front of rec. Its JSON points into rec.
func readNotice(rec []byte) (n tree.Notice, rest []byte, err error) {
	index, size := binary.Uvarint(rec)
	if size <= 0 || len(rec) < size+2 {
		return n, nil, errBadNotice
	}
	action, flags := tree.Action(rec[size]), rec[size+1]
	key, rec, ok := cutBytes(rec[size+2:])
	if !ok || action < tree.ActionSet || action > tree.ActionExpire {
		return n, nil, errBadNotice
	}
	json, rec, ok := cutBytes(rec)
	if !ok {
		return n, nil, errBadNotice
	}
	return tree.Notice{
		Index:   tree.Index(index),
		Action:  action,
		Key:     string(key),
		Dir:     flags&noticeDir != 0,
		Refresh: flags&noticeRefresh != 0,
		JSON:    json,
	}, rec, nil
}

func cutBytes(rec []byte) (b, rest []byte, ok bool) {
	n, size := binary.Uvarint(rec)
	if size <= 0 || n > uint64(len(rec)-size) {
		return nil, nil, false
	}
	rec = rec[size:]
	return rec[:n:n], rec[n:], true
}

// recordBytes is the size at which a record of the window is full.
const recordBytes = 1 << 20

// record stores the notices of one raft entry in the window.
func (v *view) record(notices []tree.Notice) {
	if len(notices) == 0 {
		return
	}
	if v.meta.oldest == 0 {
		v.meta.oldest = notices[0].Index
	}
	for len(notices) > 0 {
		first := notices[0].Index
		for v.rec = v.rec[:0]; len(notices) > 0 && len(v.rec) < recordBytes; notices = notices[1:] {
			v.rec = appendNotice(v.rec, &notices[0])
		}
		v.key = appendEventKey(v.key[:0], first)
		v.must(v.batch.Set(v.key, v.rec, nil))
	}
}

// windowFloor is the oldest index that waitIndex may ask for when last is the
// latest: the window holds that many events, and all there were at first.
func windowFloor(last tree.Index, window int) tree.Index {
	if last < tree.Index(window) {
		return 1
	}
	return last - tree.Index(window) + 1
}

// trimStride is how many events are let pile up beyond the window before they
// are taken out together: looking for them costs as much as several writes.
func trimStride(window int) tree.Index { return tree.Index(max(64, window/4)) }

// trim takes records out of the store that lie wholly below the window, which begins
// at floor. What it does follows from the indexes alone, so it is the same on every replica.
func (v *view) trim(floor tree.Index, window int) {
	if v.meta.oldest == 0 || floor < v.meta.oldest+trimStride(window) {
		return
	}
	it := v.iter(appendEventKey(nil, v.meta.oldest), []byte{eventPrefix + 1})
	defer v.close(it)
	held := it.First() // the record that a later one may show to be outdated
	if !held {
		return
	}
	heldKey := append([]byte(nil), it.Key()...)
	for it.Next() {
		next, err := readEventKey(it.Key())
		v.must(err)
		if next > floor {
			break
		}
		v.must(v.batch.Delete(heldKey, nil))
		heldKey = append(heldKey[:0], it.Key()...)
		v.meta.oldest, v.meta.trimmed = next, next
	}
	v.must(it.Error())
}

// historyBytes is about how many bytes of notices History reads at once.
const historyBytes = 4 << 20

// History reads up to limit notices of the window with an index of from or
// above, fewer if they are large; none means that there are none. oldest is where the window begins: all from there on are still there.
func (m *Machine) History(from tree.Index, limit int) (notices []tree.Notice, oldest tree.Index, err error) {
	p, err := m.pin()
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = firstError(err, p.unpin()) }()
	meta, err := loadMeta(p.snap)
	if err != nil {
		return nil, 0, err
	}
	notices, err = readWindow(p.snap, from, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("read event window: %w", err)
	}
	// A window that was smaller before doesn't reach as far back as it may now.
	if m.place.data() {
		return notices, max(m.Floor(), meta.trimmed), nil
	}
	return notices, max(windowFloor(meta.last, m.window), meta.trimmed), nil
}

func readWindow(snap *pebble.Snapshot, from tree.Index, limit int) (notices []tree.Notice, err error) {
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: []byte{eventPrefix}, UpperBound: []byte{eventPrefix + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, it.Close()) }()
	// The record that holds from starts at from or below.
	ok := it.SeekLT(appendEventKey(nil, from+1))
	if !ok {
		ok = it.First()
	}
	for size := 0; ok && len(notices) < limit && (len(notices) == 0 || size < historyBytes); ok = it.Next() {
		rec := bytes.Clone(it.Value())
		size += len(rec)
		for len(rec) > 0 && len(notices) < limit {
			var n tree.Notice
			if n, rec, err = readNotice(rec); err != nil {
				return nil, err
			}
			if n.Index >= from {
				notices = append(notices, n)
			}
		}
	}
	return notices, it.Error()
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
