package statemachine

import (
	"fmt"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// historyBytes is the approximate limit of the JSON that one call of History returns.
const historyBytes = 4 << 20

// History returns up to limit events of the window with indexes of at least from, in
// index order, and fewer if they are large. It returns none only if there are none. oldest
// is the index where the window begins; no event from there on is missing.
func (m *Machine) History(from tree.Index, limit int) (events []tree.EncodedEvent, oldest tree.Index, err error) {
	return m.HistoryOf("/", from, limit)
}

// HistoryOf is History as far as key concerns: from the window of its top-level name, if
// that reaches back to from, there may be no other events.
func (m *Machine) HistoryOf(key string, from tree.Index, limit int) (events []tree.EncodedEvent, oldest tree.Index, err error) {
	p, err := m.pin()
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = firstError(err, p.unpin()) }()
	meta, err := loadMeta(p.snap)
	if err != nil {
		return nil, 0, err
	}
	page := eventPage{snap: p.snap, from: from, limit: limit}
	oldest, err = m.readEvents(&page, &meta, tree.TopName(key))
	if err != nil {
		m.end.ifDamaged(err)
		return nil, 0, fmt.Errorf("read event window: %w", err)
	}
	return page.events, oldest, nil
}

// eventAt reads one event of the window.
func (m *Machine) eventAt(index tree.Index) (n tree.EncodedEvent, ok bool) {
	events, _, err := m.History(index, 1)
	if err != nil || len(events) == 0 || events[0].Index != index {
		return n, false
	}
	return events[0], true
}

// readEvents reads a page from the window of a name or, if that begins later or there is none,
// from the common one.
func (m *Machine) readEvents(page *eventPage, meta *meta, name string) (oldest tree.Index, err error) {
	// After a restart with a larger window, the older events are still missing.
	if oldest = max(windowFloor(meta.last, m.window.events), meta.trimmed); m.place.data() {
		oldest = max(m.Floor(), meta.trimmed)
	}
	if name == "" || !m.window.names.on() {
		return oldest, page.read([]byte{eventPrefix}, []byte{eventPrefix + 1}, appendEventKey(nil, page.from+1))
	}
	var known nameWindows
	w, err := known.windowOf(page.snap, name, meta.last)
	switch {
	case err != nil:
		return 0, err
	case w.floor <= page.from:
		page.named = true
		return w.floor, page.read(appendNameEventKey(nil, name, page.from), appendNameEventKey(nil, name, maxIndex), nil)
	case oldest <= page.from:
		return oldest, page.read([]byte{eventPrefix}, []byte{eventPrefix + 1}, appendEventKey(nil, page.from+1))
	}
	return min(w.floor, oldest), nil
}

// eventPage is what one call of History returns.
type eventPage struct {
	snap   *pebble.Snapshot
	from   tree.Index
	limit  int
	named  bool // from the window of a name
	events []tree.EncodedEvent
	size   int // of their JSON
}

func (p *eventPage) full() bool {
	return len(p.events) >= p.limit || len(p.events) > 0 && p.size >= historyBytes
}

// read reads the records in a range of the store, from the last one before a key on if that is given.
func (p *eventPage) read(lower, upper, before []byte) (err error) {
	defer recoverFault(&err)
	it, err := p.snap.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, it.Close()) }()
	ok := before != nil && it.SeekLT(before)
	if !ok {
		ok = it.First()
	}
	for ; ok && !p.full(); ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		var events []byte
		if p.named {
			_, events, err = readNameRecord(it.Key(), value)
		} else {
			_, events, err = readEventSize(value)
		}
		if err == nil {
			err = p.add(events)
		}
		if err != nil {
			return err
		}
	}
	return it.Error()
}

// add adds the events of a record as far as they fit.
func (p *eventPage) add(events []byte) error {
	for len(events) > 0 && len(p.events) < p.limit {
		var e storedEvent
		var err error
		if e, events, err = readEvent(events); err != nil {
			return err
		}
		index, err := e.index()
		if err != nil {
			return err
		}
		if index < p.from {
			continue
		}
		n, err := e.encode(p.snap, p.named)
		if err != nil {
			return err
		}
		p.events = append(p.events, n)
		p.size += n.Size() + n.Binary.Bytes()
	}
	return nil
}
