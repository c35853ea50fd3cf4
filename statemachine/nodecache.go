package statemachine

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
)

// nodeCache caches the full records of nodes that clients, or writes, have read recently: a
// read from Pebble costs several times as much as the rest of a plain GET. An update blocks
// the keys that it changes while it commits, and then puts their new records in (see
// caches).
//
// put ignores a record if any key of its cache shard has been blocked since the
// corresponding get. Otherwise a slow reader could put an outdated record back. All methods
// but block and unblock may be called from any goroutine.
type nodeCache struct {
	seed   maphash.Seed
	shards [nodeCacheShards]nodeCacheShard
	// returning lists the keys that had records when they were blocked. It is owned by
	// the goroutine that runs Update.
	returning []string
}

const (
	nodeCacheShards   = 16
	nodeCacheOverhead = 128      // bytes of an entry besides its key and record
	nodeCacheRecord   = 16 << 10 // largest record cached: for larger ones, most of the cost is copying
)

type nodeCacheShard struct {
	mu      sync.RWMutex
	records map[string][]byte
	size    int
	limit   int
	blocks  uint64 // number of blocks and unblocks so far
	blocked int    // number of blocks not yet ended
}

// newNodeCache returns a cache of about limit bytes.
func newNodeCache(limit int) *nodeCache {
	c := &nodeCache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].records = make(map[string][]byte)
		c.shards[i].limit = limit / nodeCacheShards
	}
	return c
}

func (c *nodeCache) shard(key string) *nodeCacheShard {
	return &c.shards[maphash.String(c.seed, key)%nodeCacheShards]
}

// get returns the record of the node at key, which must not be modified, or nil. seen is
// to be passed to put after reading the record from the store.
func (c *nodeCache) get(key string) (rec []byte, seen uint64) {
	s := c.shard(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.records[key], s.blocks
}

// put adds a copy of rec for key, unless an update has intervened since get returned seen.
func (c *nodeCache) put(key string, rec []byte, seen uint64) {
	cost := len(key) + len(rec) + nodeCacheOverhead
	s := c.shard(key)
	if len(rec) > nodeCacheRecord || cost > s.limit {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocks != seen || s.blocked > 0 || s.records[key] != nil {
		return
	}
	s.add(strings.Clone(key), bytes.Clone(rec))
}

// add adds a record, and evicts others if necessary.
func (s *nodeCacheShard) add(key string, rec []byte) {
	s.records[key] = rec
	s.size += len(key) + len(rec) + nodeCacheOverhead
	for old, record := range s.records { // map order is random enough to choose victims
		if s.size <= s.limit {
			break
		}
		s.remove(old, record)
	}
}

func (s *nodeCacheShard) remove(key string, rec []byte) {
	delete(s.records, key)
	s.size -= len(key) + len(rec) + nodeCacheOverhead
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
		if rec := s.records[key]; rec != nil {
			s.remove(key, rec)
			c.returning = append(c.returning, key)
		}
		s.mu.Unlock()
	}
}

// unblock ends a block of the same changes. Keys that had records get their new ones, if
// they still exist. Other keys get none: a node that was just created may not be read soon.
func (c *nodeCache) unblock(changed map[string][]byte) {
	for key := range changed {
		c.shard(key).unblock()
	}
	for _, key := range c.returning {
		rec := changed[key]
		if s := c.shard(key); rec != nil && len(rec) <= nodeCacheRecord {
			s.mu.Lock()
			if s.records[key] == nil { // a reader may have added it first
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
		s.size = 0
		clear(s.records)
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
