package actors

import (
	"time"

	"copse/actors/raft"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// Router is the front-end's way in: it knows which shard a key belongs to, and how the
// parts of a shard work together.
type Router struct {
	member  *Member
	host    *raft.Host
	parts   []*part
	sharded *sharding // nil: there is one part
	mirror  *mirrored // nil with several parts
	timeout time.Duration
	cluster tree.Cluster // what never changes: the ids, and the time when this member started
}

// at is the part that key belongs to.
func (r *Router) at(key string) *part {
	if r.sharded == nil {
		return r.parts[0]
	}
	return r.parts[tree.Slot(key, len(r.parts))]
}

// spans reports whether what is asked of key concerns several shards.
func (r *Router) spans(key string) bool { return r.sharded != nil && key == "/" }

// Do has c carried out and waits until that is applied here.
func (r *Router) Do(c *tree.Command) tree.Reply {
	if err := r.refusal(); err != nil {
		return tree.Reply{Err: err}
	}
	if g := r.follows(); g != nil {
		if reply, own := r.doAtSource(g, c); !own {
			return reply
		}
	}
	p := r.at(c.Key)
	if r.sharded == nil {
		return p.actor.Do(c)
	}
	if c.InRoot() {
		p = r.parts[r.sharded.turn.Add(1)%uint64(len(r.parts))] // any will do: its name is made to fit
	}
	reply := p.actor.Do(c)
	if c.Key == "/" {
		r.sharded.spanning.Settle() // its index is shown for the root
	}
	return reply
}

// Get answers a read from this member's replica. A quorum read first waits until the
// replica has caught up with everything that was acknowledged before.
func (r *Router) Get(dst []byte, q tree.Query) ([]byte, tree.Rest, tree.State, *tree.Error) {
	if err := r.refusal(); err != nil {
		return dst, nil, tree.State{}, err
	}
	seen := r.member.machine.Mirror()
	if err := r.mirrorRefusal(); err != nil {
		return dst, nil, tree.State{}, err
	}
	if seen.On { // what a whole read takes over has the same index as what was there before
		q.Tag = nil
	}
	if g := r.follows(); g != nil && q.Quorum {
		if !q.Plain() || q.Raw != nil {
			return dst, nil, tree.State{}, tree.Unavailable(errNotOfSource)
		}
		if out, rest, st, err, own := r.getAtSource(g, dst, &q); !own {
			return out, rest, st, err
		}
	}
	if r.spans(q.Key) {
		return r.sharded.spanning.Get(dst, q, r.timeout, r.State)
	}
	p := r.at(q.Key)
	if q.Quorum {
		if err := r.confirm(p); err != nil {
			return dst, nil, tree.State{}, tree.Unavailable(err)
		}
	}
	// The state is read before the nodes, so that the headers never promise more than
	// the body contains.
	st := r.state(p)
	out, rest, err, fail := r.read(p, dst, &q, seen.On)
	if fail != nil {
		return dst, nil, tree.State{}, tree.Unavailable(fail)
	}
	if seen.On && r.refilled(seen) { // it may have been read halfway through a fill
		if rest != nil {
			rest.Close()
		}
		return r.Get(dst, q)
	}
	if err != nil {
		err.Index = max(err.Index, st.Index) // a shard without writes is as far as the others
	}
	return out, rest, st, err
}

// read answers q from this member's replica as it is.
func (r *Router) read(p *part, dst []byte, q *tree.Query, mirrors bool) ([]byte, tree.Rest, *tree.Error, error) {
	if q.Plain() {
		return p.machine.Get(dst, q, unixNow)
	}
	return statemachine.GetPage([]*statemachine.Machine{p.machine}, dst, q, statemachine.PageOptions{Fleeting: mirrors}, unixNow)
}

// confirm waits until this member has all that the part acknowledged before the call. With several
// parts, it then also knows all indexes that were handed out before, so that it shows for a
// key at least what a quorum read of any member has shown (docs/SHARDS.md, 16).
func (r *Router) confirm(p *part) error {
	if r.sharded == nil {
		return p.lane.Wait(r.timeout)
	}
	end := time.Now().Add(r.timeout)
	order := r.sharded.order.lane.Ask(r.timeout)
	err := p.lane.Wait(r.timeout)
	if late := order.Wait(); err == nil {
		err = late
	}
	if err != nil {
		return err
	}
	return r.sharded.closed.Tell(p.slot, time.Until(end))
}

func unixNow() int64 { return time.Now().UnixNano() }

// Watch registers w; its Since becomes the next index if it is 0.
func (r *Router) Watch(w *tree.Watch) (tree.State, *tree.Error) {
	if err := r.refusal(); err != nil {
		return tree.State{}, err
	}
	if err := r.mirrorRefusal(); err != nil {
		return tree.State{}, err
	}
	if r.spans(w.Key) {
		return r.sharded.spanning.Watch(w, r.State)
	}
	p := r.at(w.Key)
	st := r.state(p)
	if w.Since == 0 {
		w.Since = st.Index + 1
	}
	err := p.hub.Watch(w)
	if err != nil {
		err.Index = max(err.Index, st.Index)
	}
	return st, err
}

// Unwatch removes w.
func (r *Router) Unwatch(w *tree.Watch) {
	if r.spans(w.Key) {
		r.sharded.spanning.Unwatch(w)
		return
	}
	r.at(w.Key).hub.Unwatch(w)
}

// State is how far this member has come.
func (r *Router) State() tree.State {
	if r.sharded == nil {
		return r.state(r.parts[0])
	}
	return tree.State{
		Index:     r.sharded.closed.Index(),
		RaftIndex: r.member.machine.RaftIndex(),
		RaftTerm:  r.host.HighestTerm(),
	}
}

// state is how far this member has come with one part. With several, a part without
// writes is as far as the closed index.
func (r *Router) state(p *part) tree.State {
	st := tree.State{
		Index:     p.machine.Index(),
		RaftIndex: p.machine.RaftIndex(),
		RaftTerm:  r.host.HighestTerm(),
	}
	if r.sharded != nil {
		st.Index = max(st.Index, r.sharded.closed.In(p.slot))
		st.RaftIndex = max(st.RaftIndex, r.member.machine.RaftIndex()) // never 0, even of a shard that is empty
	}
	return st
}

// Stats are the counters of /v2/stats/store.
func (r *Router) Stats() tree.Stats {
	var sum tree.Stats
	for _, p := range r.parts {
		s := p.machine.Stats()
		s.Watchers = uint64(p.hub.Watchers())
		sum.Add(&s)
	}
	if r.sharded != nil {
		sum.Watchers += uint64(r.sharded.spanning.Watchers())
	}
	return sum
}

// healthLimit bounds how long a quorum may take to answer before the member is unhealthy.
const healthLimit = time.Second

// Healthy reports whether every shard has a known leader and a quorum that answers in
// time.
func (r *Router) Healthy() bool {
	return !r.member.SteppedOut() && r.member.led() && r.member.CheckCaughtUp() == nil
}
