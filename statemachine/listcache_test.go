package statemachine

import (
	"fmt"
	"strings"
	"testing"
)

// keep puts a listing into the cache, as a reader who asks twice does.
// collect begins to collect a listing that is asked for again. Another listing may have
// taken its place among those that were read recently.
func collect(c *listCache, key string, recursive bool) *listFill {
	if f := c.begin(key, recursive); f != nil {
		return f
	}
	return c.begin(key, recursive)
}

func keep(c *listCache, key string, recursive bool, text string) {
	for range 2 {
		if f := c.begin(key, recursive); f != nil {
			c.add(f, []byte(text))
			c.finish(f)
		}
	}
}

func TestListCacheForgetsWhatShowsAChange(t *testing.T) {
	listings := []listName{{"/", false}, {"/", true}, {"/a", false}, {"/a", true}, {"/a/b", false}, {"/a/b", true}, {"/c", true}}
	for changed, want := range map[string]string{
		"/a/b/x": "/ - /a - /c +",
		"/a/x":   "/ - /a/b - /a/b + /c +",
		"/a/b":   "/ - /c +",
		"/a":     "/a/b - /a/b + /c +",
		"/x":     "/a - /a + /a/b - /a/b + /c +",
		"/ab":    "/a - /a + /a/b - /a/b + /c +",
	} {
		c := newListCache(1 << 20)
		for _, n := range listings {
			keep(c, n.key, n.recursive, "text")
			if c.get(n.key, n.recursive).text == nil {
				t.Fatalf("%v isn't kept", n)
			}
		}
		var fills []*listFill
		for _, n := range listings {
			fills = append(fills, collect(c, n.key, n.recursive))
		}
		c.block(map[string][]byte{changed: nil})
		c.unblock(map[string][]byte{changed: nil})
		for i, f := range fills {
			if f.stale != (c.get(listings[i].key, listings[i].recursive).text == nil) {
				t.Errorf("after a change of %s, a listing of %v under way is stale: %v", changed, listings[i], f.stale)
			}
		}
		var left []string
		for _, n := range listings {
			if c.get(n.key, n.recursive).text != nil {
				left = append(left, n.key+map[bool]string{false: " -", true: " +"}[n.recursive])
			}
		}
		if got := strings.Join(left, " "); got != want {
			t.Errorf("after a change of %s: got %s want %s", changed, got, want)
		}
	}
}

func TestListCacheTakesNothingStaleOrUseless(t *testing.T) {
	c := newListCache(1000)
	if c.begin("/a", false) != nil {
		t.Error("what is asked for once is kept")
	}
	change := map[string][]byte{"/a/x": nil}
	for name, spoil := range map[string]func(*listFill){
		"changed meanwhile": func(*listFill) { c.block(change); c.unblock(change) },
		"ended in a change": func(f *listFill) { c.block(nil); c.finish(f); c.unblock(nil); f.uncacheable = true },
		"cleared meanwhile": func(*listFill) { c.blockAll(); c.unblockAll() },
		"too long":          func(f *listFill) { c.add(f, make([]byte, 501)) },
		"given up":          func(f *listFill) { c.abandon(f) },
	} {
		f := c.begin("/a", false)
		c.add(f, []byte("x"))
		spoil(f)
		c.finish(f)
		if c.get("/a", false).text != nil || c.size != 0 {
			t.Errorf("%s: it is kept", name)
		}
	}
	keep(c, "/a", false, "x")
	if c.get("/a", false).text == nil {
		t.Error("nothing is kept")
	}
}

