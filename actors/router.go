package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"copse/actors/loop"
	"copse/actors/raft"
	"copse/actors/shard"
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
	if err := r.newerRefusal(c); err != nil {
		return tree.Reply{Err: err}
	}
	p := r.at(c.Key)
	if r.sharded == nil {
		return r.carryOut(p, c)
	}
	if err := r.spread(c); err != nil {
		return tree.Reply{Err: err}
	}
	if c.InRoot() {
		p = r.rootPart(c)
	}
	reply := r.carryOut(p, c)
	if c.Key == "/" {
		r.sharded.spanning.Settle() // its index is shown for the root
	}
	return reply
}

// carryOut has the shard carry out c, with its value in parts if it is large and all members know those.
func (r *Router) carryOut(p *part, c *tree.Command) tree.Reply {
	if c.Large() && r.member.membership.Able().Staged {
		return p.actor.DoInParts(c)
	}
	return p.actor.Do(c)
}

// rootPart is the part for a create in order in the root. Any will do, as its name is made to fit; a
// request that may be repeated goes to the same again.
func (r *Router) rootPart(c *tree.Command) *part {
	if c.Once.ID != "" {
		return r.at(c.Once.ID)
	}
	return r.parts[r.sharded.turn.Add(1)%uint64(len(r.parts))]
}

// Get answers a read from this member's replica. A quorum read first waits until the
// replica has caught up with everything that was acknowledged before, and one of a bounded age
// unless that is known of so recent a moment.
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
	end := time.Now().Add(r.timeout)
	if err := r.await(&q, end); err != nil {
		return dst, nil, tree.State{}, tree.Unavailable(err)
	}
	if g := r.follows(); g != nil && q.Confirmed() {
		if !q.Plain() || q.Page.Base64 || q.Raw != nil {
			return dst, nil, tree.State{}, tree.Unavailable(errNotOfSource)
		}
		if out, rest, st, err, own := r.getAtSource(g, dst, &q); !own {
			return out, rest, st, err
		}
	}
	if r.spans(q.Key) {
		return r.sharded.spanning.Get(dst, q, time.Until(end), r.State)
	}
	p := r.at(q.Key)
	if q.Confirmed() {
		if err := r.confirm(p, end, q.MaxStale); err != nil {
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

// await waits, until end, for the index that q is to be up to date with.
func (r *Router) await(q *tree.Query, end time.Time) error {
	if q.MinIndex == 0 {
		return nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	err := r.reach(ctx, q.Key, q.MinIndex)
	switch {
	case errors.Is(err, loop.ErrCrowded):
		return shard.ErrOverloaded
	case err != nil:
		return fmt.Errorf("%w: this member hasn't come to minIndex %d", shard.ErrTimeout, q.MinIndex)
	}
	return nil
}

// reach waits until this member shows an index of at least at for key.
func (r *Router) reach(ctx context.Context, key string, at tree.Index) error {
	switch p := r.at(key); {
	case r.spans(key):
		return r.sharded.closed.Wait(ctx, at)
	case r.sharded != nil:
		return r.sharded.closed.WaitIn(ctx, p.slot, at)
	default:
		return p.shown.Wait(ctx, uint64(at))
	}
}

// confirm waits until this member has all that the part acknowledged so long before the call as it may
// be stale. With several parts, it then also knows all indexes that were handed out before, so that it shows for a
// key at least what a quorum read of any member has shown (docs/SHARDS.md, 16).
func (r *Router) confirm(p *part, end time.Time, stale time.Duration) error {
	limit := time.Until(end)
	if r.sharded == nil {
		return p.lane.Wait(limit, stale)
	}
	order := r.sharded.order.lane.Ask(limit, stale)
	err := p.lane.Wait(limit, stale)
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
	p := r.at(w.Key)
	w.Hub = uint16(p.slot)
	for key := range w.Keys() {
		if r.spans(key) || r.at(key) != p {
			w.Hub = uint16(len(r.parts))
			return r.sharded.spanning.Watch(w, r.State)
		}
	}
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
	if int(w.Hub) == len(r.parts) {
		r.sharded.spanning.Unwatch(w)
		return
	}
	r.parts[w.Hub].hub.Unwatch(w)
}

// Told appends, for each hub, the index up to which its watches have been given everything.
func (r *Router) Told(dst []tree.Index) []tree.Index {
	for _, p := range r.parts {
		published := tree.Index(0)
		if r.sharded != nil {
			published = r.sharded.closed.In(p.slot) // what it covers went to the hub first
		}
		dst = append(dst, p.hub.Told(published))
	}
	if r.sharded != nil {
		dst = append(dst, r.sharded.spanning.Told(0))
	}
	return dst
}

// State is how far this member has come.
func (r *Router) State() tree.State {
	if r.sharded == nil {
		return r.state(r.parts[0])
	}
	return tree.State{
		Index:     r.sharded.closed.Index(),
		RaftIndex: r.sharded.applied.Load(),
		RaftTerm:  r.host.HighestTerm(),
	}
}

// state is how far this member has come with one part. With several, a part without
// writes is as far as the closed index, and raft's index is the same for all parts.
func (r *Router) state(p *part) tree.State {
	st := tree.State{
		Index:     p.machine.Index(),
		RaftIndex: p.machine.RaftIndex(),
		RaftTerm:  r.host.HighestTerm(),
	}
	if r.sharded != nil {
		st.Index = max(st.Index, r.sharded.closed.In(p.slot))
		st.RaftIndex = r.sharded.applied.Load()
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
