package statemachine

import (
	"errors"
	"sync"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// find looks up the node that q asks for.
func (m *Machine) find(q *tree.Query) (tree.Node, *tree.Error) {
	if q.Key != "/" {
		if n, ok := (cachedReader{m, q.Room}).Get(q.Key); ok {
			return n, nil // without the garbage that an interface makes
		}
	}
	return tree.Find(cachedReader{m, q.Room}, q.Key)
}

// cachedReader looks up single nodes in the cache, then in the store. Storage errors
// panic with a fault, and so does what there is no room for.
type cachedReader struct {
	m  *Machine
	in answerRoom
}

// buffers are for keys and records that are needed for a moment.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Get implements tree.Getter.
func (r cachedReader) Get(key string) (tree.Node, bool) {
	// The cache is asked before the store is acquired. In this order, a record read from a
	// store that a snapshot has just replaced is never put into the cache.
	rec, seen := r.m.caches.nodes.get(nil, key)
	if rec == nil || isLarge(rec) {
		rec = r.load(key)
		r.m.caches.nodes.put(key, rec, seen)
	}
	if len(rec) == 0 {
		return tree.Node{}, false
	}
	n, err := readNode(key, rec)
	if err != nil {
		panic(fault{err})
	}
	return n, true
}

// load returns the record of the node at key in the store, or absentRecord.
func (r cachedReader) load(key string) []byte {
	h, err := r.m.acquire()
	if err != nil {
		panic(fault{err})
	}
	defer h.release()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	*buf = appendNodeKey((*buf)[:0], key)
	rec, err := getRecord(h.db, *buf, r.in)
	if errors.Is(err, pebble.ErrNotFound) {
		return absentRecord
	}
	if err != nil {
		panic(fault{err})
	}
	return rec
}
