package crash

import (
	"sync/atomic"

	"copse/bench/v2api"
	"copse/bench/writemix"
)

// writer sends one kind of write after another and records the outcomes.
// It lives from one start of the server to the next kill.
type writer struct {
	client *client
	mix    *writemix.Mix
	epoch  int
	pace   func()             // waits while the watchers are too far behind
	noted  func(index uint64) // hears of what watchers have to see
	over   *atomic.Bool

	ops []Op
}

// run writes until it is stopped. Writes that fail because there is no server
// don't end it: it must be busy when the server is killed.
func (w *writer) run() {
	for !w.over.Load() {
		w.pace()
		w.mix.Next()
	}
}

// Call is the mix's way to the server.
func (w *writer) Call(r v2api.Request) (v2api.Outcome, *v2api.Event) {
	if !r.Write() {
		reply, err := w.client.ask(&r)
		outcome, ev, _ := reply.Parse(err)
		return outcome, ev
	}
	op := Op{Request: r, Epoch: w.epoch}
	w.client.write(&op)
	w.ops = append(w.ops, op)
	if op.Outcome == v2api.Acked && !op.Refresh {
		w.noted(op.Event.Index())
	}
	return op.Outcome, op.Event
}

// Seen is the highest index that any answer showed.
func (w *writer) Seen() uint64 { return w.client.seen.Load() }
