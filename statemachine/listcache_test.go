package statemachine

import (
	"fmt"
	"strings"
	"testing"
)

// keep puts a listing into the cache, as a reader who asks twice does.
func keep(c *listCache, key string, recursive bool, text string) {
	for range 2 {
		if f := c.begin(key, recursive); f != nil {
			f.add([]byte(text), c.limit)
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
			if c.get(n.key, n.recursive) == nil {
				t.Fatalf("%v isn't kept", n)
			}
		}
		var fills []*listFill
		for _, n := range listings {
			c.begin(n.key, n.recursive)
			fills = append(fills, c.begin(n.key, n.recursive))
		}
		c.block(map[string][]byte{changed: nil})
		c.unblock(map[string][]byte{changed: nil})
		for i, f := range fills {
			if f.stale != (c.get(listings[i].key, listings[i].recursive) == nil) {
				t.Errorf("after a change of %s, a listing of %v under way is stale: %v", changed, listings[i], f.stale)
			}
		}
		var left []string
		for _, n := range listings {
			if c.get(n.key, n.recursive) != nil {
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
		"too long":          func(f *listFill) { f.add(make([]byte, 501), c.limit) },
		"given up":          func(f *listFill) { c.abandon(f) },
	} {
		f := c.begin("/a", false)
		f.add([]byte("x"), c.limit)
		spoil(f)
		c.finish(f)
		if c.get("/a", false) != nil || c.size != 0 {
			t.Errorf("%s: it is kept", name)
		}
	}
	keep(c, "/a", false, "x")
	if c.get("/a", false) == nil {
		t.Error("nothing is kept")
	}
}

func TestListCacheStaysWithinItsLimit(t *testing.T) {
	c := newListCache(10_000)
	for i := range 1000 {
		key := fmt.Sprintf("/%d", i)
		keep(c, key, i%2 == 0, strings.Repeat("x", i))
		real := 0
		for n, text := range c.entries {
			real += n.cost(text)
		}
		if c.size != real || real > c.limit {
			t.Fatalf("it holds %d bytes and counts %d", real, c.size)
		}
	}
	if len(c.entries) < 5 {
		t.Errorf("%d listings are kept", len(c.entries))
	}
}