func TestAListingAndItsOtherForm(t *testing.T) {
	c := newListCache(10_000)
	read := func() *cachedListing { return c.read("/a", true, c.get("/a", true)) }
	keep(c, "/a", true, "a listing")
	plain := c.size
	if rest, missing := read().Packed(); rest != nil || !missing {
		t.Fatal("another form is there before it was made")
	}
	if rest := read().Pack(nil, false); rest != nil {
		t.Fatal("there is a form without text")
	}
	if _, missing := read().Packed(); !missing {
		t.Fatal("what isn't known is kept")
	}
	early := read()
	if rest := early.Pack(make([]byte, 500), true); rest.Size() != 500 || c.size != plain+500 {
		t.Fatalf("the form has %d bytes, and the cache %d after %d", rest.Size(), c.size, plain)
	}
	if rest := early.Pack(make([]byte, 600), true); rest.Size() != 600 || c.size != plain+500 {
		t.Fatalf("a second form is kept: %d after %d", c.size, plain)
	}
	if rest, missing := read().Packed(); rest.Size() != 500 || missing {
		t.Fatal("the form isn't kept")
	}
	change := map[string][]byte{"/a/x": nil}
	c.block(change)
	c.unblock(change)
	if c.size != 0 {
		t.Fatalf("%d bytes are left", c.size)
	}
	keep(c, "/a", true, "another listing")
	if early.Pack(make([]byte, 500), true); c.size != len("/a")+len("another listing")+listCost {
		t.Fatalf("the form of a listing that is gone is kept: %d bytes", c.size)
	}
	if read().Pack(nil, true); c.size != len("/a")+len("another listing")+listCost {
		t.Fatalf("%d bytes", c.size)
	}
	if rest, missing := read().Packed(); rest != nil || missing {
		t.Fatal("what has no other form is asked for it again")
	}
	keep(c, "/b", true, strings.Repeat("x", 4000))
	if b := c.read("/b", true, c.get("/b", true)); b.Pack(make([]byte, 8000), true) == nil || c.size > c.limit {
		t.Fatalf("%d bytes of %d", c.size, c.limit)
	}
}

func TestListCacheStaysWithinItsLimit(t *testing.T) {
	c := newListCache(10_000)
	for i := range 1000 {
		key := fmt.Sprintf("/%d", i)
		keep(c, key, i%2 == 0, strings.Repeat("x", i))
		real := 0
		for n, list := range c.entries {
			real += n.cost(list)
		}
		if c.size != real || real > c.limit {
			t.Fatalf("it holds %d bytes and counts %d", real, c.size)
		}
	}
	if len(c.entries) < 5 {
		t.Errorf("%d listings are kept", len(c.entries))
	}
}

func TestManyReadersOfOneListingCollectItOnce(t *testing.T) {
	c := newListCache(10_000)
	f := collect(c, "/a", true)
	c.add(f, make([]byte, 4000))
	if c.begin("/a", true) != nil {
		t.Error("a second reader collects it, too")
	}
	g := collect(c, "/b", true)
	c.add(g, make([]byte, 4000))
	h := collect(c, "/c", true)
	if c.add(h, make([]byte, 4000)); !h.stale || c.filling != 8000 {
		t.Errorf("%d bytes are being collected, of %d", c.filling, c.limit)
	}
	change := map[string][]byte{"/a/x": nil}
	c.block(change)
	c.unblock(change)
	if !f.stale || f.text != nil || c.filling != 4000 {
		t.Errorf("%d bytes are held of a listing that has changed, and %d of all", len(f.text), c.filling)
	}
	if f = collect(c, "/a", true); f == nil {
		t.Fatal("nobody may collect it again")
	}
	c.add(f, []byte("x"))
	c.finish(f)
	c.finish(g)
	if c.get("/a", true).text == nil || c.get("/b", true).text == nil || c.filling != 0 {
		t.Errorf("%d bytes are being collected in the end", c.filling)
	}
}

// TestDeepChangesAreWalkedOnce has a write make each directory above its key: the listings that it changes are
// as many as there are directories, two for each, and are found in as many steps.
func TestDeepChangesAreWalkedOnce(t *testing.T) {
	const depth = 2000
	changed, key := map[string][]byte{}, ""
	want := map[listName]bool{{"/", false}: true, {"/", true}: true}
	for range depth {
		key += "/d"
		changed[key] = nil
		want[listName{key, false}], want[listName{key, true}] = true, true
	}
	steps := 0
	for name := range listingsOf(changed) {
		if steps++; steps > 4*depth {
			t.Fatalf("more than %d steps for %d listings", steps, len(want))
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("%d listings are left out", len(want))
	}
}

// BenchmarkADeepChange is the time for which others can't look for a mark, while a key of 2,900 levels is made.
func BenchmarkADeepChange(b *testing.B) {
	changed, key := map[string][]byte{}, ""
	for range 2900 {
		key += "/d"
		changed[key] = nil
	}
	s := newMarks(1)
	s.get("/", true)
	for b.Loop() {
		s.raise(changed, 1)
	}
}
