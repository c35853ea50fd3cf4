package history

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"copse/bench/v2api"
)

// Op is one request and its outcome. Times count from the start of the run. Where it was sent several times,
// with one RequestID, each is an Op.
type Op struct {
	v2api.Request
	Txn    *Txn `json:",omitempty"` // instead of one write; the Request has its first key, and its RequestID
	Client string
	Member int
	// Conn identifies the kept connection of a reader that wants its reads in
	// order; 0 for everybody else.
	Conn int `json:",omitempty"`

	Invoke  time.Duration
	Return  time.Duration // when the answer arrived, or the client gave up
	Outcome v2api.Outcome
	Index   uint64       `json:",omitempty"` // X-Etcd-Index
	Raft    uint64       `json:",omitempty"` // X-Raft-Index
	Term    uint64       `json:",omitempty"` // X-Raft-Term
	Event   *v2api.Event `json:",omitempty"` // when acknowledged; the last one of a transaction
	Fault   *v2api.Fault `json:",omitempty"` // when refused
}

// Txn is a transaction. No two are equal.
type Txn struct {
	v2api.Txn
	Events []v2api.Event `json:",omitempty"` // when acknowledged
}

// Answered says whether a definite answer came.
func (o *Op) Answered() bool { return o.Outcome == v2api.Acked || o.Outcome == v2api.Refused }

// Changed says whether the tree is known to have changed, at Event.Index().
func (o *Op) Changed() bool { return o.Write() && o.Outcome == v2api.Acked }

// Linear reports whether the answer must be linearizable.
func (o *Op) Linear() bool { return o.Write() || o.Quorum }

func (o *Op) String() string {
	s := o.Request.String()
	if o.Txn != nil {
		s = "txn " + o.Txn.String()
	}
	s += fmt.Sprintf(" by %s on member %d (%v to %v) %v", o.Client, o.Member,
		o.Invoke.Round(time.Microsecond), o.Return.Round(time.Microsecond), o.Outcome)
	switch {
	case o.Changed():
		s += fmt.Sprintf(" at %d", o.Event.Index())
	case o.Fault != nil:
		s += fmt.Sprintf(" with %d (%s) at %d", o.Fault.Code, o.Fault.Cause, o.Index)
	case o.Index != 0:
		s += fmt.Sprintf(" at %d", o.Index)
	}
	return s
}

// Glance is an index that the head of a watch of Key showed.
type Glance struct {
	Member            int
	Key               string
	Invoke, Return    time.Duration
	Index, Raft, Term uint64
}

// Entry is one thing that a watcher received: an event, or the message that the history
// it asked for is gone, after which it read the tree and continued from there.
type Entry struct {
	Event  *v2api.Event `json:",omitempty"`
	At     time.Duration
	Member int
	Had    uint64 `json:",omitempty"` // the id that came last with server-sent events: there is no more up to it

	Asked   uint64 `json:",omitempty"` // after a 401: the index that it asked for,
	Window  uint64 `json:",omitempty"` // the member's index then,
	Resumed uint64 `json:",omitempty"` // and the first index that it asked for afterwards
}

// Watch is everything that one watcher received, over all its connections.
type Watch struct {
	Name      string
	Scope     string
	Recursive bool
	// Prefixes are what it watches within Scope, which without any is watched itself. They are in
	// several shards, if there are several.
	Prefixes []string `json:",omitempty"`
	// Witness marks a watcher of the whole load that kept up at all costs. What
	// no witness saw did not happen.
	Witness bool
	From    uint64 // the first index that it asked for
	Entries []Entry
	Last    uint64 `json:"-"` // how far it has come; guarded by the Recorder
}

// Keys are what it watches.
func (w *Watch) Keys() []string {
	if len(w.Prefixes) > 0 {
		return w.Prefixes
	}
	return []string{w.Scope}
}

// Final is the whole tree at one member at the end.
type Final struct {
	Member int
	Index  uint64
	Tree   v2api.Node
}

// Rules are where servers may differ.
type Rules struct {
	// ExactHeader says that a read is of the very index in its header. Without
	// it the header may be older than the body, never newer.
	ExactHeader bool
	// Pauses says that times to live stand still while nothing can be written, so that
	// what has one may expire later than its write was told, and be shown to.
	Pauses bool
	// Window is the number of past events that a watch can reach, and NameWindow of how many of
	// each top-level name that is true besides.
	Window, NameWindow uint64
	// Shards is the number of shards that the keys are spread over; 0 is one. With several,
	// the order of indexes is still the order of all changes, but it has gaps, and each
	// shard has a window of its own.
	Shards int
}

// History is a whole run.
type History struct {
	Rules    Rules
	Begin    time.Time
	Root     string // the directory that the load has for itself; "" is the whole tree
	Start    uint64 // the index at the start: the load's first change is above it
	End      uint64 // nothing was written after it, and every watcher has reached it
	Own      int    // how many indexes the servers may have needed for themselves
	Ops      []*Op
	Glances  []Glance
	Watches  []*Watch
	Finals   []Final
	Clusters []string // the cluster ids that were shown
	Deaths   []string // members that ended by themselves, without a reason
}

// Save writes the history to a file, for Load.
func (h *History) Save(file string) error {
	out, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return os.WriteFile(file, out, 0o644)
}

// Load reads what Save wrote.
func Load(file string) (*History, error) {
	in, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	h := &History{}
	if err := json.Unmarshal(in, h); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return h, nil
}
