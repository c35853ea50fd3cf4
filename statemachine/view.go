package statemachine

import (
	"bytes"
	"errors"
	"math"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// view is the tree as one raft batch sees and changes it: a tree.Store over one
// indexed Pebble batch. A storage fault panics with a fault, which Update turns
// into its error.
type view struct {
	batch   *pebble.Batch
	meta    meta
	members *tree.Membership
	handed  []tree.Index // known to others: not to be changed in place
	// soonest is the earliest expiration put by this view.
	soonest int64
	// expiryFrom is where the search for due nodes goes on: no expiration
	// below it is left.
	expiryFrom []byte
	stale      int // expirations dropped by this raft entry
	// changed are the records of the nodes that were put, nil for those that
	// were removed; unless many were, at once.
	changed    map[string][]byte
	changedAll bool
	nodes      *nodeCache
	events     eventRecord
	key, rec   []byte // scratch
}

// fault is a storage error on its way up through tree.Apply.
type fault struct{ err error }

func (v *view) must(err error) {
	if err != nil {
		panic(fault{err})
	}
}

// caught, deferred, turns a fault's panic into err.
func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case fault:
		*err = r.err
	default:
		panic(r)
	}
}

// reset makes the view ready for another batch; it keeps its buffers.
func (v *view) reset(batch *pebble.Batch, m meta, members *tree.Membership, expiryFrom int64) {
	v.batch, v.meta, v.members, v.soonest, v.stale = batch, m, members, math.MaxInt64, 0
	v.expiryFrom = appendExpiryKey(v.expiryFrom[:0], expiryFrom, "/")
	v.changedAll = false
	if len(v.changed) > viewSlack {
		v.changed = make(map[string][]byte) // an emptied map stays as large as it was
	} else {
		clear(v.changed)
	}
	v.events.data = v.events.data[:0]
	if cap(v.events.data) > 2*recordBytes {
		v.events.data = nil
	}
}

// viewSlack is how many changed nodes the view keeps room for.
const viewSlack = 4096

func (v *view) iter(lower, upper []byte) *pebble.Iterator {
	it, err := v.batch.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	v.must(err)
	return it
}

func (v *view) close(it *pebble.Iterator) { v.must(it.Close()) }

// Get implements tree.Store.
func (v *view) Get(key string) (tree.Node, bool) {
	rec := v.find(key)
	if rec == nil {
		return tree.Node{}, false
	}
	n, err := readNode(key, rec)
	v.must(err)
	return n, true
}

// find returns the record of the node at key, which mustn't be changed, or
// nil. The batch is asked only for what neither it nor the cache is known to
// hold.
func (v *view) find(key string) []byte {
	seen := uint64(0)
	if !v.changedAll {
		rec, known := v.changed[key]
		if !known {
			rec, seen = v.nodes.get(key)
		}
		if known || rec != nil {
			return rec
		}
	}
	v.key = appendNodeKey(v.key[:0], key)
	rec, err := getRecord(v.batch, v.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	v.must(err)
	if !v.changedAll {
		v.nodes.put(key, rec, seen)
	}
	return rec
}

// Put implements tree.Store.
func (v *view) Put(n, prev *tree.Node) {
	v.meta.counts.put(n, prev)
	if prev != nil && prev.Expires != n.Expires {
		v.dropExpiry(prev)
	}
	v.putValue(n, prev)
	v.key = appendNodeKey(v.key[:0], n.Key)
	v.changed[n.Key] = appendNode(make([]byte, 0, nodeRecordHead+len(n.Value)), n)
	v.rec = appendStoredNode(v.rec[:0], n)
	v.must(v.batch.Set(v.key, v.rec, nil))
	if n.Expires == 0 || prev != nil && prev.Expires == n.Expires {
		return
	}
	v.key = appendExpiryKey(v.key[:0], n.Expires, n.Key)
	v.must(v.batch.Set(v.key, nil, nil))
	v.soonest = min(v.soonest, n.Expires)
	if bytes.Compare(v.key, v.expiryFrom) < 0 {
		v.expiryFrom = append(v.expiryFrom[:0], v.key...)
	}
}

func (v *view) dropExpiry(n *tree.Node) {
	if n.Expires != 0 {
		v.key = appendExpiryKey(v.key[:0], n.Expires, n.Key)
		v.must(v.batch.Delete(v.key, nil))
	}
}

// fewNodes is up to how many nodes a subtree is taken out one by one: range
// tombstones cost every later read, and most directories are small.
const fewNodes = 64

// Remove implements tree.Store. The expirations of what lay below a directory
// stay behind; NextExpiry drops them when their time comes.
func (v *view) Remove(n *tree.Node) {
	v.dropExpiry(n)
	root := appendNodeKey(nil, n.Key)
	if !n.Dir {
		v.changed[n.Key] = nil
		v.must(v.batch.Delete(root, nil))
		if liesApart(n) {
			v.dropValue(n.Written)
		}
		v.meta.counts.remove(n.Expires != 0)
		return
	}
	end := appendBelow(nil, root)
	it := v.iter(root, end)
	var found [][]byte
	for ok := it.First(); ok; ok = it.Next() { // all are counted, however many
		if len(found) <= fewNodes {
			found = append(found, bytes.Clone(it.Key()))
		}
		below, _, _, err := readNodeHead(it.Value())
		v.must(err)
		if below.Written != 0 {
			v.dropValue(below.Written)
		}
		v.meta.counts.remove(below.Expires != 0)
	}
	v.close(it)
	if len(found) > fewNodes {
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

// staleLimit is how many expirations without a node one raft entry drops.
const staleLimit = 1000

// NextExpiry implements tree.Store. An expiration whose node is gone, or has
// got another one, is dropped on the way.
func (v *view) NextExpiry(limit int64) (tree.Node, bool) {
	it := v.iter(v.expiryFrom, []byte{expiryPrefix + 1})
	defer v.close(it)
	for ok := it.First(); ok && v.stale < staleLimit; ok = it.Next() {
		at, key, err := readExpiryKey(it.Key())
		v.must(err)
		v.expiryFrom = append(v.expiryFrom[:0], it.Key()...)
		if at > limit {
			return tree.Node{}, false
		}
		if n, ok := v.Get(key); ok && n.Expires == at {
			return n, true
		}
		v.stale++
		v.must(v.batch.Delete(v.expiryFrom, nil))
	}
	v.must(it.Error())
	return tree.Node{}, false
}
