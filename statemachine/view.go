package statemachine

import (
	"bytes"
	"errors"
	"math"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// view is the tree as seen and changed by one call of Update: a tree.Store over an indexed
// Pebble batch. Storage errors panic with a fault, which Update returns as an error.
type view struct {
	writer
	meta   meta
	shared shared
	handed []tree.Index // published: not to be modified in place
	large
	expiring
	// changed holds the full records of nodes that were put, largeRecord for those that are large,
	// and nil for those removed. It is incomplete if changedAll is set, because a large directory was removed.
	changed    map[string][]byte
	changedAll bool
	nodes      *nodeCache
	events     recorder
	key, rec   []byte // scratch
}

// expiring has what a view knows of expirations.
type expiring struct {
	// soonest is the earliest that was added by this view.
	soonest int64
	// expiryFrom is where the search for due nodes continues; there are no expirations
	// before it. Searching from the start would step over the tombstones of old ones.
	expiryFrom []byte
	stale      int // number of stale ones dropped by the current raft entry
}

// fault carries a storage error up through tree.Apply, as a panic.
type fault struct{ err error }

func (v *view) must(err error) {
	if err != nil {
		panic(fault{err})
	}
}

// recoverFault is deferred to turn the panic of a fault into err.
func recoverFault(err *error) {
	switch r := recover().(type) {
	case nil:
	case fault:
		*err = r.err
	default:
		panic(r)
	}
}

// reset prepares the view for another batch, and keeps its buffers.
func (v *view) reset(w writer, m meta, now shared, expiryFrom int64) {
	v.writer, v.meta, v.shared, v.large, v.soonest, v.stale = w, m, now, large{}, math.MaxInt64, 0
	v.expiryFrom = appendExpiryKey(v.expiryFrom[:0], expiryFrom, "/")
	v.changedAll = false
	if len(v.changed) > maxReusedChanges {
		v.changed = make(map[string][]byte) // clear would keep the memory
	} else {
		clear(v.changed)
	}
	v.events.data = v.events.data[:0]
	if cap(v.events.data) > 2*recordBytes {
		v.events.data = nil
	}
	v.adoptNames()
}

// saveMeta stores what there is besides the nodes.
func (v *view) saveMeta() {
	v.saveNames()
	v.rec = v.meta.append(v.rec[:0])
	v.must(v.batch.Set(metaKey, v.rec, nil))
}

// maxReusedChanges is the largest number of changed nodes whose map is reused.
const maxReusedChanges = 4096

func (v *view) iter(lower, upper []byte) *pebble.Iterator {
	it, err := v.batch.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	v.must(err)
	return it
}

func (v *view) value(it *pebble.Iterator) []byte {
	value, err := it.ValueAndErr()
	v.must(err)
	return value
}

func (v *view) close(it *pebble.Iterator) { v.must(it.Close()) }

// Get implements tree.Store.
func (v *view) Get(key string) (tree.Node, bool) {
	rec := v.find(key)
	if rec == nil {
		return tree.Node{}, false
	}
	n, err := v.node(key, rec)
	v.must(err)
	n.Expires = v.meta.clock.Shown(n.Expires)
	return n, true
}

// find returns the record of the node at key, which must not be modified, or nil: the full one, but for a value that
// may stay unread. It reads from the batch only if neither changed nor the cache knows the key.
func (v *view) find(key string) []byte {
	seen := uint64(0)
	if !v.changedAll {
		rec, known := v.changed[key]
		if !known {
			rec, seen = v.nodes.get(nil, key)
		}
		switch {
		case isLarge(rec): // it is in the batch, or behind it
		case len(rec) > 0:
			return rec
		case known || rec != nil: // removed by this view, or absent before
			return nil
		}
	}
	v.key = appendNodeKey(v.key[:0], key)
	stored, closer, err := v.batch.Get(v.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	v.must(err)
	rec, whole := v.unread(stored), largeRecord
	if rec == nil {
		rec, err = fullRecord(v.batch, stored, nil)
		whole = rec
	}
	v.must(errors.Join(err, closer.Close()))
	if !v.changedAll {
		v.nodes.put(key, whole, seen)
	}
	return rec
}

// Put implements tree.Store.
func (v *view) Put(n, prev *tree.Node) {
	if v.stagedNumber != 0 && !n.Dir {
		n.Written, v.stagedNumber = v.stagedNumber, 0
		if n.Value == nil {
			n.Unread.Length, n.Unread.Text = v.stagedLength, v.stagedJSON
		}
	}
	v.meta.counts.put(n, prev)
	stored := *n
	stored.Expires = v.meta.clock.Stored(n.Expires)
	before := int64(0)
	if prev != nil {
		before = v.storedExpiry(prev)
	}
	if before != stored.Expires {
		v.dropExpiry(n.Key, before)
	}
	v.putValue(n, prev)
	v.key = appendNodeKey(v.key[:0], n.Key)
	if v.changed[n.Key] = largeRecord; n.Len() <= nodeCacheRecord {
		v.changed[n.Key] = appendNode(make([]byte, 0, nodeRecordHead+len(n.Value)), &stored)
	}
	v.rec = appendStoredNode(v.rec[:0], &stored)
	v.must(v.batch.Set(v.key, v.rec, nil))
	if stored.Expires == 0 || before == stored.Expires {
		return
	}
	v.key = appendExpiryKey(v.key[:0], stored.Expires, n.Key)
	v.must(v.batch.Set(v.key, nil, nil))
	v.soonest = min(v.soonest, stored.Expires)
	if bytes.Compare(v.key, v.expiryFrom) < 0 {
		v.expiryFrom = append(v.expiryFrom[:0], v.key...)
	}
}

// storedExpiry is the expiration that n, a node of the tree, is stored with; 0: none.
func (v *view) storedExpiry(n *tree.Node) int64 {
	if n.Expires == 0 || v.meta.clock.Shift == 0 {
		return n.Expires
	}
	stored, _, _, err := readNodeHead(v.find(n.Key)) // Stored(Shown) may be at the end of time
	v.must(err)
	return stored.Expires
}

func (v *view) dropExpiry(key string, at int64) {
	if at != 0 {
		v.key = appendExpiryKey(v.key[:0], at, key)
		v.must(v.batch.Delete(v.key, nil))
	}
}

// deleteOneByOne is the size up to which the nodes of a subtree are deleted one by one. A
// range tombstone would slow down every later read, and most directories are small.
const deleteOneByOne = 64

// Remove implements tree.Store. The expirations of nodes below a directory stay, and
// NextExpiry drops them once they are due.
func (v *view) Remove(n *tree.Node) {
	v.dropExpiry(n.Key, v.storedExpiry(n))
	root := appendNodeKey(nil, n.Key)
	if !n.Dir {
		v.changed[n.Key] = nil
		v.must(v.batch.Delete(root, nil))
		if hasLargeValue(n) {
			v.dropValue(v.meta.last+1, n.Written, n.Len())
		}
		v.meta.counts.remove(n.Expires != 0)
		return
	}
	end := appendBelow(nil, root)
	it := v.iter(root, end)
	var found [][]byte
	for ok := it.First(); ok; ok = it.Next() { // to the end: counts and large values need every node
		if len(found) <= deleteOneByOne {
			found = append(found, bytes.Clone(it.Key()))
		}
		below, _, length, err := readNodeHead(v.value(it))
		v.must(err)
		if below.Written != 0 {
			v.dropValue(v.meta.last+1, below.Written, length)
		}
		v.meta.counts.remove(below.Expires != 0)
	}
	v.close(it)
	if len(found) > deleteOneByOne {
		v.changedAll = true
		v.must(v.batch.DeleteRange(root, end, nil))
		return
	}
	for _, storeKey := range found {
		key, err := appendKey(nil, storeKey[1:])
		v.must(err)
		v.changed[string(key)] = nil
		v.must(v.batch.Delete(storeKey, nil))
	}
}

// HasChildren implements tree.Store.
func (v *view) HasChildren(dir string) bool {
	root := appendNodeKey(nil, dir)
	it := v.iter(append(bytes.Clone(root), pathSeparator), appendBelow(nil, root))
	defer v.close(it)
	found := it.First()
	v.must(it.Error())
	return found
}

// Walk implements txn.Store.
func (v *view) Walk(dir string, visit func(key string) (more, below bool)) {
	root := appendNodeKey(nil, dir)
	it := v.iter(append(bytes.Clone(root), pathSeparator), appendBelow(nil, root))
	defer v.close(it)
	for ok := it.First(); ok; {
		key, err := appendKey(nil, it.Key()[1:])
		v.must(err)
		more, below := visit(string(key))
		switch {
		case !more:
			return
		case below:
			ok = it.Next()
		default:
			ok = it.SeekGE(appendBelow(nil, it.Key()))
		}
	}
	v.must(it.Error())
}

// staleLimit is the number of stale expirations that one raft entry drops at most.
const staleLimit = 1000

// NextExpiry implements tree.Store. It drops stale expirations on the way: those whose
// nodes are gone, or expire at another time.
func (v *view) NextExpiry(limit int64) (tree.Node, bool) {
	limit = v.meta.clock.Stored(limit)
	it := v.iter(v.expiryFrom, []byte{expiryPrefix + 1})
	defer v.close(it)
	for ok := it.First(); ok && v.stale < staleLimit; ok = it.Next() {
		at, key, err := readExpiryKey(it.Key())
		v.must(err)
		v.expiryFrom = append(v.expiryFrom[:0], it.Key()...)
		if at > limit {
			return tree.Node{}, false
		}
		if n, ok := v.Get(key); ok && v.storedExpiry(&n) == at {
			return n, true
		}
		v.stale++
		v.must(v.batch.Delete(v.expiryFrom, nil))
	}
	v.must(it.Error())
	return tree.Node{}, false
}
