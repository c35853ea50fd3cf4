package statemachine

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
)

// nodeCache caches the full records of nodes that clients, or writes, have read recently,
// and that there is no node where clients have looked for one: a read from Pebble costs
// several times as much as the rest of a plain GET. An update blocks the keys that it
// changes while it commits, and then puts their new records in (see caches).
//
// put ignores a record if any key of its cache shard has been blocked since the
// corresponding get. Otherwise a slow reader could put an outdated record back. All methods
// but block and unblock may be called from any goroutine.
type nodeCache struct {
	seed   maphash.Seed
	shards [nodeCacheShards]nodeCacheShard
	// returning lists the keys that were known when they were blocked. It is owned by the
	// goroutine that runs Update.
	returning []string
}

const (
	nodeCacheShards   = 16
	nodeCacheOverhead = 128      // bytes of an entry besides its key and record
	nodeCacheRecord   = 16 << 10 // largest record cached: for larger ones, most of the cost is copying

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
	_       [40]byte  // the next one's lock is in another cache line
}

// recordSet is a map with a limit in bytes.
type recordSet struct {
	records map[string][]byte
	size    int
	limit   int
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

// newNodeCache returns a cache of about limit bytes.
func newNodeCache(limit int) *nodeCache {
	c := &nodeCache{seed: maphash.MakeSeed()}
	absent := limit / absentShare / nodeCacheShards
	for i := range c.shards {
		s := &c.shards[i]
		s.nodes = recordSet{records: make(map[string][]byte), limit: limit/nodeCacheShards - absent}
		s.absent = recordSet{records: make(map[string][]byte), limit: absent}
	}
	return c
}

func (c *nodeCache) shard(key string) *nodeCacheShard {
	return &c.shards[maphash.String(c.seed, key)%nodeCacheShards]
}

// get returns the record of the node at key, which must not be modified: absentRecord if it
// is known that there is no node, largeRecord if it is too large, nil if nothing is known.
// seen is to be passed to put after reading the record from the store.
func (c *nodeCache) get(key string) (rec []byte, seen uint64) {
	s := c.shard(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.record(key), s.blocks
}

// put adds a copy of rec for key, or absentRecord, or that rec is large, unless an update has
// intervened since get returned seen.
func (c *nodeCache) put(key string, rec []byte, seen uint64) {
	s := c.shard(key)
	if rec = cacheable(rec); !s.admits(key, rec) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocks == seen && s.blocked == 0 && s.record(key) == nil {
		s.add(strings.Clone(key), bytes.Clone(rec))
	}
}

func (s *nodeCacheShard) record(key string) []byte {
	if rec := s.nodes.records[key]; rec != nil {
		return rec
	}
	return s.absent.records[key]
}

// set returns the set that rec belongs to.
func (s *nodeCacheShard) set(rec []byte) *recordSet {
	if len(rec) == 0 {
		return &s.absent
	}
	return &s.nodes
}

func (s *nodeCacheShard) admits(key string, rec []byte) bool {
	return recordCost(key, rec) <= s.set(rec).limit
}

func (s *nodeCacheShard) add(key string, rec []byte) { s.set(rec).add(key, rec) }

func recordCost(key string, rec []byte) int { return len(key) + len(rec) + nodeCacheOverhead }

// add adds a record, and evicts others if necessary.
func (s *recordSet) add(key string, rec []byte) {
	s.records[key] = rec
	s.size += recordCost(key, rec)
	for old, record := range s.records { // map order is random enough to choose victims
		if s.size <= s.limit {
			break
		}
		s.remove(old, record)
	}
}

func (s *recordSet) remove(key string, rec []byte) {
	delete(s.records, key)
	s.size -= recordCost(key, rec)
}

func (s *recordSet) clear() {
	s.size = 0
	clear(s.records)
}

// block removes the records of the changed keys, and keeps all new ones out of their cache
// shards until unblock.
func (c *nodeCache) block(changed map[string][]byte) {
	c.returning = c.returning[:0]
	for key := range changed {
		s := c.shard(key)
		s.mu.Lock()
		s.blocks++
		s.blocked++
		if rec := s.record(key); rec != nil {
			s.set(rec).remove(key, rec)
			c.returning = append(c.returning, key)
		}
		s.mu.Unlock()
	}
}

// unblock ends a block of the same changes. Keys that were known get their new records.
// Other keys get none: a node that was just created may not be read soon.
func (c *nodeCache) unblock(changed map[string][]byte) {
	for key := range changed {
		c.shard(key).unblock()
	}
	for _, key := range c.returning {
		rec := cacheable(changed[key])
		if rec == nil {
			rec = absentRecord
		}
		if s := c.shard(key); s.admits(key, rec) {
			s.mu.Lock()
			if s.record(key) == nil { // a reader may have added it first
				s.add(key, rec)
			}
			s.mu.Unlock()
		}
	}
	clear(c.returning)
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
		c.shards[i].unblock()
	}
}

func (s *nodeCacheShard) unblock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks++
	s.blocked--
}
