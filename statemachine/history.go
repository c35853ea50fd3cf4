package statemachine

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// A record of the event window holds events of one raft entry (an entry with much to
// tell has several records):
//
//	size    8 bytes: of the events as JSON
//	events, each:
//	  action  1 byte
//	  flags   1 byte: 1 refresh, 2 there is a prevNode
//	  now     varint, Unix nanoseconds
//	  key     uvarint length, bytes
//	  node    uvarint length, a node's record as it is in the store
//	  prev    the same, if flagged
//
// The JSON is made anew from that: it says the same thing up to three times.
const (
	eventRefresh = 1
	eventHasPrev = 2
)

// recordBytes is the size, as JSON, at which a record of the window is full.
const recordBytes = 1 << 20

// eventRecord is a record of the window that is being written.
type eventRecord struct {
	data  []byte // empty: there are no events yet
	first tree.Index
	size  uint64 // of the events as JSON
	node  []byte // scratch
}

// add adds an event whose JSON has size bytes.
func (r *eventRecord) add(e *tree.Event, size int) {
	if len(r.data) == 0 {
		r.data = append(r.data, make([]byte, 8)...)
		r.first, r.size = e.Index(), 0
	}
	var flags byte
	if e.Refresh {
		flags |= eventRefresh
	}
	if e.HasPrev {
		flags |= eventHasPrev
	}
	r.data = append(r.data, byte(e.Action), flags)
	r.data = binary.AppendVarint(r.data, e.Now)
	r.data = binary.AppendUvarint(r.data, uint64(len(e.Node.Key)))
	r.data = append(r.data, e.Node.Key...)
	r.addNode(&e.Node)
	if e.HasPrev {
		r.addNode(&e.Prev)
	}
	r.size += uint64(size)
}

func (r *eventRecord) addNode(n *tree.Node) {
	r.node = appendStoredNode(r.node[:0], n)
	r.data = binary.AppendUvarint(r.data, uint64(len(r.node)))
	r.data = append(r.data, r.node...)
}

// storedEvent is an event as it is in the store.
type storedEvent struct {
	event      tree.Event // without its nodes
	key        []byte
	node, prev []byte // records as they are in the store
}

// readEventSize takes the size off the front of a record.
func readEventSize(rec []byte) (size uint64, events []byte, err error) {
	if len(rec) <= 8 {
		return 0, nil, errBadEvent
	}
	return binary.BigEndian.Uint64(rec), rec[8:], nil
}

// readEvent takes one event off the front of a record's events. What it holds points
// into them.
func readEvent(events []byte) (e storedEvent, rest []byte, err error) {
	if len(events) < 2 {
		return e, nil, errBadEvent
	}
	action, flags := tree.Action(events[0]), events[1]
	f := fields{rest: events[2:]}
	e.event = tree.Event{Action: action, Refresh: flags&eventRefresh != 0, HasPrev: flags&eventHasPrev != 0, Now: f.varint()}
	e.key, e.node = f.bytes(), f.bytes()
	if e.event.HasPrev {
		e.prev = f.bytes()
	}
	if f.short || action < tree.ActionSet || action > tree.ActionExpire || flags > eventRefresh|eventHasPrev {
		return e, nil, errBadEvent
	}
	return e, f.rest, nil
}

// index is the event's.
func (e *storedEvent) index() (tree.Index, error) {
	n, _, _, err := readNodeHead(e.node)
	return n.Modified, err
}

// notice encodes the event; its values are read from the store.
func (e *storedEvent) notice(from pebble.Reader) (tree.EncodedEvent, error) {
	key := string(e.key)
	var err error
	if e.event.Node, err = readStoredNode(from, key, e.node); err != nil {
		return tree.EncodedEvent{}, err
	}
	if e.event.HasPrev {
		if e.event.Prev, err = readStoredNode(from, key, e.prev); err != nil {
			return tree.EncodedEvent{}, err
		}
	}
	return e.event.Encoded(tree.AppendEvent(nil, &e.event)), nil
}

// readStoredNode reads the record of the node at key as it is in the store.
func readStoredNode(from pebble.Reader, key string, rec []byte) (tree.Node, error) {
	whole, err := appendWhole(nil, from, rec)
	if err != nil {
		return tree.Node{}, err
	}
	return readNode(key, whole)
}

// record adds an event of the raft entry that is being applied, whose JSON has size
// bytes, to the window.
func (v *view) record(e *tree.Event, size int) {
	v.events.add(e, size)
	if v.events.size >= recordBytes {
		v.endRecord()
	}
}

// endRecord stores the window's record that was begun, if one was.
func (v *view) endRecord() {
	r := &v.events
	if len(r.data) == 0 {
		return
	}
	binary.BigEndian.PutUint64(r.data, r.size)
	v.meta.windowBytes += r.size
	if v.meta.oldest == 0 {
		v.meta.oldest = r.first
	}
	v.key = appendEventKey(v.key[:0], r.first)
	v.must(v.batch.Set(v.key, r.data, nil))
	r.data = r.data[:0]
}

// window bounds the event window: in events, and in bytes of their JSON.
type window struct {
	events int
	bytes  uint64
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
func (w window) trimStride() tree.Index { return tree.Index(max(64, w.events/4)) }

// trimBytes is the size that a window which has grown too large is cut down to.
func (w window) trimBytes() uint64 { return w.bytes - w.bytes/8 }

// trim takes records out of the store that lie wholly below the window, which begins
// at floor, and more if the window is too large; the newest record stays. What it does
// follows from the entries alone, so it is the same on every replica.
func (v *view) trim(floor tree.Index, w window) {
	large := v.meta.windowBytes > w.bytes
	if v.meta.oldest == 0 || !large && floor < v.meta.oldest+w.trimStride() {
		return
	}
	it := v.iter(appendEventKey(nil, v.meta.oldest), []byte{eventPrefix + 1})
	defer v.close(it)
	for ok := it.First(); ok; {
		outdated := bytes.Clone(it.Key()) // if a later record shows it to be
		size, _, err := readEventSize(it.Value())
		v.must(err)
		if ok = it.Next(); !ok {
			break
		}
		next, err := readEventKey(it.Key())
		v.must(err)
		if next > floor && !(large && v.meta.windowBytes > w.trimBytes()) {
			break
		}
		v.must(v.batch.Delete(outdated, nil))
		v.meta.windowBytes -= min(size, v.meta.windowBytes)
		v.meta.oldest, v.meta.trimmed = next, next
	}
	v.must(it.Error())
	v.deleteValues(v.meta.oldest)
}

// historyBytes is about how many bytes of notices History reads at once.
const historyBytes = 4 << 20

// History reads up to limit notices of the window with an index of from or
// above, fewer if they are large; none means that there are none. oldest is where the window begins: all from there on are still there.
func (m *Machine) History(from tree.Index, limit int) (notices []tree.EncodedEvent, oldest tree.Index, err error) {
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
	return notices, max(windowFloor(meta.last, m.window.events), meta.trimmed), nil
}

func readWindow(snap *pebble.Snapshot, from tree.Index, limit int) (notices []tree.EncodedEvent, err error) {
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
		_, events, err := readEventSize(it.Value())
		if err != nil {
			return nil, err
		}
		for len(events) > 0 && len(notices) < limit {
			var e storedEvent
			if e, events, err = readEvent(events); err != nil {
				return nil, err
			}
			index, err := e.index()
			if err != nil {
				return nil, err
			}
			if index < from {
				continue
			}
			n, err := e.notice(snap)
			if err != nil {
				return nil, err
			}
			notices = append(notices, n)
			size += len(n.JSON)
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
