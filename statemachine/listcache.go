package statemachine

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"copse/statemachine/tree"
)

// listCache keeps listings that are asked for again and again, as they are sent:
// clients that watch a directory all read it anew after each change. What an
// update changes is barred before it is committed and let in again before anyone
// is told of it, as in the nodeCache: all listings that show it go.
//
// A listing is kept if it was asked for twice, and if nothing it shows has
// changed while it was put together. All methods may be called from any
// goroutine.
type listCache struct {
	seed  maphash.Seed
	limit int

	mu     sync.RWMutex // guards what follows
	kept   map[listName][]byte
	size   int
	fills  map[*listFill]struct{}
	recent [256]uint64 // hashes of names that were asked for lately
	barred int
}

// listName names a listing.
type listName struct {
	key       string
	recursive bool
}

// listFill is a listing that is being put together, by one goroutine.
type listFill struct {
	name    listName
	text    []byte
	useless bool // too long, or not the same at another moment
	stale   bool // what it shows has changed; guarded by the cache's lock
}

// listShare is the part of the cache that one listing may take.
const listShare = 2

func newListCache(limit int) *listCache {
	return &listCache{
		seed:  maphash.MakeSeed(),
		limit: limit,
		kept:  make(map[listName][]byte),
		fills: make(map[*listFill]struct{}),
	}
}

// get returns a listing, which mustn't be changed, or nil.
func (c *listCache) get(key string, recursive bool) []byte {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.kept[listName{key, recursive}]
}

// begin is called before a listing is read from the store; it returns nil if
// the listing isn't to be kept.
func (c *listCache) begin(key string, recursive bool) *listFill {
	name := listName{key, recursive}
	hash := maphash.Comparable(c.seed, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot := &c.recent[hash%uint64(len(c.recent))]; *slot != hash {
		*slot = hash
		return nil
	}
	f := &listFill{name: listName{strings.Clone(key), recursive}}
	c.fills[f] = struct{}{}
	return f
}

// add notes the next part of the listing.
func (f *listFill) add(part []byte, limit int) {
	if len(f.text)+len(part) > limit/listShare {
		f.useless, f.text = true, nil
	}
	if !f.useless {
		f.text = append(f.text, part...)
	}
}

// giveUp ends a fill that doesn't get to its end; nil is none.
func (c *listCache) giveUp(f *listFill) {
	if f != nil {
		f.useless = true
		c.end(f)
	}
}

// end is called once for each fill.
func (c *listCache) end(f *listFill) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fills, f)
	if f.useless || f.stale || c.barred > 0 || c.kept[f.name] != nil {
		return
	}
	text := slices.Clip(f.text)
	c.kept[f.name] = text
	c.size += f.name.cost(text)
	for name := range c.kept { // a map hands its entries out at random
		if c.size <= c.limit {
			break
		}
		c.remove(name)
	}
}

// listCost is what a listing takes besides its bytes.
const listCost = 200

func (n listName) cost(text []byte) int { return len(n.key) + cap(text) + listCost }

func (c *listCache) remove(name listName) {
	if text := c.kept[name]; text != nil {
		delete(c.kept, name)
		c.size -= name.cost(text)
	}
}

// bar forgets the listings that show what is going to change, and takes none in
// until unbar.
func (c *listCache) bar(changed map[string][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.barred++
	c.drop(changed)
}

// unbar ends what bar, with the same changes, began.
func (c *listCache) unbar(changed map[string][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.barred--
	c.drop(changed) // of those that were begun meanwhile, nobody knows what they saw
}

func (c *listCache) drop(changed map[string][]byte) {
	if len(c.kept) == 0 && len(c.fills) == 0 {
		return
	}
	for key := range changed {
		c.remove(listName{key, false})
		c.remove(listName{key, true})
		for dir := key; dir != "/"; {
			dir = tree.Parent(dir)
			c.remove(listName{dir, true})
		}
		c.remove(listName{tree.Parent(key), false})
		for f := range c.fills {
			f.stale = f.stale || f.name.shows(key)
		}
	}
}

// shows reports whether the listing may show the node.
func (n listName) shows(key string) bool {
	return n.key == key || n.key == tree.Parent(key) || n.recursive && tree.Within(n.key, key)
}

// barAll forgets everything, and takes nothing in until unbarAll.
func (c *listCache) barAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.barred++
	c.clear()
}

// unbarAll ends what barAll began.
func (c *listCache) unbarAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.barred--
	c.clear()
}

func (c *listCache) clear() {
	clear(c.kept)
	c.size = 0
	for f := range c.fills {
		f.stale = true
	}
}

// keptListing is a listing from the cache; it implements tree.Rest.
type keptListing struct {
	text []byte
	sent int
}

// keptPart is how many bytes a part has of a listing that lies ready: a few writes
// send more than a megabyte, and a slow client has the write time-out for each.
const keptPart = 2 * listingPart

// Size implements tree.Rest.
func (l *keptListing) Size() int { return len(l.text) }

// Next implements tree.Rest. Nothing is copied.
func (l *keptListing) Next() (part []byte, more bool, err error) {
	part = l.text[l.sent:min(len(l.text), l.sent+keptPart)]
	l.sent += len(part)
	return part, l.sent < len(l.text), nil
}

// Close implements tree.Rest.
func (*keptListing) Close() {}
