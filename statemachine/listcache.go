package statemachine

import (
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"copse/statemachine/tree"
)

// listCache caches the JSON of listings, and of large files, that are read repeatedly: clients that
// watch a directory tend to read it again after each change. An update removes all listings that
// show what it changes, and blocks new ones while it commits (see caches).
//
// A listing is cached when it is read for the second time, unless something that it shows
// changed while it was read. Of many who read one listing at the same time, only one
// collects it, and what is being collected counts towards the limit like what is cached.
// All methods may be called from any goroutine.
type listCache struct {
	seed  maphash.Seed
	limit int

	mu      sync.RWMutex // guards the fields below
	entries map[listName]cachedList
	size    int
	fills   map[listName]*listFill
	filling int         // bytes of the fills
	recent  [256]uint64 // hashes of listings read recently
	blocked int
}

// listName identifies a listing. A file's isn't recursive.
type listName struct {
	key       string
	recursive bool
}

// cachedList is a listing in the cache: its text, which isn't empty, an index at which it was so, and the
// other form of it. A file's index is that of its last change.
type cachedList struct {
	text   []byte
	at     tree.Index
	file   bool
	packed *atomic.Pointer[[]byte] // of nil until the form is known; of an empty one if there is none
}

// listFill collects a listing while a goroutine reads it from the store.
type listFill struct {
	name listName
	// Guarded by the cache's lock.
	text  []byte
	stale bool // it is given up: too long, or something that it shows has changed
	// uncacheable: its text depends on the time. It is the reading goroutine's, as are at and file,
	// which are the listing's.
	uncacheable bool
	at          tree.Index
	file        bool
}

// listShare limits one listing to 1/listShare of the cache.
const listShare = 2

func newListCache(limit int) *listCache {
	return &listCache{
		seed:    maphash.MakeSeed(),
		limit:   limit,
		entries: make(map[listName]cachedList),
		fills:   make(map[listName]*listFill),
	}
}

// get returns the listing, which must not be modified; it has no text if it isn't cached.
func (c *listCache) get(key string, recursive bool) cachedList {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[listName{key, recursive}]
}

// begin is called before a listing is read from the store. It returns nil if the listing
// isn't to be cached; otherwise the caller must call finish or abandon.
func (c *listCache) begin(key string, recursive bool) *listFill {
	name := listName{key, recursive}
	hash := maphash.Comparable(c.seed, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot := &c.recent[hash%uint64(len(c.recent))]; *slot != hash {
		*slot = hash
		return nil
	}
	if c.fills[name] != nil {
		return nil
	}
	f := &listFill{name: listName{strings.Clone(key), recursive}}
	c.fills[f.name] = f
	return f
}

// add adds the next part of the listing. The fill is given up if that makes it too long,
// or all fills together.
func (c *listCache) add(f *listFill, part []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.stale {
		return
	}
	if f.uncacheable || len(f.text)+len(part) > c.limit/listShare || c.filling+len(part) > c.limit {
		c.giveUp(f)
		return
	}
	f.text = append(f.text, part...)
	c.filling += len(part)
}

// giveUp lets go of what a fill has collected. c.mu is held.
func (c *listCache) giveUp(f *listFill) {
	if !f.stale {
		delete(c.fills, f.name)
		c.filling -= len(f.text)
		f.stale, f.text = true, nil
	}
}

// abandon ends a fill whose listing isn't read to its end. f may be nil.
func (c *listCache) abandon(f *listFill) {
	if f != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.giveUp(f)
	}
}

// finish ends a fill and caches its listing if possible.
func (c *listCache) finish(f *listFill) {
	c.mu.Lock()
	defer c.mu.Unlock()
	useful, text := !f.uncacheable && !f.stale && c.blocked == 0 && c.entries[f.name].text == nil, slices.Clip(f.text)
	c.giveUp(f)
	if !useful {
		return
	}
	list := cachedList{text, f.at, f.file, new(atomic.Pointer[[]byte])}
	c.entries[f.name] = list
	c.size += f.name.cost(list)
	c.shrink()
}

// shrink removes listings until the others are within the limit.
func (c *listCache) shrink() {
	for name := range c.entries { // map order is random enough to choose victims
		if c.size+c.filling <= c.limit {
			break
		}
		c.remove(name)
	}
}

// pack keeps the other form of a listing, if the listing is in the cache still.
func (c *listCache) pack(name listName, list cachedList, packed []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.entries[name]; now.packed == list.packed && list.packed.Load() == nil {
		c.size -= name.cost(now)
		list.packed.Store(&packed)
		c.size += name.cost(now)
		c.shrink()
	}
}

