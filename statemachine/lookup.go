package statemachine

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"unsafe"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// Index is the tree's index: of the latest change that reads see.
func (m *Machine) Index() tree.Index { return tree.Index(m.index.Load()) }

// RaftIndex is the last raft entry that reads see.
func (m *Machine) RaftIndex() uint64 { return m.raftIndex.Load() }

// Stats are the counters of this replica, watchers apart.
func (m *Machine) Stats() tree.Stats {
	s := *m.stats.Load()
	s.GetsSuccess, s.GetsFail = m.gets.success.Load(), m.gets.fail.Load()
	return s
}

// Exists reports whether key was there in the tree as it was at the index at.
func (m *Machine) Exists(key string) (exists bool, at tree.Index) {
	p, err := m.pin()
	if err != nil {
		return true, 0 // unknown: index 0 is no moment that anyone waits for
	}
	defer func() { _ = p.unpin() }()
	var fail error
	func() {
		defer caught(&fail)
		_, missing := tree.Find(reader{p.snap}, key)
		exists = missing == nil
	}()
	meta, err := loadMeta(p.snap)
	if err != nil || fail != nil {
		return true, 0
	}
	return exists, meta.last
}

// reader looks single nodes up in a store. Faults panic with a fault.
type reader struct{ from pebble.Reader }

// Get implements tree.Getter.
func (r reader) Get(key string) (tree.Node, bool) {
	rec, err := getRecord(r.from, appendNodeKey(nil, key))
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

// Get appends the answer to q to dst. now tells the time, in Unix nanoseconds; it is
// asked once what is answered is known, and has a time to live. A listing of
// more than listingPart bytes is cut there; rest yields what follows. err is an
// answer of v2's, fail a fault of the store's.
func (m *Machine) Get(dst []byte, q *tree.Query, now func() int64) (out []byte, rest tree.Rest, err *tree.Error, fail error) {
	defer func() {
		if err == nil && fail == nil {
			m.gets.success.Add(1)
		} else {
			m.gets.fail.Add(1)
		}
	}()
	// The cache is asked before the store is taken hold of: what is read from a
	// store that a snapshot has just replaced must not be put into it.
	rec, seen := m.nodes.get(q.Key)
	if rec != nil && !isDirRecord(rec) {
		n, fail := readNode(q.Key, rec)
		return appendFile(dst, &n, now), nil, nil, fail
	}
	if text := m.lists.get(q.Key, q.Recursive); text != nil {
		if len(text) > listingPart {
			return dst, &keptListing{text: text}, nil, nil
		}
		return append(dst, text...), nil, nil, nil
	}
	h, fail := m.acquire()
	if fail != nil {
		return dst, nil, nil, fail
	}
	defer func() {
		if rest == nil {
			h.release()
		}
	}()
	defer caught(&fail)
	for {
		out, found, err, fail := m.file(dst, h.db, q.Key, seen, now)
		if found || err != nil || fail != nil {
			return out, nil, err, fail
		}
		if out, rest, found, fail = m.list(dst, h, q, now()); found || fail != nil {
			return out, rest, nil, fail
		}
		// A directory became a file, or went, between the two looks.
	}
}

// appendFile appends the answer that is n; the time matters to few.
func appendFile(dst []byte, n *tree.Node, now func() int64) []byte {
	at := int64(0)
	if n.Expires != 0 {
		at = now()
	}
	return tree.AppendGet(dst, n, at)
}

var keyBuffers = sync.Pool{New: func() any { return new([]byte) }}

// file answers a read of key unless it is a directory; then found is false.
func (m *Machine) file(dst []byte, db *pebble.DB, key string, seen uint64, now func() int64) (out []byte, found bool, err *tree.Error, fail error) {
	if key == "/" {
		return dst, false, nil, nil
	}
	index := m.Index()
	buf := keyBuffers.Get().(*[]byte)
	*buf = appendNodeKey((*buf)[:0], key)
	rec, fail := getRecord(db, *buf)
	keyBuffers.Put(buf)
	if errors.Is(fail, pebble.ErrNotFound) {
		if _, err := tree.Find(reader{db}, key); err != nil {
			err.Index = index
			return dst, false, err, nil
		}
		return m.file(dst, db, key, seen, now) // it came into being meanwhile
	}
	if fail != nil {
		return dst, false, nil, fail
	}
	n, fail := readNode(key, rec)
	if fail == nil {
		m.nodes.put(key, rec, seen)
	}
	if fail == nil && !n.Dir {
		dst, found = appendFile(dst, &n, now), true
	}
	return dst, found, nil, fail
}

// listingPart is about how many bytes a part of a long listing has, and listingBuffer
// what most parts fit into.
const (
	listingPart   = 128 << 10
	listingBuffer = listingPart + 4<<10
)

// listing is a directory's listing under way; it implements tree.Rest.
type listing struct {
	h     *handle
	it    *pebble.Iterator
	print *tree.Listing
	valid bool // it stands on a node
	// values reads the values that lie apart, of the same moment; nil: none did yet.
	values   *pebble.Iterator
	key, rec []byte    // scratch
	part     []byte    // what Next returned last
	fill     *listFill // nil: it isn't to be kept
	lists    *listCache
	tidy     *tidier
}

// list answers a read of the directory q.Key, all of it from one view of the
// store; found is false if it isn't one.
func (m *Machine) list(dst []byte, h *handle, q *tree.Query, now int64) (out []byte, rest tree.Rest, found bool, fail error) {
	root := appendNodeKey(nil, q.Key)
	fill := m.lists.begin(q.Key, q.Recursive)
	it, fail := h.db.NewIter(&pebble.IterOptions{LowerBound: root, UpperBound: appendBelow(nil, root)})
	if fail != nil {
		m.lists.giveUp(fill)
		return dst, nil, false, fail
	}
	l := &listing{h: h, it: it, valid: it.First(), fill: fill, lists: m.lists, tidy: &m.tidy}
	defer func() {
		if rest == nil {
			fail = firstError(fail, l.end())
		}
	}()
	dir := tree.Node{Key: "/", Dir: true}
	if q.Key != "/" {
		if !l.valid || !bytes.Equal(it.Key(), root) {
			return dst, nil, false, it.Error()
		}
		if dir, fail = l.node(); fail != nil || !dir.Dir {
			return dst, nil, false, fail
		}
		l.valid = it.Next()
	}
	if fill != nil && dir.Expires != 0 {
		fill.useless = true
	}
	l.print, out = tree.NewListing(dst, &dir, q.Recursive, now)
	if fill != nil {
		fill.add(out[len(dst):], l.lists.limit)
	}
	out, more, fail := l.next(out)
	if more {
		return out, l, true, nil
	}
	return out, nil, true, fail
}

// node is the one that the iterator stands on; its bytes are good until the
// next step.
func (l *listing) node() (tree.Node, error) {
	var err error
	l.key, err = appendKey(l.key[:0], l.it.Key()[1:])
	if err != nil {
		return tree.Node{}, err
	}
	rec, err := l.record()
	if err != nil {
		return tree.Node{}, err
	}
	return readNode(unsafe.String(unsafe.SliceData(l.key), len(l.key)), rec)
}

// record is the record of the node that the iterator stands on, as it is in memory; its
// bytes are good until the next step.
func (l *listing) record() ([]byte, error) {
	rec, err := l.it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	n, _, _, err := readNodeHead(rec)
	if err != nil || n.Written == 0 {
		return rec, err
	}
	if l.values == nil {
		l.values, err = l.it.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{
			LowerBound: []byte{valuePrefix}, UpperBound: []byte{valuePrefix + 1},
		}})
		if err != nil {
			return nil, err
		}
	}
	l.rec = appendValueKey(l.rec[:0], n.Written)
	if !l.values.SeekGE(l.rec) || !bytes.Equal(l.values.Key(), l.rec) {
		return nil, firstError(l.values.Error(), errNoValue)
	}
	value, err := l.values.ValueAndErr()
	l.rec = append(append(l.rec[:0], rec...), value...)
	return l.rec, err
}

