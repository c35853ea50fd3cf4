package statemachine

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
)

// nodeCache keeps the records of nodes that were read lately, by clients or by
// writes that look at what they change: a read from Pebble costs several times
// as much as all the rest of a plain GET. What an update changes is barred before
// it is committed, and comes back changed before anyone is told of it: a reader
// that has seen one part of an update, or knows its index, never gets a record
// from before it.
//
// A record is taken in only if nothing has been barred since before it was
// read: else a slow reader could put back what was just dropped. All methods
// may be called from any goroutine.
type nodeCache struct {
	seed   maphash.Seed
	shards [nodeCacheShards]nodeCacheShard
	// returning are the keys that had records when they were barred. It belongs to
	// the goroutine that updates.
	returning []string
}

const (
	nodeCacheShards   = 16
	nodeCacheOverhead = 128      // bytes an entry takes besides key and record
	nodeCacheRecord   = 16 << 10 // larger ones aren't kept: their cost is in copying
)

type nodeCacheShard struct {
	mu      sync.RWMutex
	records map[string][]byte
	size    int
	limit   int
	drops   uint64 // how often something was barred or let in again
	barred  int    // keys, or times all keys, that are barred now
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

// get returns the record of the node at key, which mustn't be changed. If it
// has none, seen is what put wants to know after the caller has read it.
func (c *nodeCache) get(key string) (rec []byte, seen uint64) {
	s := c.shard(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.records[key], s.drops
}

// put takes rec, which is copied, in for key, unless something has been
// dropped since get.
func (c *nodeCache) put(key string, rec []byte, seen uint64) {
	cost := len(key) + len(rec) + nodeCacheOverhead
	s := c.shard(key)
	if len(rec) > nodeCacheRecord || cost > s.limit {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drops != seen || s.barred > 0 || s.records[key] != nil {
		return
	}
	s.add(strings.Clone(key), bytes.Clone(rec))
}

// add takes a record in, and makes room for it.
func (s *nodeCacheShard) add(key string, rec []byte) {
	s.records[key] = rec
	s.size += len(key) + len(rec) + nodeCacheOverhead
	for old, record := range s.records { // a map hands its entries out at random
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

// bar forgets the records of what is going to change, and takes none in on their
// shards until unbar.
func (c *nodeCache) bar(changed map[string][]byte) {
	c.returning = c.returning[:0]
	for key := range changed {
		s := c.shard(key)
		s.mu.Lock()
		s.drops++
		s.barred++
		if rec := s.records[key]; rec != nil {
			s.remove(key, rec)
			c.returning = append(c.returning, key)
		}
		s.mu.Unlock()
	}
}

// unbar ends what bar, with the same changes, began. What had a record has its
// new one, if there is one: a node that is written for the first time need not be
// read soon.
func (c *nodeCache) unbar(changed map[string][]byte) {
	for key := range changed {
		c.shard(key).unbar()
	}
	for _, key := range c.returning {
		rec := changed[key]
		if s := c.shard(key); rec != nil && len(rec) <= nodeCacheRecord {
			s.mu.Lock()
			if s.records[key] == nil { // a reader may have been quicker
				s.add(key, rec)
			}
			s.mu.Unlock()
		}
	}
	clear(c.returning)
}

// barAll forgets everything, and takes nothing in until unbarAll.
func (c *nodeCache) barAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.drops++
		s.barred++
		s.size = 0
		clear(s.records)
		s.mu.Unlock()
	}
}

// unbarAll ends what barAll began.
func (c *nodeCache) unbarAll() {
	for i := range c.shards {
		c.shards[i].unbar()
	}
}

func (s *nodeCacheShard) unbar() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops++
	s.barred--
}
