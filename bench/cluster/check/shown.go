package check

import (
	"time"

	"copse/bench/cluster/history"
	"copse/bench/v2api"
)

// firstShown is when each value was first shown to anybody, in an event or in
// an answer. A write whose value was never shown can't have happened if a witness saw
// everything; whole reports that.
func firstShown(h *history.History) (first map[string]time.Duration, whole bool) {
	first = map[string]time.Duration{}
	show := func(n *v2api.Node, at time.Duration) {
		if n == nil || n.Value == "" {
			return
		}
		if had, known := first[n.Value]; !known || at < had {
			first[n.Value] = at
		}
	}
	for _, op := range h.Ops {
		if op.Event != nil {
			show(&op.Event.Node, op.Return)
			show(op.Event.Prev, op.Return)
		}
	}
	for _, w := range h.Watches {
		complete := w.Witness
		for _, e := range w.Entries {
			if e.Event == nil {
				complete = false
				continue
			}
			show(&e.Event.Node, e.At)
			show(e.Event.Prev, e.At)
		}
		whole = whole || complete
	}
	return first, whole
}
