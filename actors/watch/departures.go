package watch

import (
	"sync"

	"copse/actors/loop"
	"copse/statemachine/tree"
)

// departures carries Unwatch to the hub's loop without ever waiting for it.
//
// The hub may stand inside Sink.Deliver, waiting for the very loop that calls
// Unwatch, so Unwatch must not wait for the hub: not for an answer, and not for
// room in a mailbox either. A lock that is held for a few instructions, and
// never around a call to anyone, can't be part of a cycle of waiting. The list
// behind it holds each parked watcher once at most, so it is bounded by them.
type departures struct {
	bell loop.Bell // rings when gone is no longer empty

	mu   sync.Mutex
	gone []*tree.Watch
	// entering holds the watches whose registration is under way: a client may
	// leave before the hub has even seen its watch, and then the departure must
	// come after the arrival. true: left already.
	entering map[*tree.Watch]bool
}

func newDepartures() departures {
	return departures{bell: loop.NewBell(), entering: map[*tree.Watch]bool{}}
}

// enter says that w is on its way to the hub.
func (d *departures) enter(w *tree.Watch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entering[w] = false
}

// entered says that the hub has dealt with w's arrival.
func (d *departures) entered(w *tree.Watch) {
	d.mu.Lock()
	left := d.entering[w]
	delete(d.entering, w)
	if left {
		d.gone = append(d.gone, w)
	}
	d.mu.Unlock()
	if left {
		d.bell.Ring()
	}
}

// leave says that w's client is gone.
func (d *departures) leave(w *tree.Watch) {
	d.mu.Lock()
	_, entering := d.entering[w]
	if entering {
		d.entering[w] = true
	} else {
		d.gone = append(d.gone, w)
	}
	d.mu.Unlock()
	if !entering {
		d.bell.Ring()
	}
}

// left reports whether w, which is entering, is gone already.
func (d *departures) left(w *tree.Watch) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.entering[w]
}

// take returns the watches that have left since the last call.
func (d *departures) take() []*tree.Watch {
	d.mu.Lock()
	defer d.mu.Unlock()
	gone := d.gone
	d.gone = nil
	return gone
}
