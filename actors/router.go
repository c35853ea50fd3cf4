package actors

import (
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// Router is what the front-end speaks to: it knows which shard a key lives in,
// and how the parts of a shard work together.
type Router struct {
	node    *Node
	host    *Host
	shard   *Shard
	lane    *ReadLane
	machine *statemachine.Machine
	hub     *WatchHub
	cluster tree.Cluster // what never changes: the ids, and when this member started
}

// Do proposes c and waits until it is applied here.
func (r *Router) Do(c *tree.Command) tree.Reply { return r.shard.Do(c) }

// Get answers a read from this member's replica; a quorum read once that has
// caught up with all that was acknowledged before.
func (r *Router) Get(dst []byte, q tree.Query) ([]byte, tree.Rest, tree.State, *tree.Error) {
	if q.Quorum {
		if err := r.lane.Wait(r.shard.timeout); err != nil {
			return dst, nil, tree.State{}, raftError(err)
		}
	}
	// The state is read before the nodes, so that the header never promises
	// more than the body holds.
	st := r.State()
	out, rest, err, fail := r.machine.Get(dst, &q, time.Now().UnixNano())
	if fail != nil {
		return dst, nil, tree.State{}, raftError(fail)
	}
	return out, rest, st, err
}

// Peek is Get for what needs no waiting: a single node.
func (r *Router) Peek(dst []byte, q tree.Query) (out []byte, st tree.State, err *tree.Error, done bool) {
	st = r.State()
	out, err, done, fail := r.machine.Peek(dst, &q, time.Now().UnixNano())
	if fail != nil {
		return dst, tree.State{}, raftError(fail), true
	}
	return out, st, err, done
}

// Ask proposes c; a is answered when it is applied here.
func (r *Router) Ask(c *tree.Command, a tree.Asker) { r.shard.Ask(c, a) }

// Confirm answers a once reads here see all that was acknowledged before.
func (r *Router) Confirm(a tree.Asker) { r.lane.Ask(a) }

func raftError(err error) *tree.Error {
	return &tree.Error{Code: tree.CodeRaftInternal, Cause: err.Error()}
}

// Watch registers w; its Since becomes the next index if it is 0.
func (r *Router) Watch(w *tree.Watch) (tree.State, *tree.Error) {
	st := r.State()
	if w.Since == 0 {
		w.Since = st.Index + 1
	}
	return st, r.hub.Watch(w)
}

// Unwatch takes w out again.
func (r *Router) Unwatch(w *tree.Watch) { r.hub.Unwatch(w) }

// State is where this member stands.
func (r *Router) State() tree.State {
	return tree.State{
		Index:     r.machine.Index(),
		RaftIndex: r.machine.RaftIndex(),
		RaftTerm:  r.host.Term(r.shard.id),
	}
}

// Stats are the counters of /v2/stats/store.
func (r *Router) Stats() tree.Stats {
	s := r.machine.Stats()
	s.Watchers = uint64(r.hub.Watchers())
	return s
}

// healthLimit is how long a quorum may take to answer before the member is
// called unhealthy.
const healthLimit = time.Second

// Healthy reports whether a leader is known and a quorum answers in time.
func (r *Router) Healthy() bool {
	if r.host.Leader(r.shard.id).Member == 0 {
		return false
	}
	return r.lane.Wait(healthLimit) == nil
}
