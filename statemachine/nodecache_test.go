package statemachine

import (
	"fmt"
	"strings"
	"testing"
)

func TestNodeCacheForgetsWhatWasBarred(t *testing.T) {
	c := newNodeCache(1 << 20)
	held := func(key string) string { rec, _ := c.get(key); return string(rec) }
	_, seen := c.get("/a")
	c.put("/a", []byte("1"), seen)
	if held("/a") != "1" {
		t.Fatal("what was put isn't held")
	}
	one := map[string][]byte{"/a": nil}
	for _, blocking := range []struct {
		name           string
		block, unblock func()
	}{
		{"the key", func() { c.block(one) }, func() { c.unblock(one) }},
		{"everything", c.blockAll, c.unblockAll},
	} {
		_, before := c.get("/a")
		blocking.block()
		if held("/a") != "" {
			t.Fatalf("%s: what was blocked is still held", blocking.name)
		}
		c.put("/a", []byte("1"), before)
		_, meanwhile := c.get("/a")
		c.put("/a", []byte("1"), meanwhile)
		if held("/a") != "" {
			t.Fatalf("%s: a record is taken in while it is blocked", blocking.name)
		}
		if blocking.unblock(); held("/a") != "" {
			t.Fatalf("%s: what has gone is back", blocking.name)
		}
		c.put("/a", []byte("1"), before)
		c.put("/a", []byte("1"), meanwhile)
		if held("/a") != "" {
			t.Fatalf("%s: a reader from before has put its record back", blocking.name)
		}
		_, after := c.get("/a")
		c.put("/a", []byte("2"), after)
		if held("/a") != "2" {
			t.Fatalf("%s: nothing is taken in afterwards", blocking.name)
		}
	}
	changed := map[string][]byte{"/a": []byte("3"), "/b": []byte("3")}
	c.block(changed)
	if got := held("/a") + held("/b"); got != "" {
		t.Fatalf("what is going to change is still held: %q", got)
	}
	if c.unblock(changed); held("/a")+held("/b") != "3" {
		t.Fatalf("after a change of what was held and of what wasn't: got %q, %q", held("/a"), held("/b"))
	}
	_, seen = c.get("/big")
	c.put("/big", []byte(strings.Repeat("x", nodeCacheRecord+1)), seen)
	if held("/big") != "" {
		t.Fatal("a large record is held")
	}
}

func TestNodeCacheStaysWithinItsLimit(t *testing.T) {
	const limit = 64 << 10
	c := newNodeCache(limit)
	for i := range 10_000 {
		key := fmt.Sprintf("/key/%d", i)
		_, seen := c.get(key)
		c.put(key, []byte(strings.Repeat("x", i%300)), seen)
		changed := map[string][]byte{fmt.Sprintf("/key/%d", i/2): make([]byte, i%500)}
		c.block(changed)
		c.unblock(changed)
	}
	size, count := 0, 0
	for i := range c.shards {
		s := &c.shards[i]
		real := 0
		for key, rec := range s.records {
			real += len(key) + len(rec) + nodeCacheOverhead
		}
		if real != s.size {
			t.Errorf("shard %d holds %d bytes and counts %d", i, real, s.size)
		}
		size, count = size+real, count+len(s.records)
	}
	if size > limit || count < 100 {
		t.Errorf("%d records of %d bytes in all, the limit is %d", count, size, limit)
	}
	none := newNodeCache(0)
	_, seen := none.get("/a")
	none.put("/a", nil, seen)
	if len(none.shard("/a").records) != 0 {
		t.Error("a cache of no bytes holds something")
	}
}
