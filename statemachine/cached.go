package statemachine

import "copse/statemachine/tree"

// GetCached is Get for a caller that must not wait for the disk, of an answer that takes little
// memory. ok is false, and nothing has been done, unless all that it needs is in the caches.
func (m *Machine) GetCached(dst []byte, q *tree.Query, now func() int64) (out []byte, err *tree.Error, ok bool) {
	if q.Page != (tree.Page{}) || q.Raw != nil {
		return dst, nil, false
	}
	index := m.Index() // first, as in Get
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	n, err, ok := m.findCached(buf, q.Key)
	switch {
	case !ok:
		return dst, nil, false
	case err != nil:
		err.Index = index
		m.got(false)
		return dst, err, true
	case n.Dir:
		if out, ok = m.listCached(dst, q, index); !ok {
			return dst, nil, false
		}
	case q.Tag.IsCurrent(n.Modified, n.Modified, n.Expires != 0):
		out = dst
	default:
		q.Tag.Shows(n.Modified, n.Expires != 0)
		out = m.appendFile(dst, &n, q, now)
	}
	m.got(true)
	return out, nil, true
}

// Knows reports whether GetCached has an answer for the file at key, or that there is none.
func (m *Machine) Knows(key string) bool {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	n, _, ok := m.findCached(buf, key)
	return ok && !n.Dir
}

// Loads reports whether Load may help GetCached: what there is at key isn't known, and nothing that is
// known of its path is too large to be cached.
func (m *Machine) Loads(key string) bool {
	r := memory{nodes: m.caches.nodes}
	tree.Find(&r, key)
	return r.unknown && !r.large
}

// Load has GetCached find what there is at key, unless that is too large for the cache. It may wait for
// the disk: once if there is a node, else for each directory above, too. Get reports what goes wrong.
func (m *Machine) Load(key string) {
	defer recoverFault(new(error))
	tree.Find(cachedReader{m, noRoom{}}, key)
}

// findCached is tree.Find in the cache of nodes. What the node refers to is in buf.
func (m *Machine) findCached(buf *[]byte, key string) (n tree.Node, err *tree.Error, ok bool) {
	if key == "/" {
		return tree.Node{Key: key, Dir: true}, nil, true
	}
	switch rec, _ := m.caches.nodes.get(*buf, key); {
	case rec == nil, isLarge(rec):
		return n, nil, false
	case len(rec) > 0:
		*buf = rec
		n, fail := readNode(key, rec)
		return n, nil, fail == nil
	}
	r := memory{nodes: m.caches.nodes}
	n, err = tree.Find(&r, key)
	return n, err, !r.unknown && !r.large
}

// memory is a tree.Getter of what is cached.
type memory struct {
	nodes *nodeCache
	// Of what it was asked for, something isn't known, or is too large to be cached.
	unknown, large bool
}

// Get implements tree.Getter.
func (r *memory) Get(key string) (tree.Node, bool) {
	rec, _ := r.nodes.get(nil, key)
	r.unknown = r.unknown || rec == nil
	r.large = r.large || isLarge(rec)
	if len(rec) == 0 || isLarge(rec) {
		return tree.Node{}, false
	}
	n, fail := readNode(key, rec)
	r.unknown = r.unknown || fail != nil
	return n, true
}

// listCached appends a listing that is kept, or nothing if the client has it.
func (m *Machine) listCached(dst []byte, q *tree.Query, index tree.Index) (out []byte, ok bool) {
	mark := tree.Index(0)
	if q.Tag.Asks() {
		if mark = m.caches.marks.get(q.Key, q.Recursive); q.Tag.IsCurrent(mark, index, true) {
			return dst, true
		}
	}
	cached := m.caches.lists.get(q.Key, q.Recursive)
	if n := len(cached.text); n == 0 || n > freeValue || hasRest(q, n) {
		return dst, false
	}
	at := cached.at
	if mark <= index {
		at = max(at, mark)
	}
	q.Tag.Shows(at, true)
	return append(dst, cached.text...), true
}
