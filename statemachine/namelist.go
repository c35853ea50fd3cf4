package statemachine

import (
	"time"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// NameWindow says what the window of a top-level name holds.
type NameWindow struct {
	Name   string
	Floor  tree.Index // the oldest index that waitIndex may ask for
	Last   tree.Index // of the latest event
	Events uint64
	Bytes  uint64        // of the events as JSON
	Age    time.Duration // of the oldest event by the shard's clock; 0 as long as that isn't known
}

// NameWindows lists the windows of names that come after that of a key, up to a limit, by name. floor is the oldest
// index that waitIndex may ask for below names that have none; 0: there are no such windows at all.
func (m *Machine) NameWindows(after string, limit int) (list []NameWindow, floor tree.Index, err error) {
	if !m.window.names.on() {
		return nil, 0, nil
	}
	p, err := m.pin()
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = firstError(err, p.unpin()) }()
	defer func() { m.end.ifDamaged(err) }()
	defer recoverFault(&err)
	meta, err := loadMeta(p.snap)
	if err != nil {
		return nil, 0, err
	}
	var all nameWindows
	if found, err := all.load(p.snap); err != nil || !found || all.upTo != meta.last {
		return nil, meta.last + 1, err
	}
	it, err := p.snap.NewIter(&pebble.IterOptions{LowerBound: append(appendNameKey(nil, tree.TopName(after)), 0), UpperBound: []byte{nameWindowPrefix + 1}})
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = firstError(err, it.Close()) }()
	for ok := it.First(); ok && len(list) < limit; ok = it.Next() {
		rec, err := it.ValueAndErr()
		if err != nil {
			return nil, 0, err
		}
		w, err := readNameWindow(it.Key(), rec)
		if err != nil {
			return nil, 0, err
		}
		one := NameWindow{Name: w.name, Floor: w.floor, Last: w.last, Events: w.events, Bytes: w.bytes}
		if w.since != 0 {
			one.Age = time.Duration(max(0, meta.clock.Time-w.since)) // a new leader's clock begins somewhat earlier
		}
		list = append(list, one)
	}
	return list, all.floor, it.Error()
}

// NameTotals are the windows of all names in sum.
type NameTotals struct {
	Names, Events, Bytes uint64
	Floor                tree.Index // as NameWindows returns it
}

// NameTotals returns zeros if there are no windows of names. It may be called from any goroutine.
func (m *Machine) NameTotals() NameTotals { return *m.published.names.Load() }

func (n *nameWindows) totals() *NameTotals {
	if !n.limits.on() {
		return new(NameTotals)
	}
	return &NameTotals{Names: uint64(len(n.of)), Events: n.events, Bytes: n.bytes, Floor: n.floor}
}