// listCost is the approximate overhead of an entry, in bytes.
const listCost = 200

func (n listName) cost(list cachedList) int {
	size := len(n.key) + cap(list.text) + listCost
	if packed := list.packed.Load(); packed != nil {
		size += cap(*packed)
	}
	return size
}

func (c *listCache) remove(name listName) {
	if list := c.entries[name]; list.text != nil {
		delete(c.entries, name)
		c.size -= name.cost(list)
	}
}

// block removes the listings that show what is about to change, and keeps all new ones out
// until unblock.
func (c *listCache) block(changed map[string][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocked++
	c.drop(changed)
}

// unblock ends a block of the same changes.
func (c *listCache) unblock(changed map[string][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocked--
	c.drop(changed) // a fill that began in between may have read either version
}

func (c *listCache) drop(changed map[string][]byte) {
	if len(c.entries) == 0 && len(c.fills) == 0 {
		return
	}
	for name := range listingsOf(changed) {
		c.remove(name)
	}
	for _, f := range c.fills {
		for key := range changed {
			if f.name.shows(key) {
				c.giveUp(f)
				break
			}
		}
	}
}

// listingsOf yields the listings that the nodes at the changed keys are in: their own, and those of directories above.
// What is above several of them is walked once: a write may make thousands of directories, each in the one before it.
func listingsOf(changed map[string][]byte) iter.Seq[listName] {
	return func(yield func(listName) bool) {
		var walked map[string]bool
		if len(changed) > 1 {
			walked = make(map[string]bool, len(changed))
		}
		for key := range changed {
			if !yield(listName{key, false}) || !yield(listName{key, true}) {
				return
			}
			if key == "/" {
				continue
			}
			dir := tree.Parent(key)
			if !yield(listName{dir, false}) {
				return
			}
			for ; !walked[dir]; dir = tree.Parent(dir) {
				if walked != nil {
					walked[dir] = true
				}
				if !yield(listName{dir, true}) {
					return
				}
				if dir == "/" {
					break
				}
			}
		}
	}
}

// shows reports whether the listing may contain the node at key.
func (n listName) shows(key string) bool {
	return n.key == key || n.key == tree.Parent(key) || n.recursive && tree.Within(n.key, key)
}

// blockAll removes everything, and keeps all listings out until unblockAll.
func (c *listCache) blockAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocked++
	c.clear()
}

// unblockAll ends a blockAll.
func (c *listCache) unblockAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocked--
	c.clear()
}

func (c *listCache) clear() {
	clear(c.entries)
	c.size = 0
	for _, f := range c.fills {
		c.giveUp(f)
	}
}

// cachedListing sends a listing from the cache in parts. It implements tree.Kept.
type cachedListing struct {
	inMemory
	cache *listCache
	name  listName
	list  cachedList
}

// read returns a listing from the cache as a tree.Rest.
func (c *listCache) read(key string, recursive bool, list cachedList) *cachedListing {
	return &cachedListing{inMemory{text: list.text}, c, listName{key, recursive}, list}
}

// Text implements tree.Kept.
func (l *cachedListing) Text() []byte { return l.list.text }

// Packed implements tree.Kept.
func (l *cachedListing) Packed() (rest tree.Rest, missing bool) {
	switch packed := l.list.packed.Load(); {
	case packed == nil:
		return nil, true
	case len(*packed) == 0:
		return nil, false
	default:
		return &inMemory{text: *packed}, false
	}
}

// Pack implements tree.Kept.
func (l *cachedListing) Pack(text []byte, known bool) tree.Rest {
	if known {
		l.cache.pack(l.name, l.list, text)
	}
	if len(text) == 0 {
		return nil
	}
	return &inMemory{text: text}
}

// inMemory sends a text in parts. It implements tree.Rest.
type inMemory struct {
	text []byte
	sent int
}

// cachedPart is the size of the parts of a cached listing: large, so that a few writes
// send a megabyte, but small enough for a slow client to receive one within the write
// timeout.
const cachedPart = 2 * listingPart

// Size implements tree.Rest.
func (l *inMemory) Size() int { return len(l.text) }

// Next implements tree.Rest. The part is not a copy.
func (l *inMemory) Next() (part []byte, more bool, err error) {
	part = l.text[l.sent:min(len(l.text), l.sent+cachedPart)]
	l.sent += len(part)
	return part, l.sent < len(l.text), nil
}

// Close implements tree.Rest.
func (*inMemory) Close() {}
