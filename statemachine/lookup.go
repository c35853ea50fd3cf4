package statemachine

import (
	"errors"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// Exists reports whether key existed in the tree at index at, the latest one. After a
// fault it returns true and 0.
func (m *Machine) Exists(key string) (exists bool, at tree.Index) {
	p, err := m.pin()
	if err != nil {
		return true, 0 // unknown: nobody waits for index 0
	}
	defer func() { _ = p.unpin() }()
	var fail error
	func() {
		defer recoverFault(&fail)
		_, missing := tree.Find(reader{from: p.snap}, key)
		exists = missing == nil
	}()
	meta, err := loadMeta(p.snap)
	if err != nil || fail != nil {
		return true, 0
	}
	return exists, meta.last
}

// reader looks up single nodes in a store. Storage errors panic with a fault, and so does what
// there is no room for.
type reader struct {
	from pebble.Reader
	in   answerRoom
}

// Get implements tree.Getter.
func (r reader) Get(key string) (tree.Node, bool) {
	rec, err := getRecord(r.from, appendNodeKey(nil, key), r.in)
	if errors.Is(err, pebble.ErrNotFound) {
		return tree.Node{}, false
	}
	var n tree.Node
	if err == nil {
		n, err = readNode(key, rec)
	}
	if err != nil {
		panic(fault{err})
	}
	return n, true
}

// Get appends the answer to q to dst. now returns the time in Unix nanoseconds; it is
// called only where the answer may contain a TTL, after the data was read. A listing, or a file
// that is kept, of more than listingPart bytes is returned in parts: rest yields those after the first, and
// the caller must close it. If q.Tag says that the client has the answer, there is none. err is an error as v2 defines it, fail is a storage error.
func (m *Machine) Get(dst []byte, q *tree.Query, now func() int64) (out []byte, rest tree.Rest, err *tree.Error, fail error) {
	defer func() {
		if err == nil && fail == nil {
			m.got(true)
		} else {
			m.got(false)
		}
	}()
	defer func() { m.end.ifDamaged(fail) }()
	defer recoverFault(&fail)
	file, fill := m.keptFile(q)
	if file.text != nil {
		out, rest = showKept(dst, q, file)
		return out, rest, nil, nil
	}
	defer m.caches.lists.abandon(fill)
	for {
		index := m.Index() // first, so that it isn't above what is read
		n, err := m.find(q)
		if err != nil {
			err.Index = index
			return dst, nil, err, nil
		}
		if q.Raw != nil {
			return getRaw(dst, &n, q, index)
		}
		if !n.Dir {
			return m.getFile(dst, &n, q, fill, now), nil, nil, nil
		}
		mark := tree.Index(0)
		if q.Tag.Asks() {
			if mark = m.caches.marks.get(q.Key, q.Recursive); q.Tag.IsCurrent(mark, index, true) {
				return dst, nil, nil, nil
			}
		}
		if cached := m.caches.lists.get(q.Key, q.Recursive); cached.text != nil && !cached.file && !q.Page.Base64 {
			at := cached.at
			if mark <= index { // what is cached is what there was then, too, even if the mark was begun anew
				at = max(at, mark)
			}
			q.Tag.Shows(at, true)
			if n := len(cached.text); n > listingPart || hasRest(q, n) {
				return dst, m.caches.lists.read(q.Key, q.Recursive, cached), nil, nil
			}
			return append(dst, cached.text...), nil, nil, nil
		}
		if out, rest, found, fail := m.list(dst, q, m.dayTime(now)); found || fail != nil {
			if rest == nil && fail == nil && hasRest(q, len(out)-len(dst)) {
				rest = &inMemory{}
			}
			return out, rest, nil, fail
		}
		// Between the two reads, a directory became a file or was removed.
	}
}

// keptFile returns the printed form of a large file, if it is kept, or else what collects it if it is to be.
func (m *Machine) keptFile(q *tree.Query) (cachedList, *listFill) {
	if q.Page != (tree.Page{}) || q.Raw != nil {
		return cachedList{}, nil
	}
	if rec, _ := m.caches.nodes.get(nil, q.Key); !isLarge(rec) {
		return cachedList{}, nil
	}
	if file := m.caches.lists.get(q.Key, false); file.file {
		return file, nil
	}
	return cachedList{}, m.caches.lists.begin(q.Key, false) // before the store is acquired, as in cachedReader.Get
}

// getFile is Get for a file, whose printed form is kept if fill isn't nil. What shows a time to live isn't.
func (m *Machine) getFile(dst []byte, n *tree.Node, q *tree.Query, fill *listFill, now func() int64) []byte {
	mortal := n.Expires != 0
	if q.Tag.IsCurrent(n.Modified, n.Modified, mortal) {
		return dst
	}
	q.Tag.Shows(n.Modified, mortal)
	take(q.Room, printedLength(n, q.Page.Base64)-len(n.Value)) // besides what was taken to load it
	out := m.appendFile(dst, n, q, now)
	if fill != nil {
		fill.at, fill.file, fill.uncacheable = n.Modified, true, mortal
		m.caches.lists.add(fill, out[len(dst):])
		m.caches.lists.finish(fill)
	}
	return out
}

// showKept answers q with a file that is kept, unless the client has it. It comes with a Rest if it is longer than a part.
// It counts for each client: one that is slow holds it even if it is kept no longer.
func showKept(dst []byte, q *tree.Query, file cachedList) ([]byte, tree.Rest) {
	if q.Tag.IsCurrent(file.at, file.at, false) {
		return dst, nil
	}
	q.Tag.Shows(file.at, false)
	take(q.Room, len(file.text))
	if len(file.text) > listingPart {
		return dst, &inMemory{text: file.text}
	}
	return append(dst, file.text...), nil
}

// getRaw is Get for a read of bytes, of the node n. A time to live doesn't show in them.
func getRaw(dst []byte, n *tree.Node, q *tree.Query, index tree.Index) (out []byte, rest tree.Rest, err *tree.Error, fail error) {
	if n.Dir {
		return dst, nil, &tree.Error{Code: tree.CodeNotFile, Cause: n.Key, Index: index}, nil
	}
	if *q.Raw = n.Modified; q.Tag.IsCurrent(n.Modified, n.Modified, false) {
		return dst, nil, nil, nil
	}
	q.Tag.Shows(n.Modified, false)
	return append(dst, n.Value...), nil, nil, nil
}

// hasRest reports whether a listing of so many bytes is to come with a Rest.
func hasRest(q *tree.Query, bytes int) bool { return q.RestFrom != 0 && bytes >= q.RestFrom }

// appendFile appends the answer to q, a read of the file n, as it is stored. Most files have no
// TTL, and need no clock.
func (m *Machine) appendFile(dst []byte, n *tree.Node, q *tree.Query, now func() int64) []byte {
	at := int64(0)
	if n.Expires != 0 {
		n.Expires, at = m.Clock().Shown(n.Expires), m.dayTime(now)
	}
	return q.AppendFile(dst, n, at)
}

// Lookup implements IOnDiskStateMachine. It is never called: reads bypass dragonboat.
func (m *Machine) Lookup(any) (any, error) {
	return nil, errors.New("copse reads its shards directly")
}
