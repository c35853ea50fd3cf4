package etcddir

import (
	"container/heap"
	"iter"
	"slices"

	"copse/statemachine/tree"
)

// store is etcd's tree in memory: the keys and what etcd keeps beside them. It implements
// tree.Store, in time that doesn't depend on how many nodes there are.
type store struct {
	nodes map[string]*entryNode
	due   dueHeap // the nodes that expire
}

type entryNode struct {
	tree.Node
	parent   *entryNode // nil for the top
	children map[*entryNode]struct{}
	place    int // in due; -1: never expires
}

func newStore() *store { return &store{nodes: map[string]*entryNode{}} }

// Get implements tree.Getter.
func (s *store) Get(key string) (tree.Node, bool) {
	n, ok := s.nodes[key]
	if !ok {
		return tree.Node{}, false
	}
	return n.Node, true
}

// Put implements tree.Store. It keeps the value, which must never change.
func (s *store) Put(n, _ *tree.Node) {
	at, ok := s.nodes[n.Key]
	if !ok {
		at = &entryNode{parent: s.nodes[tree.Parent(n.Key)], place: -1}
		s.nodes[n.Key] = at
		if p := at.parent; p != nil {
			if p.children == nil {
				p.children = map[*entryNode]struct{}{}
			}
			p.children[at] = struct{}{}
		}
	}
	if at.place >= 0 {
		heap.Remove(&s.due, at.place)
	}
	at.Node = *n
	if n.Expires != 0 {
		heap.Push(&s.due, at)
	}
}

// Remove implements tree.Store.
func (s *store) Remove(n *tree.Node) {
	at := s.nodes[n.Key]
	if at.parent != nil {
		delete(at.parent.children, at)
	}
	s.drop(at)
}

func (s *store) drop(at *entryNode) {
	for child := range at.children {
		s.drop(child)
	}
	if at.place >= 0 {
		heap.Remove(&s.due, at.place)
	}
	delete(s.nodes, at.Key)
}

// HasChildren implements tree.Store.
func (s *store) HasChildren(dir string) bool { return len(s.nodes[dir].children) > 0 }

// NextExpiry implements tree.Store.
func (s *store) NextExpiry(limit int64) (tree.Node, bool) {
	if len(s.due) == 0 || s.due[0].Expires > limit {
		return tree.Node{}, false
	}
	return s.due[0].Node, true
}

// below returns the nodes below dir depth first, siblings by name.
func (s *store) below(dir string) iter.Seq[*tree.Node] {
	return func(yield func(*tree.Node) bool) {
		if at, ok := s.nodes[dir]; ok {
			at.walk(yield)
		}
	}
}

func (n *entryNode) walk(yield func(*tree.Node) bool) bool {
	list := make([]*entryNode, 0, len(n.children))
	for child := range n.children {
		list = append(list, child)
	}
	slices.SortFunc(list, func(a, b *entryNode) int { return tree.CompareKeys(a.Key, b.Key) })
	for _, child := range list {
		if !yield(&child.Node) || !child.walk(yield) {
			return false
		}
	}
	return true
}

// dueHeap has the node that expires first in front; of several, the first by key.
type dueHeap []*entryNode

func (h dueHeap) Len() int { return len(h) }

func (h dueHeap) Less(i, j int) bool {
	if h[i].Expires != h[j].Expires {
		return h[i].Expires < h[j].Expires
	}
	return tree.CompareKeys(h[i].Key, h[j].Key) < 0
}

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *dueHeap) Push(x any) {
	n := x.(*entryNode)
	n.place = len(*h)
	*h = append(*h, n)
}

func (h *dueHeap) Pop() any {
	old := *h
	n := old[len(old)-1]
	n.place = -1
	*h = old[:len(old)-1]
	return n
}
