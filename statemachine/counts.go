package statemachine

import (
	"sync/atomic"

	"copse/statemachine/tree"
)

// counts are how many nodes there are, and how many of them expire. They are part
// of meta, and so the same on every replica.
type counts struct{ nodes, expiring uint64 }

// publishedCounts are the counts after the last update, for readers.
type publishedCounts struct{ nodes, expiring atomic.Uint64 }

// Nodes is how many nodes the replica holds: files and directories, hidden ones
// among them.
func (m *Machine) Nodes() uint64 { return m.counts.nodes.Load() }

// Expirations is how many of the nodes expire one day: those with a ttl of their own.
func (m *Machine) Expirations() uint64 { return m.counts.expiring.Load() }

func (p *publishedCounts) set(c counts) {
	p.nodes.Store(c.nodes)
	p.expiring.Store(c.expiring)
}

// put counts that n takes the place of prev, nil being none.
func (c *counts) put(n, prev *tree.Node) {
	if prev == nil {
		c.nodes++
	} else if prev.Expires != 0 {
		c.expiring--
	}
	if n.Expires != 0 {
		c.expiring++
	}
}

// remove counts that a node is taken out.
func (c *counts) remove(expires bool) {
	c.nodes--
	if expires {
		c.expiring--
	}
}
