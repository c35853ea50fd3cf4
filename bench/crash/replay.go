package crash

import (
	"fmt"
	"sort"

	"copse/bench/v2api"
	"copse/bench/verdict"
)

// replay makes the tree from the union of all changes, in the order of their
// indexes, and holds each snapshot against it on the way.
func (c *checker) replay() {
	m := newModel(func(at uint64) bool { return c.union[at] != nil }, c.stood)
	for i := range c.h.Ops {
		if op := &c.h.Ops[i]; op.Refresh && op.Outcome == v2api.Unknown {
			m.fresh[op.Key] = true
		}
	}
	order := c.indexes()
	snapshots := append([]Snapshot(nil), c.h.Snapshots...)
	sort.SliceStable(snapshots, func(i, j int) bool { return snapshots[i].Index < snapshots[j].Index })
	for i, at := range order {
		for len(snapshots) > 0 && snapshots[0].Index < at {
			c.compare(m, &snapshots[0], order[i:])
			snapshots = snapshots[1:]
		}
		m.apply(c.union[at], c.refresh[at], c.complain)
	}
	for i := range snapshots {
		c.compare(m, &snapshots[i], nil)
	}
}

// compare holds a snapshot against the model at the snapshot's index.
func (c *checker) compare(m *model, s *Snapshot, later []uint64) {
	for at, op := range c.acked {
		if op.Epoch < s.Epoch && at > s.Index {
			c.complain(verdict.LostWrite, fmt.Sprintf("%s: the tree has index %d, but must have %v", s.Name, s.Index, op))
		}
	}
	leaving := c.leaving(m, s, later)
	for _, key := range keys(m.nodes, s.Nodes) {
		want, wanted := m.nodes[key]
		got, there := s.Nodes[key]
		switch {
		case wanted && !there && leaving[key]:
		case wanted && !there:
			c.complain(c.blame(want), fmt.Sprintf("%s: %s is not there, and was written at %d", s.Name, key, want.Modified))
		case !wanted && there:
			c.complain(verdict.Resurrected, fmt.Sprintf("%s: %s is there (of %d)", s.Name, key, got.Modified))
		default:
			if diff := m.differ(want, got, s.Until); diff != "" {
				c.complain(c.blame(want), fmt.Sprintf("%s: %s: %s", s.Name, key, diff))
			}
		}
	}
}

// leaving finds the keys that expired while the snapshot was read: the body is never
// older than the header promises, so it may lack them.
func (c *checker) leaving(m *model, s *Snapshot, later []uint64) map[string]bool {
	keys := map[string]bool{}
	for _, at := range later {
		if at > s.Until {
			break
		}
		if ev := c.union[at]; ev.Action == "expire" {
			for key := range m.nodes {
				if v2api.Within(key, ev.Node.Key) {
					keys[key] = true
				}
			}
		}
	}
	return keys
}

// blame distinguishes the loss of an acknowledged write from other differences.
func (c *checker) blame(want v2api.Node) verdict.Kind {
	if c.acked[want.Modified] != nil {
		return verdict.LostWrite
	}
	return verdict.TreeDiffers
}
