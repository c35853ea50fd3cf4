package actors

import (
	"maps"
	"slices"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// Shards returns what this member knows about the shards.
func (r *Router) Shards() tree.ShardsStatus {
	all := tree.ShardsStatus{Closed: r.State().Index}
	for _, p := range r.parts {
		s := r.status(p.id, p.machine)
		s.Slot, s.Watchers = p.slot, uint64(p.hub.Watchers())
		all.Data = append(all.Data, s)
	}
	if r.sharded != nil {
		order := r.status(orderShard, r.member.machine)
		all.Order = &order
	}
	return all
}

func (r *Router) status(id uint64, m *statemachine.Machine) tree.ShardStatus {
	store, _ := m.StoreMetrics() // a closed store has none
	return tree.ShardStatus{
		ID:      id,
		Leader:  r.host.Leader(id).Member,
		Term:    r.host.ShownTerm(id),
		Applied: m.RaftIndex(),
		Index:   m.Index(),
		Nodes:   m.Nodes(),
		Bytes:   store.DiskBytes,
		Members: slices.Sorted(maps.Keys(r.host.Voters(id))),
	}
}
