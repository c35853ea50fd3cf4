package statemachine

import "copse/statemachine/tree"

// counts are the number of nodes, and the number of those that expire. They are part of
// meta, and so the same on every replica.
type counts struct{ nodes, expiring uint64 }

// put counts n, which replaces prev (nil: none).
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

// remove uncounts a node that is removed.
func (c *counts) remove(expires bool) {
	c.nodes--
	if expires {
		c.expiring--
	}
}
