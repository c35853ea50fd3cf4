package watch

import (
	"sync"

	"copse/actors/loop"
	"copse/statemachine/tree"
)

// departures passes Unwatch on to the hub's loop without ever waiting for it.
//
// The hub may be inside Sink.Deliver, waiting for the very goroutine that calls
// Unwatch. So Unwatch must not wait for the hub: neither for an answer nor for
// room in a mailbox. A lock that is held for a few instructions, and never around
// a call to someone else, can't take part in a deadlock. The list it guards is
// bounded: each parked watcher is in it once at most.
type departures struct {
	bell loop.Bell // rings when gone is no longer empty

	mu   sync.Mutex
	gone []*tree.Watch
	// entering has the watches that are being registered, with true for those whose
	// client has left already. A client may leave before the hub has even seen its
	// watch; the departure must then reach the hub after the arrival.
	entering map[*tree.Watch]bool
}

func newDepartures() departures {
	return departures{bell: loop.NewBell(), entering: map[*tree.Watch]bool{}}
}

// enter records that w is about to be registered.
func (d *departures) enter(w *tree.Watch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entering[w] = false
}

// entered records that the hub has registered w, or won't.
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

// leave records that w's client is gone.
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

// left reports whether the client of w, which is entering, has gone already.
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
