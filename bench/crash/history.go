package crash

import (
	"fmt"
	"time"
)

// Node is a key-tree node as the server prints it.
type Node struct {
	Key        string     `json:"key"`
	Value      string     `json:"value"`
	Dir        bool       `json:"dir"`
	Expiration *time.Time `json:"expiration"`
	Nodes      []Node     `json:"nodes"`
	Modified   uint64     `json:"modifiedIndex"`
	Created    uint64     `json:"createdIndex"`
}

// Event is one change, as a writer's answer or a watcher showed it.
type Event struct {
	Action string `json:"action"`
	Node   Node   `json:"node"`
	Prev   *Node  `json:"prevNode"`
}

// Index is the change's place in the one order that v2 promises.
func (e *Event) Index() uint64 { return e.Node.Modified }

// Outcome says what a writer knows about its write.
type Outcome int

const (
	// Unknown: it was sent, and no answer came.
	Unknown Outcome = iota
	// Acked: answered with success, so it must never be lost.
	Acked
	// Refused: answered with an error that promises that nothing changed.
	Refused
	// NotSent: no connection, so it can't have happened.
	NotSent
)

// Op is one write and what became of it.
type Op struct {
	Epoch   int    // how many restarts had happened when it was sent
	Method  string // PUT, POST or DELETE
	Key     string
	Value   string // unique to this write, when it carries one
	Query   string // the parameters other than the value
	Refresh bool
	Prev    uint64 // prevIndex, when given

	Floor   uint64 // the highest index that anyone had seen before it was sent
	Outcome Outcome
	Event   *Event // when Acked
	Code    int    // when Refused
}

func (o *Op) String() string {
	s := fmt.Sprintf("%s %s?%s value %q (epoch %d, floor %d)", o.Method, o.Key, o.Query, o.Value, o.Epoch, o.Floor)
	switch o.Outcome {
	case Acked:
		return s + fmt.Sprintf(" acknowledged at %d", o.Event.Index())
	case Refused:
		return s + fmt.Sprintf(" refused with %d", o.Code)
	case NotSent:
		return s + " not sent"
	}
	return s + " unknown"
}

// Seen is an event and the moment at which a watcher had it.
type Seen struct {
	Event *Event
	At    time.Time
}

// WatchLog is all that one watcher saw.
type WatchLog struct {
	Name  string
	Scope string // a directory; the watch is recursive
	From  uint64 // the first index that it asked for
	Seen  []Seen
}

// Glance is an index that an answer's header showed, next to the highest index
// that anyone had seen before the request was sent.
type Glance struct {
	What  string
	Floor uint64
	Index uint64
}

// Snapshot is the whole tree, read while no writer was at work.
type Snapshot struct {
	Name  string
	Epoch int    // what was written in earlier ones must be in it
	Index uint64 // the header's
	Until uint64 // the fence that was written right after
	Nodes map[string]Node
}

// History is everything noted so far.
type History struct {
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

// Violation is a broken promise.
type Violation struct {
	Kind   Kind
	Detail string
}

func (v Violation) String() string { return string(v.Kind) + ": " + v.Detail }

// Kind names the promise that was broken.
type Kind string

const (
	LostWrite    Kind = "lost write"
	IndexReused  Kind = "index given twice"
	IndexBack    Kind = "index went back"
	IndexGap     Kind = "index gap"
	EventMissing Kind = "event missing"
	EventTwice   Kind = "event twice"
	EventOrder   Kind = "event out of order"
	EventAlien   Kind = "event that nobody asked for"
	EventDiffers Kind = "event differs"
	AppliedTwice Kind = "write applied twice"
	AppliedLate  Kind = "write applied after a restart"
	EarlyExpiry  Kind = "expired early"
	Resurrected  Kind = "resurrected key"
	TreeDiffers  Kind = "tree differs"
	PrevDiffers  Kind = "prevNode differs"
)
