package tree

import (
	"slices"
	"strings"
)

// Getter looks up single nodes. The root is never stored.
type Getter interface {
	// Get returns the node at key.
	Get(key string) (Node, bool)
}

// Store is the set of nodes that Apply works on. It never fails: one on disk
// panics where it can't go on, since a replica that skips a command is no
// replica.
type Store interface {
	Getter
	// Put stores n in the place of prev, the node that Get found there (nil:
	// none). The Store keeps neither n.Value nor prev.
	Put(n *Node, prev *Node)
	// Remove takes out n and, of a directory, everything below it.
	Remove(n *Node)
	// HasChildren reports whether anything, hidden or not, lies below dir.
	HasChildren(dir string) bool
	// NextExpiry returns the node that is due first among those due at limit
	// (Unix nanoseconds) or before, by time, then by key. It may say that there
	// is none, to be asked again by another command.
	NextExpiry(limit int64) (Node, bool)
}

// Find returns the node at key; the root is a directory with no indexes. Its
// error, whose Index is left 0, names the first name in the way: missing
// (100), or a file where a directory must be (104).
func Find(g Getter, key string) (Node, *Error) {
	if key == "/" {
		return Node{Key: "/", Dir: true}, nil
	}
	if n, ok := g.Get(key); ok {
		return n, nil
	}
	for end := 1; end < len(key); end++ {
		next := strings.IndexByte(key[end:], '/')
		if next < 0 {
			break
		}
		end += next
		n, ok := g.Get(key[:end])
		if !ok {
			return Node{}, &Error{Code: CodeKeyNotFound, Cause: key[:end]}
		}
		if !n.Dir {
			return Node{}, &Error{Code: CodeNotDir, Cause: key[:end]}
		}
	}
	return Node{}, &Error{Code: CodeKeyNotFound, Cause: key}
}

// MemStore is a Store in memory, plain rather than fast: the double in tests.
// The zero value is an empty tree.
type MemStore struct {
	nodes map[string]Node
}

// Get implements Store.
func (m *MemStore) Get(key string) (Node, bool) {
	n, ok := m.nodes[key]
	return n, ok
}

// Put implements Store.
func (m *MemStore) Put(n *Node, _ *Node) {
	if m.nodes == nil {
		m.nodes = make(map[string]Node)
	}
	kept := *n
	kept.Value = slices.Clone(n.Value)
	m.nodes[n.Key] = kept
}

// Remove implements Store.
func (m *MemStore) Remove(n *Node) {
	delete(m.nodes, n.Key)
	for key := range m.nodes {
		if n.Dir && Within(n.Key, key) {
			delete(m.nodes, key)
		}
	}
}

// HasChildren implements Store.
func (m *MemStore) HasChildren(dir string) bool {
	for key := range m.nodes {
		if Within(dir, key) {
			return true
		}
	}
	return false
}

// NextExpiry implements Store.
func (m *MemStore) NextExpiry(limit int64) (Node, bool) {
	var first Node
	for _, n := range m.nodes {
		if n.Expires == 0 || n.Expires > limit {
			continue
		}
		if first.Expires == 0 || n.Expires < first.Expires || n.Expires == first.Expires && CompareKeys(n.Key, first.Key) < 0 {
			first = n
		}
	}
	return first, first.Expires != 0
}

// Below returns the nodes below dir in depth-first order.
func (m *MemStore) Below(dir string) []Node {
	var nodes []Node
	for key, n := range m.nodes {
		if Within(dir, key) {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return CompareKeys(a.Key, b.Key) })
	return nodes
}

// List appends the answer to a GET of dir, a directory, at now.
func (m *MemStore) List(dst []byte, dir *Node, recursive bool, now int64) []byte {
	l, dst := NewListing(dst, dir, recursive, now)
	skipped := ""
	for _, n := range m.Below(dir.Key) {
		if skipped != "" && Within(skipped, n.Key) {
			continue
		}
		below := false
		if dst, below = l.Add(dst, &n); !below {
			skipped = n.Key
		}
	}
	return l.End(dst)
}

// CompareKeys orders keys depth first: a directory, then all below it, then
// its next sibling; siblings by the bytes of their names.
func CompareKeys(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}
