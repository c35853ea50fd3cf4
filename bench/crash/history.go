package crash

import (
	"fmt"
	"time"

	"copse/bench/v2api"
)

// Op is one write and its outcome.
type Op struct {
	v2api.Request     // its value is unique to it, if it carries one
	Epoch         int // how many restarts had happened when it was sent

	Floor   uint64 // the highest index that anyone had seen before it was sent
	Outcome v2api.Outcome
	Event   *v2api.Event // when acknowledged
	Code    int          // when refused
}

func (o *Op) String() string {
	s := fmt.Sprintf("%v (epoch %d, floor %d) %v", &o.Request, o.Epoch, o.Floor, o.Outcome)
	switch o.Outcome {
	case v2api.Acked:
		return s + fmt.Sprintf(" at %d", o.Event.Index())
	case v2api.Refused:
		return s + fmt.Sprintf(" with %d", o.Code)
	}
	return s
}

// Seen is an event and the moment at which a watcher had it.
type Seen struct {
	Event *v2api.Event
	At    time.Time
}

// WatchLog is all that one watcher saw.
type WatchLog struct {
	Name  string
	Scope string // a directory, "" for the root; the watch is recursive
	From  uint64 // the first index that it asked for
	Seen  []Seen
}

// Glance is an index that an answer's header showed, next to the highest index
// that it must not be below: one that was shown before the request was sent.
type Glance struct {
	What  string
	Floor uint64
	Index uint64
}

// Snapshot is the whole tree, read while no writer was at work.
type Snapshot struct {
	Name  string
	Epoch int    // everything written in earlier ones must be in it
	Index uint64 // the header's
	Until uint64 // the fence that was written right after
	Nodes map[string]v2api.Node
}

// History is everything noted so far.
type History struct {
	Shards    int      // with more than one, indexes have gaps
	Start     uint64   // the index at the start: the load's first change is above it
	Fences    []uint64 // Fences[e] was written after the restart that ended epoch e
	Restarts  int      // how many times the server was started again
	Ops       []Op
	Watchers  []WatchLog
	Glances   []Glance
	Snapshots []Snapshot
}

// end is the last index up to which every watcher is known to have seen all.
func (h *History) end() uint64 {
	if len(h.Fences) == 0 {
		return 0
	}
	return h.Fences[len(h.Fences)-1]
}
