package statemachine

import (
	"bytes"
	"encoding/binary"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// A record of the event window holds the events of one raft entry (an entry with large
// events has several records):
//
//	size    8 bytes: of the events as JSON
//	events, each:
//	  action  1 byte
//	  flags   1 byte: 1 refresh, 2 there is a prevNode
//	  now     varint, Unix nanoseconds
//	  key     uvarint length, bytes
//	  node    uvarint length, a node's record in stored form (layout.go)
//	  prev    the same, if flagged
//
// The JSON isn't stored. It repeats keys and values up to three times, and is encoded again
// when it is read.
const (
	eventRefresh = 1
	eventHasPrev = 2
)

// recordBytes is the JSON size at which a record of the window is full.
const recordBytes = 1 << 20

// eventRecord is a record of the window while it is being built.
type eventRecord struct {
	data  []byte // empty: no events yet
	first tree.Index
	size  uint64 // of the events as JSON
	named bool   // of a name's window, whose records are somewhat different (namerecords.go)
	node  []byte // scratch
}

// recorder adds the events of the current raft entry to the windows.
type recorder struct {
	eventRecord // of the common window
	names       *nameWindows
	copied      int // bytes of values in their records, of the current raft entry
}

// add adds an event, whose JSON has size bytes.
func (r *eventRecord) add(e *tree.Event, size int) {
	if len(r.data) == 0 {
		head := 8
		if r.named {
			head = nameHeadBytes
		}
		r.data = append(r.data, make([]byte, head)...)
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
	r.node = appendNodeHead(r.node[:0], n)
	value := n.Value
	if hasLargeValue(n) && !r.named {
		value = nil
	}
	r.data = binary.AppendUvarint(r.data, uint64(len(r.node)+len(value)))
	r.data = append(append(r.data, r.node...), value...)
}

// storedEvent is a decoded event with its nodes still in stored form.
type storedEvent struct {
	event      tree.Event // Node and Prev not yet set
	key        []byte
	node, prev []byte // records in stored form
}

// readEventSize splits a record into its size field and its events.
func readEventSize(rec []byte) (size uint64, events []byte, err error) {
	if len(rec) <= 8 {
		return 0, nil, errBadEvent
	}
	return binary.BigEndian.Uint64(rec), rec[8:], nil
}

// readEvent decodes the first of a record's events and returns the rest. The result refers
// to the input.
func readEvent(events []byte) (e storedEvent, rest []byte, err error) {
	if len(events) < 2 {
		return e, nil, errBadEvent
	}
	action, flags := tree.Action(events[0]), events[1]
	f := tree.NewDecoder(events[2:])
	e.event = tree.Event{Action: action, Refresh: flags&eventRefresh != 0, HasPrev: flags&eventHasPrev != 0, Now: f.Varint()}
	e.key, e.node = f.Bytes(), f.Bytes()
	if e.event.HasPrev {
		e.prev = f.Bytes()
	}
	if f.Failed() || action < tree.ActionSet || action > tree.ActionExpire || flags > eventRefresh|eventHasPrev {
		return e, nil, errBadEvent
	}
	return e, f.Rest(), nil
}

// index returns the event's index.
func (e *storedEvent) index() (tree.Index, error) {
	n, _, _, err := readNodeHead(e.node)
	return n.Modified, err
}

// encode returns the event, with large values read from the store unless they are in the record.
func (e *storedEvent) encode(from pebble.Reader, named bool) (tree.EncodedEvent, error) {
	key := string(e.key)
	read := func(rec []byte) (tree.Node, error) { return readStoredNode(from, key, rec) }
	if named {
		read = func(rec []byte) (tree.Node, error) { return readNode(key, rec) }
	}
	var err error
	if e.event.Node, err = read(e.node); err != nil {
		return tree.EncodedEvent{}, err
	}
	if e.event.HasPrev {
		if e.event.Prev, err = read(e.prev); err != nil {
			return tree.EncodedEvent{}, err
		}
	}
	if e.event.IsLarge() { // most watchers don't want it
		if named { // its values are in the record, which the iterator overwrites
			e.event.Node.Value, e.event.Prev.Value = bytes.Clone(e.event.Node.Value), bytes.Clone(e.event.Prev.Value)
		}
		return e.event.Late(nil), nil
	}
	return e.event.Encoded(tree.AppendEvent(nil, &e.event)), nil
}

// readStoredNode decodes a record in stored form, of the node at key.
func readStoredNode(from pebble.Reader, key string, rec []byte) (tree.Node, error) {
	whole, err := fullRecord(from, rec, nil)
	if err != nil {
		return tree.Node{}, err
	}
	return readNode(key, whole)
}

// record adds an event of the current raft entry, whose JSON has size bytes, to the window.
func (v *view) record(e *tree.Event, size int) {
	v.events.add(e, size)
	v.recordName(e, size)
	if v.events.size >= recordBytes {
		v.endRecord()
	}
}

// endRecord stores the current record of the window, unless it is empty.
func (v *view) endRecord() {
	r := &v.events.eventRecord
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
	v.endNameRecords()
}

// window is the limits of the event window: a number of events, and the bytes of their JSON. names are those
// of the windows that names have beside it.
type window struct {
	events int
	bytes  uint64
	names  NameLimits
}

// windowFloor returns the oldest index in a window of the given number of events when
// indexes are dense and last is the latest.
func windowFloor(last tree.Index, window int) tree.Index {
	if last < tree.Index(window) {
		return 1
	}
	return last - tree.Index(window) + 1
}

// trimStride is how many events may accumulate beyond the window before they are removed
// together. Finding them costs as much as several writes.
func (w window) trimStride() tree.Index { return tree.Index(max(64, w.events/4)) }

// trimBytes is the size that an oversized window is trimmed to.
func (w window) trimBytes() uint64 { return w.bytes - w.bytes/8 }

// trim removes the records that lie wholly below floor, where the window begins, and more
// if the window is too large. The newest record always stays. The effect depends on the
// entries alone, so it is the same on every replica.
func (v *view) trim(floor tree.Index, w window) {
	large := v.meta.windowBytes > w.bytes
	if v.meta.oldest == 0 || !large && floor < v.meta.oldest+w.trimStride() {
		return
	}
	it := v.iter(appendEventKey(nil, v.meta.oldest), []byte{eventPrefix + 1})
	defer v.close(it)
	for ok := it.First(); ok; {
		outdated := bytes.Clone(it.Key()) // unless it is the newest
		size, _, err := readEventSize(v.value(it))
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
	v.deleteValues(v.meta.oldest, v.meta.last-min(v.meta.last, tree.Index(lingerWindows*w.events)))
}

// emptyWindow removes all events: the window begins after the latest index.
func (v *view) emptyWindow() {
	v.must(v.batch.DeleteRange([]byte{eventPrefix}, []byte{eventPrefix + 1}, nil))
	v.meta.oldest, v.meta.trimmed, v.meta.windowBytes = 0, v.meta.last+1, 0
	v.emptyNames()
	v.deleteValues(v.meta.trimmed, v.meta.trimmed) // what exceeds its limit goes when the window is trimmed next
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
