package statemachine

import (
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// recent holds the indexes of the latest events, up to the size of the event window. It
// is used by the data shards of a sharded cluster only: there a failed write leaves its
// index unused, so the window can't be found by counting back from the latest index.
type recent struct {
	limit int
	at    []tree.Index // a ring once it has grown to limit
	next  int          // position of the oldest, once it is a ring
}

func (r *recent) push(at tree.Index) {
	if len(r.at) < r.limit {
		r.at = append(r.at, at)
		return
	}
	r.at[r.next] = at
	r.next = (r.next + 1) % r.limit
}

// floor returns the oldest index that waitIndex may ask for.
func (r *recent) floor() tree.Index {
	if len(r.at) < r.limit {
		return 1
	}
	return r.at[r.next]
}

// loadRecent reads the indexes of the events in the stored window.
func loadRecent(from pebble.Reader, limit int) (r recent, err error) {
	r.limit = max(1, limit)
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{eventPrefix}, UpperBound: []byte{eventPrefix + 1}})
	if err != nil {
		return r, err
	}
	defer func() { err = firstError(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return r, err
		}
		_, events, err := readEventSize(value)
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

// windowFloor returns the oldest index of the event window when the tree's index is last.
func (m *Machine) windowFloor(last tree.Index) tree.Index {
	if m.place.data() {
		return m.recent.floor()
	}
	return windowFloor(last, m.window.events)
}
