package txn

import (
	"slices"

	"copse/statemachine/tree"
)

// Store is a tree.Store whose keys can be walked through.
type Store interface {
	tree.Store
	// Walk calls visit for the keys below dir, depth first, while that returns more. What is below
	// the key just visited is left out unless visit returns below. The store doesn't change meanwhile.
	Walk(dir string, visit func(key string) (more, below bool))
}

// overlay is a store as it would be after some changes. What is under it stays as it is.
type overlay struct {
	Store
	nodes   map[string]tree.Node // put
	removed map[string]bool      // whatever was there before, and below
}

func newOverlay(s Store) *overlay {
	return &overlay{Store: s, nodes: map[string]tree.Node{}, removed: map[string]bool{}}
}

// Get implements tree.Store.
func (o *overlay) Get(key string) (tree.Node, bool) {
	if n, ok := o.nodes[key]; ok {
		return n, true
	}
	if o.gone(key) {
		return tree.Node{}, false
	}
	return o.Store.Get(key)
}

// gone reports whether key, or a directory that it is in, was removed.
func (o *overlay) gone(key string) bool {
	for removed := range o.removed { // few, while a key may have thousands of directories
		if key == removed || tree.Within(removed, key) {
			return true
		}
	}
	return false
}

// Put implements tree.Store.
func (o *overlay) Put(n *tree.Node, _ *tree.Node) { o.nodes[n.Key] = *n }

// Remove implements tree.Store.
func (o *overlay) Remove(n *tree.Node) {
	o.removed[n.Key] = true
	delete(o.nodes, n.Key)
	for key := range o.nodes {
		if n.Dir && tree.Within(n.Key, key) {
			delete(o.nodes, key)
		}
	}
}

// HasChildren implements tree.Store.
func (o *overlay) HasChildren(dir string) (found bool) {
	o.Walk(dir, func(string) (more, below bool) {
		found = true
		return false, false
	})
	return found
}

// Walk implements Store.
func (o *overlay) Walk(dir string, visit func(key string) (more, below bool)) {
	var put []string
	for key := range o.nodes {
		if tree.Within(dir, key) {
			put = append(put, key)
		}
	}
	slices.SortFunc(put, tree.CompareKeys)
	more, past := true, ""
	offer := func(key string) (below bool) {
		if past != "" && tree.Within(past, key) {
			return false
		}
		if more, below = visit(key); !below {
			past = key
		}
		return below
	}
	upTo := func(is func(key string) bool) {
		for more && len(put) > 0 && is(put[0]) {
			offer(put[0])
			put = put[1:]
		}
	}
	if !o.gone(dir) {
		o.Store.Walk(dir, func(key string) (bool, bool) {
			upTo(func(k string) bool { return tree.CompareKeys(k, key) < 0 })
			if !more || o.removed[key] {
				return more, false
			}
			if len(put) > 0 && put[0] == key {
				put = put[1:]
			}
			below := offer(key)
			return more, below
		})
	}
	upTo(func(string) bool { return true })
}
