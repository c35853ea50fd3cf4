package tree_test

import (
	"testing"

	"copse/statemachine/tree"
)

// shelf is a Store of a single file in the root.
type shelf struct {
	tree.Store
	node tree.Node
}

func (s *shelf) Get(key string) (tree.Node, bool) { return s.node, key == s.node.Key }
func (s *shelf) Put(n, _ *tree.Node)              { s.node = *n }

// Every write passes here on each member: the nodes lie in the event, and are not allocated beside it.
func TestAWriteAllocatesNothingButItsEvent(t *testing.T) {
	for name, c := range map[string]tree.Command{
		"set":              {Op: tree.OpSet, Key: "/pear", Value: []byte("ripe")},
		"update":           {Op: tree.OpUpdate, Key: "/pear", Value: []byte("ripe")},
		"compare and swap": {Op: tree.OpCompareAndSwap, Key: "/pear", Value: []byte("ripe"), PrevValue: "ripe"},
	} {
		s := &shelf{node: tree.Node{Key: "/pear", Value: []byte("ripe"), Modified: 1, Created: 1, Written: 1}}
		index := tree.Index(0)
		var failed *tree.Error
		emit := func(ev *tree.Event) { index = ev.Encoded(nil).Index }
		got := testing.AllocsPerRun(100, func() { failed = tree.Apply(s, &c, 1, emit) })
		if got > 1 || failed != nil || index != 2 {
			t.Errorf("%s: %v allocations, error %v, index %d", name, got, failed, index)
		}
	}
}
