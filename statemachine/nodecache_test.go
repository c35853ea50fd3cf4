package statemachine

import (
	"fmt"
	"strings"
	"testing"
)

func TestNodeCacheFollowsChanges(t *testing.T) {
	c := newNodeCache(1 << 20)
	held := func(key string) string { rec, _ := c.get(key); return string(rec) }
	_, seen := c.get("/a")
	c.put("/a", []byte("1"), seen)
	if held("/a") != "1" {
		t.Fatal("what was put isn't held")
	}
	c.change(map[string][]byte{"/a": []byte("2"), "/b": []byte("2")})
	if got := held("/a") + held("/b"); got != "2" {
		t.Fatalf("after a change of what is held and of what isn't: got %q", got)
	}
	c.change(map[string][]byte{"/a": nil})
	if held("/a") != "" {
		t.Fatal("what was removed is still held")
	}
	c.put("/a", []byte("1"), seen)
	if held("/a") != "" {
		t.Fatal("a reader from before the change has put its record back")
	}
	_, seen = c.get("/a")
	c.clear()
	c.put("/a", []byte("1"), seen)
	if held("/a") != "" {
		t.Fatal("a reader from before the clearing has put its record back")
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
		c.change(map[string][]byte{fmt.Sprintf("/key/%d", i/2): make([]byte, i%500)})
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
