package statemachine

import (
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// recent holds the indexes of the last events of a data shard of several, as many as
// the window is to hold. There indexes have gaps: a write that fails leaves its own unused,
// so the window can't be counted in them.
type recent struct {
	limit int
	at    []tree.Index // circular once it has grown to limit
	next  int          // the oldest, then
}

func (r *recent) push(at tree.Index) {
	if len(r.at) < r.limit {
		r.at = append(r.at, at)
		return
	}
	r.at[r.next] = at
	r.next = (r.next + 1) % r.limit
}

// floor is the oldest index that waitIndex may ask for.
func (r *recent) floor() tree.Index {
	if len(r.at) < r.limit {
		return 1
	}
	return r.at[r.next]
}

// loadRecent reads the indexes of the window's events.
func loadRecent(from pebble.Reader, limit int) (r recent, err error) {
	r.limit = max(1, limit)
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{eventPrefix}, UpperBound: []byte{eventPrefix + 1}})
	if err != nil {
		return r, err
	}
	defer func() { err = firstError(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		_, events, err := readEventSize(it.Value())
		if err != nil {
			return r, err
		}
		for len(events) > 0 {
			var e storedEvent
			if e, events, err = readEvent(events); err != nil {
				return r, err
			}
			index, err := e.index()
			if err != nil {
				return r, err
			}
			r.push(index)
		}
	}
	return r, it.Error()
}

// Floor is the oldest index that waitIndex may ask for. It may be called from any
// goroutine.
func (m *Machine) Floor() tree.Index { return tree.Index(m.floor.Load()) }

// windowFloor is what Floor becomes once an update is known that leaves the tree at
// last.
func (m *Machine) windowFloor(last tree.Index) tree.Index {
	if m.place.data() {
		return m.recent.floor()
	}
	return windowFloor(last, m.window.events)
}
