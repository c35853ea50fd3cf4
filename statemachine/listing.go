package statemachine

import (
	"bytes"
	"slices"
	"unsafe"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// listingPart is the approximate size of the parts of a long listing. Most of them fit into
// a buffer of listingBuffer bytes.
const (
	listingPart   = 128 << 10
	listingBuffer = listingPart + 4<<10
)

// listing reads a directory from the store and encodes it in parts. It implements
// tree.Rest.
type listing struct {
	h     *handle
	it    *pebble.Iterator
	print *tree.Listing
	valid bool // the iterator is at a node
	// values reads large values from the same snapshot; nil: none was needed so far.
	values *pebble.Iterator
	listingBuffers
	fill    *listFill // nil: the listing isn't to be cached
	lists   *listCache
	flusher *memtableFlusher
	clock   shownClock
	room    room
	// headsOnly: values are left out, and not read.
	headsOnly bool
}

// listingBuffers are what a listing uses from part to part.
type listingBuffers struct {
	key, valueKey, rec []byte // scratch
	part               []byte // the part that Next returned last
}

// shownClock has the times by which a listing shows when nodes expire.
type shownClock struct {
	tree.Clock
	now int64 // what times to live count from, of the root's listing
}

// list answers a read of the directory q.Key from one snapshot of the store. If q.Key
// isn't a directory, found is false.
func (m *Machine) list(dst []byte, q *tree.Query, now int64) (out []byte, rest tree.Rest, found bool, fail error) {
	root := appendNodeKey(nil, q.Key)
	var fill *listFill
	if !q.Page.Base64 {
		fill = m.caches.lists.begin(q.Key, q.Recursive) // before the store is acquired, as in cachedReader.Get
	}
	l, at, fail := m.openListing(listName{q.Key, q.Recursive}, &pebble.IterOptions{LowerBound: root, UpperBound: appendBelow(nil, root)})
	if fail != nil {
		m.caches.lists.abandon(fill)
		return dst, nil, false, fail
	}
	it := l.it
	l.fill, l.room = fill, room{of: q.Room, base64: q.Page.Base64}
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
	if fill != nil {
		fill.at, fill.uncacheable = at, dir.Expires != 0
	}
	q.Tag.Shows(at, true)
	l.print, out = q.Listing(dst, &dir, now)
	if fill != nil {
		l.lists.add(fill, out[len(dst):])
	}
	out, more, fail := l.next(out)
	if more {
		return out, l, true, nil
	}
	return out, nil, true, fail
}

// openListing opens the store at the first node of a listing, which is as it was at the index at.
func (m *Machine) openListing(name listName, bounds *pebble.IterOptions) (l *listing, at tree.Index, err error) {
	index := m.Index() // first, as marks says
	at = m.caches.marks.get(name.key, name.recursive)
	h, err := m.acquire()
	if err != nil {
		return nil, 0, err
	}
	it, err := h.db.NewIter(bounds)
	if err != nil {
		h.release()
		return nil, 0, err
	}
	if at > index || m.caches.marks.get(name.key, name.recursive) != at { // it is being changed
		if at, err = indexSeenBy(it); err != nil {
			err = firstError(err, it.Close())
			h.release()
			return nil, 0, err
		}
	}
	return &listing{h: h, it: it, valid: it.First(), lists: m.caches.lists, flusher: &m.flusher, clock: shownClock{Clock: m.Clock().Clock}}, at, nil
}

// indexSeenBy returns the tree's index in the state of the store that the iterator reads.
func indexSeenBy(it *pebble.Iterator) (at tree.Index, err error) {
	beside, err := it.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{LowerBound: metaKey, UpperBound: append(bytes.Clone(metaKey), 0)}})
	if err != nil {
		return 0, err
	}
	defer func() { err = firstError(err, beside.Close()) }()
	if !beside.First() {
		return 0, beside.Error()
	}
	rec, err := beside.ValueAndErr()
	if err != nil {
		return 0, err
	}
	m, err := readMeta(rec)
	return m.last, err
}

// node returns the node at the iterator. Its bytes are valid until the next step.
func (l *listing) node() (tree.Node, error) {
	var err error
	l.key, err = appendKey(l.key[:0], l.it.Key()[1:])
	if err != nil {
		return tree.Node{}, err
	}
	n, err := l.read(unsafe.String(unsafe.SliceData(l.key), len(l.key)))
	n.Expires = l.clock.Shown(n.Expires)
	return n, err
}

// read reads the node at the iterator, which is key's.
func (l *listing) read(key string) (tree.Node, error) {
	if l.headsOnly {
		rec, err := l.it.ValueAndErr()
		if err != nil {
			return tree.Node{}, err
		}
		n, _, _, err := readNodeHead(rec)
		n.Key = key
		return n, err
	}
	rec, err := l.record()
	if err != nil {
		return tree.Node{}, err
	}
	return readNode(key, rec)
}

// record returns the full record of the node at the iterator. Its bytes are valid until
// the next step.
func (l *listing) record() ([]byte, error) {
	rec, err := l.it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	n, _, length, err := readNodeHead(rec)
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
	if length > freeValue {
		if err := l.room.need(listingBuffer + length); err != nil {
			return nil, err
		}
	}
	whole, err := joinRows(l.rec, rec, length, func(dst []byte, row int) ([]byte, error) {
		l.valueKey = appendRowKey(l.valueKey[:0], n.Written, row)
		there := row > 0 && l.values.Next() || row == 0 && l.values.SeekGE(l.valueKey)
		if !there || !bytes.Equal(l.values.Key(), l.valueKey) {
			return dst, firstError(l.values.Error(), errNoValue)
		}
		value, err := l.values.ValueAndErr()
		return append(dst, value...), err
	})
	if err != nil {
		return nil, err
	}
	l.rec = whole
	return whole, nil
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
	l.h.end.ifDamaged(err)
	if l.fill != nil {
		l.lists.add(l.fill, out[start:])
		if !more && err == nil {
			l.lists.finish(l.fill)
			l.fill = nil
		}
	}
	return out, more, err
}

func (l *listing) append(dst []byte) (out []byte, more bool, err error) {
	start := len(dst)
	for l.valid {
		if len(dst) > start+listingPart {
			return dst, true, nil
		}
		if len(dst) > start+freeValue { // a short listing is as free as a small value
			if err := l.room.need(listingBuffer); err != nil {
				return dst, false, err
			}
		}
		n, err := l.node()
		if err != nil {
			return dst, false, err
		}
		if n.Expires != 0 && l.fill != nil {
			l.fill.uncacheable = true
		}
		if err := l.room.print(&n, dst); err != nil {
			return dst, false, err
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

// advance moves to the next node; with skip, to the next one outside the current subtree.
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

// end closes everything, and releases the store.
func (l *listing) end() error {
	l.lists.abandon(l.fill)
	stats := l.it.Stats()
	err := l.it.Close()
	if l.values != nil {
		err = firstError(err, l.values.Close())
	}
	l.flusher.afterListing(l.h.db, stats)
	l.h.release()
	return err
}

// Close implements tree.Rest.
func (l *listing) Close() { _ = l.end() } // Next has reported any error
