package statemachine

import "testing"

func TestCachesTellWhatTheyTake(t *testing.T) {
	c := caches{newNodeCache(1 << 20), newListCache(1 << 20), newMarks(1)}
	expect := func(when string, nodes, lists int) {
		t.Helper()
		if n, l := c.bytes(); n != nodes || l != lists {
			t.Errorf("%s: %d bytes of nodes and %d of listings, want %d and %d", when, n, l, nodes, lists)
		}
	}
	expect("at first", 0, 0)
	nodes := 0
	for key, rec := range map[string][]byte{"/a": []byte("record"), "/b": absentRecord} {
		_, seen := c.nodes.get(nil, key)
		c.nodes.put(key, rec, seen)
		nodes += entrySize(key, rec) + linkBytes
	}
	expect("two keys", nodes, 0)
	keep(c.lists, "/", false, "text")
	kept := len("/") + len("text") + listCost
	expect("a listing", nodes, kept)
	f := collect(c.lists, "/a", true)
	c.lists.add(f, []byte("part"))
	expect("another one under way", nodes, kept+len("part"))
	c.blockAll(1)
	expect("nothing", 0, 0)
}
