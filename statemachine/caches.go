package statemachine

import "copse/statemachine/tree"

// caches are a machine's caches of what clients read often, and the marks of what they have
// listed. Update blocks in both
// whatever it is about to change, commits, and unblocks it before anyone learns of the
// update. So a reader that has seen part of an update, or knows its index, never gets
// anything from before it.
type caches struct {
	nodes *nodeCache
	lists *listCache
	marks *marks
}

// bytes are how much is taken of what the caches may have.
func (c caches) bytes() (nodes, lists int) {
	for i := range c.nodes.shards {
		s := &c.nodes.shards[i]
		s.mu.RLock()
		for _, set := range []*recordSet{&s.nodes, &s.absent} {
			nodes += set.used() + set.count*linkBytes
		}
		s.mu.RUnlock()
	}
	c.lists.mu.RLock()
	defer c.lists.mu.RUnlock()
	return nodes, c.lists.size + c.lists.filling
}

// block removes what v is about to change, and keeps it out until unblock.
func (c caches) block(v *view) {
	if v.changedAll {
		c.blockAll(v.meta.last)
		return
	}
	c.marks.raise(v.changed, v.meta.last)
	c.nodes.block(v.changed)
	c.lists.block(v.changed)
}

func (c caches) unblock(v *view) {
	if v.changedAll {
		c.unblockAll()
		return
	}
	c.nodes.unblock(v.changed)
	c.lists.unblock(v.changed)
}

// blockAll removes everything, before a change after which the tree's index is at.
func (c caches) blockAll(at tree.Index) {
	c.marks.restart(at)
	c.nodes.blockAll()
	c.lists.blockAll()
}

func (c caches) unblockAll() {
	c.nodes.unblockAll()
	c.lists.unblockAll()
}
