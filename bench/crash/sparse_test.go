package crash

import (
	"testing"

	"copse/bench/v2api"
	"copse/bench/verdict"
)

// sparse turns a history of one shard, in place, into one of several shards:
// only every third index is used.
func sparse(h *History) *History {
	const every = 3
	node := func(n *v2api.Node) {
		if n != nil {
			n.Modified, n.Created = every*n.Modified, every*n.Created
		}
	}
	done := map[any]bool{} // answers and watchers share events, and events nodes
	event := func(ev *v2api.Event) {
		if ev == nil || done[ev] {
			return
		}
		done[ev] = true
		node(&ev.Node)
		if !done[ev.Prev] {
			done[ev.Prev] = true
			node(ev.Prev)
		}
	}
	h.Shards, h.Start = 4, every*h.Start
	for i := range h.Fences {
		h.Fences[i] *= every
	}
	for i := range h.Ops {
		op := &h.Ops[i]
		op.Floor, op.PrevIndex = every*op.Floor, every*op.PrevIndex
		event(op.Event)
	}
	for _, w := range h.Watchers {
		for _, s := range w.Seen {
			event(s.Event)
		}
	}
	for i := range h.Watchers {
		h.Watchers[i].From *= every
	}
	for i := range h.Glances {
		h.Glances[i].Floor, h.Glances[i].Index = every*h.Glances[i].Floor, every*h.Glances[i].Index
	}
	for i := range h.Snapshots {
		s := &h.Snapshots[i]
		s.Index, s.Until = every*s.Index, every*s.Until
		for key, n := range s.Nodes {
			node(&n)
			s.Nodes[key] = n
		}
	}
	return h
}

func TestCheckAllowsGapsToSeveralShards(t *testing.T) {
	h := sparse(honest())
	if found := Check(h); len(found) > 0 {
		t.Errorf("got %v, want nothing", found)
	}
	h.Shards = 1
	found := Check(h)
	if len(found) != 1 || found[0].Kind != verdict.IndexGap {
		t.Errorf("with one shard: got %v, want %q", found, verdict.IndexGap)
	}
}

// What a header shows of one shard is no floor for another, but what one shows
// of everything is.
func TestFloors(t *testing.T) {
	c := newClient("", 4)
	c.raise("/a", 10) // in the shard 3
	c.raise("", 7)
	c.raise("/b", 5) // in the shard 0
	for key, want := range map[string]uint64{"/a": 10, "/a/b": 10, "/b": 7, "/service": 7, "/": 7} {
		if got := c.floor(key); got != want {
			t.Errorf("%s: got %d, want %d", key, got, want)
		}
	}
	one := newClient("", 1)
	one.raise("/a", 10)
	if got := one.floor("/"); got != 10 {
		t.Errorf("one shard: got %d, want 10", got)
	}
}
