package actors

import (
	"context"
	"errors"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

var errNotClosed = errors.New("some shard did not apply in time what it has under way")

// Backup returns the whole tree at one index as a file of package portable, in parts; its
// caller closes it. It has all that was acknowledged before the call, unless stale is set: then it
// has what this member has, leader or not.
func (r *Router) Backup(stale bool) (tree.Rest, tree.State, *tree.Error) {
	if err := r.refusal(); err != nil {
		return nil, tree.State{}, err
	}
	first := r.member.part(orderShard)
	if !stale {
		if err := first.lane.Wait(r.timeout, 0); err != nil {
			return nil, tree.State{}, tree.Unavailable(err)
		}
	}
	st := r.State()
	o := statemachine.BackupOptions{ClusterID: r.cluster.ID, Term: st.RaftTerm, Time: time.Now()}
	o.CutOptions = r.sharded.cut(stale, r.timeout)
	b, err := statemachine.NewBackup(first.machine, r.member.dataMachines(), o)
	if err != nil {
		return nil, tree.State{}, tree.Unavailable(err)
	}
	st.Index = b.Header().Index
	return b, st, nil
}

// cut says how an index is found at which all data shards are pinned. Without a leader what is
// under way stays so: with stale, what is here is pinned then.
func (s *sharding) cut(stale bool, limit time.Duration) (o statemachine.CutOptions) {
	if s == nil {
		return o
	}
	o.Counter = s.order.machine.Index
	o.Closed = func(at tree.Index) error {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if s.closed.Wait(ctx, at) != nil && !stale {
			return errNotClosed
		}
		return nil
	}
	return o
}
