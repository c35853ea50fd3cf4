package tree

import (
	"slices"
	"strings"
)

// Getter looks up single nodes. The root is never stored.
type Getter interface {
	// Get returns the node at key, and false if there is none.
	Get(key string) (Node, bool)
}

// Store is the set of nodes that Apply works on. Its methods return no errors: a
// store on disk panics when it can't continue, because a replica that skips a command
// would diverge from the others.
type Store interface {
	Getter
	// Put stores n in place of prev, the node that Get returned for its key (nil:
	// none). The Store copies what it needs of both.
	Put(n *Node, prev *Node)
	// Remove removes n and, if it is a directory, everything below it.
	Remove(n *Node)
	// HasChildren reports whether anything, hidden or not, lies below dir.
	HasChildren(dir string) bool
	// NextExpiry returns the earliest node due at limit (Unix nanoseconds) or
	// before; of several due at the same time, the first by key. It may report that
	// there is none although one is due, which leaves that node to a later command.
	NextExpiry(limit int64) (Node, bool)
}

// Find returns the node at key; the root is a directory without indexes. The error's
// cause is the first key on the path that is missing (100), or that is a file where a
// directory must be (104). Its Index is 0, for the caller to fill in.
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

// MemStore is a Store in memory, for tests: simple, not fast. The zero value is an
// empty tree.
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

// Walk calls visit for the keys below dir, depth first, while that returns more. What is below the key
// just visited is left out unless visit returns below.
func (m *MemStore) Walk(dir string, visit func(key string) (more, below bool)) {
	past := ""
	for _, n := range m.Below(dir) {
		if past != "" && Within(past, n.Key) {
			continue
		}
		more, below := visit(n.Key)
		if !more {
			return
		}
		if !below {
			past = n.Key
		}
	}
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

// List appends the answer to q, a GET of the directory dir; now is in Unix nanoseconds.
func (m *MemStore) List(dst []byte, dir *Node, q *Query, now int64) []byte {
	l, dst := q.Listing(dst, dir, now)
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

// CompareKeys orders keys depth first: a directory, then everything below it, then
// its next sibling. Siblings are in the byte order of their names. The result is
// negative, zero or positive.
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
