package statemachine

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
)

// nodeCache keeps the records of nodes that were read lately, by clients or by
// writes that look at what they change: a read from Pebble costs several times
// as much as all the rest of a plain GET. What an update changes is changed
// here once it is committed, and before anyone is told of it, so a reader that
// knows an index never gets a record from before it.
//
// A record is taken in only if nothing has changed since before it was read:
// else a slow reader could put back what was just changed. All methods may be
// called from any goroutine.
type nodeCache struct {
	seed   maphash.Seed
	shards [nodeCacheShards]nodeCacheShard
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
	changes uint64 // how often something has changed
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
	return s.records[key], s.changes
}

// put takes rec, which is copied, in for key, unless something has
// changed since get.
func (c *nodeCache) put(key string, rec []byte, seen uint64) {
	cost := len(key) + len(rec) + nodeCacheOverhead
	s := c.shard(key)
	if len(rec) > nodeCacheRecord || cost > s.limit {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != seen || s.records[key] != nil {
		return
	}
	s.records[strings.Clone(key)] = bytes.Clone(rec)
	s.size += cost
	s.shrink()
}

// shrink makes room until the limit is kept.
func (s *nodeCacheShard) shrink() {
	for key, rec := range s.records { // a map hands its entries out at random
		if s.size <= s.limit {
			return
		}
		s.remove(key, rec)
	}
}

func (s *nodeCacheShard) remove(key string, rec []byte) {
	delete(s.records, key)
	s.size -= len(key) + len(rec) + nodeCacheOverhead
}

// change takes over what an update has made of nodes: new records, nil for what
// is gone. Only records that are here already are kept: a node that is written
// for the first time need not be read soon.
func (c *nodeCache) change(changed map[string][]byte) {
	for key, rec := range changed {
		s := c.shard(key)
		s.mu.Lock()
		s.changes++
		if old := s.records[key]; old != nil {
			if rec == nil || len(rec) > nodeCacheRecord {
				s.remove(key, old)
			} else {
				s.records[key] = rec
				s.size += len(rec) - len(old)
				s.shrink()
			}
		}
		s.mu.Unlock()
	}
}

// clear forgets everything.
func (c *nodeCache) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.changes++
		s.size = 0
		clear(s.records)
		s.mu.Unlock()
	}
}