// Size implements tree.Rest.
func (*listing) Size() int { return -1 }

// Next implements tree.Rest.
func (l *listing) Next() (part []byte, more bool, err error) {
	l.part, more, err = l.next(slices.Grow(l.part[:0], listingBuffer))
	return l.part, more, err
}

// next appends the next part to dst.
func (l *listing) next(dst []byte) (out []byte, more bool, err error) {
	start := len(dst)
	out, more, err = l.append(dst)
	if l.fill != nil {
		l.fill.add(out[start:], l.lists.limit)
		if !more && err == nil {
			l.lists.end(l.fill)
			l.fill = nil
		}
	}
	return out, more, err
}

func (l *listing) append(dst []byte) (out []byte, more bool, err error) {
	limit := len(dst) + listingPart
	for l.valid {
		if len(dst) > limit {
			return dst, true, nil
		}
		n, err := l.node()
		if err != nil {
			return dst, false, err
		}
		if n.Expires != 0 && l.fill != nil {
			l.fill.useless = true
		}
		below := false
		dst, below = l.print.Add(dst, &n)
		l.advance(n.Dir && !below)
	}
	if err := l.it.Error(); err != nil {
		return dst, false, err
	}
	return l.print.End(dst), false, nil
}

// advance goes to the next node; past all that is below this one, if asked to.
func (l *listing) advance(skip bool) {
	if !skip {
		l.valid = l.it.Next()
		return
	}
	end := appendBelow(nil, l.it.Key())
	l.valid = l.it.Next()
	if l.valid && bytes.Compare(l.it.Key(), end) < 0 {
		l.valid = l.it.SeekGE(end)
	}
}

// end closes all but the store.
func (l *listing) end() error {
	l.lists.giveUp(l.fill)
	stats := l.it.Stats()
	err := l.it.Close()
	if l.values != nil {
		err = firstError(err, l.values.Close())
	}
	l.tidy.look(l.h.db, stats)
	return err
}

// Close implements tree.Rest.
func (l *listing) Close() {
	_ = l.end() // an error has come out of Next already
	l.h.release()
}

// Lookup implements IOnDiskStateMachine; reads don't go through dragonboat.
func (m *Machine) Lookup(any) (any, error) {
	return nil, errors.New("copse reads its shards directly")
}
