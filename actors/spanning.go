package actors

import (
	"cmp"
	"context"
	"slices"
	"time"

	"copse/actors/raft"
	"copse/actors/watch"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// spanningLimit is how long a read of the root waits for what other shards have under
// way, before it shows how far all of them are.
const spanningLimit = time.Second

// Spanning serves what concerns all shards where there are several: reads of the root,
// and watches on it. Both go by the closed index.
type Spanning struct {
	*watch.Hub
	order    *statemachine.Machine // the order shard's
	machines []*statemachine.Machine
	lane     *ReadLane // of the order shard
	closed   *Closed
}

// NewSpanning returns a Spanning over the data shards' machines. Its hub is an actor,
// to which the closed events have to be published.
func NewSpanning(order *statemachine.Machine, machines []*statemachine.Machine, closed *Closed, window int, lane *ReadLane) *Spanning {
	s := &Spanning{order: order, machines: machines, closed: closed, lane: lane}
	s.Hub = watch.NewHub(watch.Options{First: closed.Index(), Window: window, Floor: s.floor, History: s.history})
	return s
}

// history reads the windows of all shards, up to the closed index: all up to there is
// in them.
func (s *Spanning) history(from tree.Index, limit int) (events []tree.Notice, complete tree.Index, err error) {
	end := s.closed.Index() // read first
	for _, m := range s.machines {
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
	events = slices.DeleteFunc(events, func(n tree.Notice) bool { return n.Index > end })
	slices.SortFunc(events, func(a, b tree.Notice) int { return cmp.Compare(a.Index, b.Index) })
	return events, complete, nil
}

// floor is the first index that all windows reach back to.
func (s *Spanning) floor() tree.Index {
	floor := tree.Index(1)
	for _, m := range s.machines {
		floor = max(floor, m.Floor())
	}
	return floor
}

// settle waits until the closed index covers what any shard here has shown, but not for
// long.
func (s *Spanning) settle() {
	at := tree.Index(0)
	for _, m := range s.machines {
		at = max(at, m.Index())
	}
	if s.closed.Index() >= at {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), spanningLimit)
	defer cancel()
	_ = s.closed.Wait(ctx, at)
}

// confirm waits until this member has all that was acknowledged before the call, in
// every shard.
func (s *Spanning) confirm(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := s.lane.Wait(limit); err != nil {
		return err
	}
	if err := s.closed.Wait(ctx, s.order.Index()); err != nil {
		return raft.ErrTimeout
	}
	return nil
}

// Get answers a read of the root; a quorum read within limit. state tells where this
// member stands, by the closed index.
func (s *Spanning) Get(dst []byte, q tree.Query, limit time.Duration, state func() tree.State) ([]byte, tree.Rest, tree.State, *tree.Error) {
	if q.Quorum {
		if err := s.confirm(limit); err != nil {
			return dst, nil, tree.State{}, raftError(err)
		}
	} else {
		s.settle()
	}
	st := state() // before the nodes, as in Router.Get
	out, rest, err := statemachine.GetAcross(s.machines, dst, &q, unixNow())
	if err != nil {
		return dst, nil, tree.State{}, raftError(err)
	}
	return out, rest, st, nil
}

// Watch registers w, a watch on the root. Without an index it begins as a read does.
func (s *Spanning) Watch(w *tree.Watch, state func() tree.State) (tree.State, *tree.Error) {
	if w.Since == 0 {
		s.settle()
	}
	st := state()
	if w.Since == 0 {
		w.Since = st.Index + 1
	}
	return st, s.Hub.Watch(w)
}
