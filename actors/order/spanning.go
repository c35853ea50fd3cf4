package order

import (
	"cmp"
	"context"
	"slices"
	"time"

	"copse/actors/shard"
	"copse/actors/watch"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// spanningLimit bounds how long a read of the root waits for what other shards have under
// way, before it shows how far all of them are.
const spanningLimit = time.Second

// Spanning serves what concerns all shards where there are several: reads of the root,
// and watches on it. Both follow the closed index.
type Spanning struct {
	*watch.Hub
	o SpanningOptions
}

// SpanningOptions configure a Spanning.
type SpanningOptions struct {
	Order    *statemachine.Machine   // of the order shard
	Machines []*statemachine.Machine // of the data shards
	Closed   *ClosedIndex            // its events have to be published to the Spanning
	Window   int                     // events that waitIndex can reach back to
	// Confirm makes sure that the order shard's replica here has all that was
	// acknowledged so long before the call as it may be stale, or says within limit why it
	// may not.
	Confirm func(limit, stale time.Duration) error
	// Cut says how the shards are pinned at one index.
	Cut statemachine.CutOptions
}

// NewSpanning returns a Spanning. Its hub is an actor.
func NewSpanning(o SpanningOptions) *Spanning {
	s := &Spanning{o: o}
	s.Hub = watch.NewHub(watch.Options{First: o.Closed.Index(), Window: o.Window, Floor: s.floor, History: s.history})
	return s
}

// history reads the windows of all shards, up to the closed index: all up to there is
// in them.
func (s *Spanning) history(_ string, from tree.Index, limit int) (events []tree.EncodedEvent, complete tree.Index, err error) {
	end := s.o.Closed.Index() // read first
	for _, m := range s.o.Machines {
		part, oldest, err := m.History(from, limit)
		if err != nil {
			return nil, 0, err
		}
		complete = max(complete, oldest)
		if n := len(part); n > 0 {
			end = min(end, part[n-1].Index) // this shard may have more behind
		}
		events = append(events, part...)
	}
	events = slices.DeleteFunc(events, func(n tree.EncodedEvent) bool { return n.Index > end })
	slices.SortFunc(events, func(a, b tree.EncodedEvent) int { return cmp.Compare(a.Index, b.Index) })
	return events, complete, nil
}

// floor is the first index that all windows reach back to.
func (s *Spanning) floor() tree.Index {
	floor := tree.Index(1)
	for _, m := range s.o.Machines {
		floor = max(floor, m.Floor())
	}
	return floor
}

// Settle waits until the closed index covers what any shard here has shown, but not for
// long.
func (s *Spanning) Settle() {
	at := tree.Index(0)
	for slot, m := range s.o.Machines {
		at = max(at, m.Index(), s.o.Closed.In(slot))
	}
	if s.o.Closed.Index() >= at {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), spanningLimit)
	defer cancel()
	_ = s.o.Closed.Wait(ctx, at)
}

// confirm waits until this member has all that was acknowledged so long before the call as
// it may be stale, in every shard.
func (s *Spanning) confirm(limit, stale time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := s.o.Confirm(limit, stale); err != nil {
		return err
	}
	if err := s.o.Closed.Wait(ctx, s.o.Order.Index()); err != nil {
		return shard.ErrTimeout
	}
	return nil
}

// Get answers a read of the root; one that has to be confirmed within limit. state tells where this
// member stands, by the closed index.
func (s *Spanning) Get(dst []byte, q tree.Query, limit time.Duration, state func() tree.State) ([]byte, tree.Rest, tree.State, *tree.Error) {
	if q.Confirmed() {
		if err := s.confirm(limit, q.MaxStale); err != nil {
			return dst, nil, tree.State{}, tree.Unavailable(err)
		}
	} else {
		s.Settle()
	}
	st := state() // before the nodes, as in Router.Get
	if q.Raw != nil {
		return dst, nil, tree.State{}, &tree.Error{Code: tree.CodeNotFile, Cause: q.Key, Index: st.Index}
	}
	now := time.Now().UnixNano()
	if q.Plain() {
		out, rest, err := statemachine.GetAcross(s.o.Machines, dst, &q, st.Index, now)
		if err != nil {
			return dst, nil, tree.State{}, tree.Unavailable(err)
		}
		return out, rest, st, nil
	}
	out, rest, refused, err := statemachine.GetPage(s.o.Machines, dst, &q, statemachine.PageOptions{CutOptions: s.o.Cut}, func() int64 { return now })
	if err != nil {
		return dst, nil, tree.State{}, tree.Unavailable(err)
	}
	return out, rest, st, refused
}

// Watch registers w, a watch on the root or on keys of several shards. Without an index it begins as a read does.
func (s *Spanning) Watch(w *tree.Watch, state func() tree.State) (tree.State, *tree.Error) {
	if w.Since == 0 {
		s.Settle()
	}
	st := state()
	if w.Since == 0 {
		w.Since = st.Index + 1
	}
	return st, s.Hub.Watch(w)
}
