package statemachine

import (
	"hash/maphash"
	"runtime"
	"sync"
	"syscall"
)

// nodeCache caches the full records of nodes that clients, or writes, have read recently,
// and that there is no node where clients have looked for one: a read from Pebble costs
// several times as much as the rest of a plain GET. New nodes go in, too, as long as no other has to
// go for them. An update blocks the keys that it
// changes while it commits, and then puts their new records in (see caches).
//
// put ignores a record if any key of its cache shard has been blocked since the
// corresponding get. Otherwise a slow reader could put an outdated record back. All methods
// but block and unblock may be called from any goroutine; those two are Update's.
type nodeCache struct {
	seed   maphash.Seed
	shards [nodeCacheShards]nodeCacheShard
}

const (
	nodeCacheShards = 16
	nodeCacheRecord = 16 << 10 // largest record cached: for larger ones, most of the cost is copying

	// Of a cache's bytes, one in absentShare is for keys without a node. Anybody can make up
	// such keys, so they have a room of their own, and evict one another only.
	absentShare = 8
)

type nodeCacheShard struct {
	mu      sync.RWMutex
	nodes   recordSet
	absent  recordSet // keys without a node; their records are absentRecord
	blocks  uint64    // number of blocks and unblocks so far
	blocked int       // number of blocks not yet ended
	_       [48]byte  // the next one's lock is in another cache line
}

// absentRecord stands for the record of a node that doesn't exist. It is empty, as no
// record of a node is.
var absentRecord = []byte{}

// largeRecord stands for a record that is larger than those that are cached, and has to be read.
var largeRecord = []byte{0xff}

func isLarge(rec []byte) bool { return len(rec) == 1 && rec[0] == largeRecord[0] } // records are longer

// cacheable returns rec, or largeRecord in its place.
func cacheable(rec []byte) []byte {
	if len(rec) > nodeCacheRecord {
		return largeRecord
	}
	return rec
}

// newNodeCache returns a cache of at most limit bytes.
func newNodeCache(limit int) *nodeCache {
	c := &nodeCache{seed: maphash.MakeSeed()}
	each := limit / nodeCacheShards / entryAlign * entryAlign
	memory := untouched(c, each*nodeCacheShards)
	for i := range c.shards {
		s, part := &c.shards[i], memory[i*each:][:each]
		absent := each / absentShare
		s.absent, s.nodes = newRecordSet(part[:absent]), newRecordSet(part[absent:])
	}
	return c
}

// untouched returns n bytes of zeros for c, which take no memory until they are written to. They are none of
// the garbage collector's, which would let the process grow by as much again before it collects.
func untouched(c *nodeCache, n int) []byte {
	memory, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil { // n is 0, or the system has set a limit to that
		return make([]byte, n)
	}
	_ = syscall.Madvise(memory, syscall.MADV_NOHUGEPAGE) // a few keys in each shard would take 2 MiB each
	runtime.AddCleanup(c, func(memory []byte) { _ = syscall.Munmap(memory) }, memory)
	return memory
}

func (c *nodeCache) shard(key string) (s *nodeCacheShard, hash uint32) {
	h := maphash.String(c.seed, key)
	return &c.shards[h%nodeCacheShards], uint32(h >> 32)
}

// get returns the record of the node at key, as a copy in buf if that is large enough: absentRecord if it
// is known that there is no node, largeRecord if it is too large, nil if nothing is known.
// seen is to be passed to put after reading the record from the store.
func (c *nodeCache) get(buf []byte, key string) (rec []byte, seen uint64) {
	s, hash := c.shard(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch rec = s.record(hash, key); {
	case rec == nil:
		return nil, s.blocks
	case len(rec) == 0:
		return absentRecord, s.blocks
	}
	return append(buf[:0], rec...), s.blocks
}

// put adds rec for key, or absentRecord, or that rec is large, unless an update has
// intervened since get returned seen.
func (c *nodeCache) put(key string, rec []byte, seen uint64) {
	rec = cacheable(rec)
	s, hash := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocks == seen && s.blocked == 0 && s.record(hash, key) == nil {
		s.set(hash, key, rec)
	}
}

func (s *nodeCacheShard) record(hash uint32, key string) []byte {
	if rec := s.nodes.get(hash, key); rec != nil {
		return rec
	}
	return s.absent.get(hash, key)
}

// set has rec be the record of key, if it can be held.
func (s *nodeCacheShard) set(hash uint32, key string, rec []byte) {
	in, other := &s.nodes, &s.absent
	if len(rec) == 0 {
		in, other = other, in
	}
	other.remove(hash, key)
	if in.admits(key, rec) {
		in.set(hash, key, rec)
	} else {
		in.remove(hash, key)
	}
}

// block hides the records of the changed keys, and keeps all new ones out of their cache
// shards until unblock.
func (c *nodeCache) block(changed map[string][]byte) {
	for key := range changed {
		s, hash := c.shard(key)
		s.mu.Lock()
		s.blocks++
		s.blocked++
		s.nodes.hide(hash, key)
		s.absent.hide(hash, key)
		s.mu.Unlock()
	}
}

// unblock ends a block of the same changes. Keys that were known get their new records, and
// others if there is room: a node that was just created may not be read soon.
func (c *nodeCache) unblock(changed map[string][]byte) {
	for key, rec := range changed {
		rec = cacheable(rec)
		s, hash := c.shard(key)
		s.mu.Lock()
		s.blocks++
		s.blocked--
		known := s.nodes.holds(hash, key) || s.absent.holds(hash, key)
		if s.record(hash, key) == nil && (known || len(rec) > 0 && s.nodes.hasRoom(key, rec)) { // a reader may have added it first
			s.set(hash, key, rec)
		}
		s.mu.Unlock()
	}
}

// blockAll removes everything, and keeps all records out until unblockAll.
func (c *nodeCache) blockAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.blocks++
		s.blocked++
		s.nodes.clear()
		s.absent.clear()
		s.mu.Unlock()
	}
}

// unblockAll ends a blockAll.
func (c *nodeCache) unblockAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.blocks++
		s.blocked--
		s.mu.Unlock()
	}
}
