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
	one := map[string][]byte{"/a": []byte("2")}
	for _, blocking := range []struct {
		name           string
		block, unblock func()
		left           string // afterwards
	}{
		{"the key", func() { c.block(one) }, func() { c.unblock(one) }, "2"},
		{"everything", c.blockAll, c.unblockAll, ""},
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
		if blocking.unblock(); held("/a") != blocking.left {
			t.Fatalf("%s: afterwards %q is held", blocking.name, held("/a"))
		}
		c.put("/a", []byte("1"), before)
		c.put("/a", []byte("1"), meanwhile)
		if held("/a") != blocking.left {
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
	if held("/big") != string(largeRecord) {
		t.Fatal("a large record is held, or that it is large isn't known")
	}
	changed = map[string][]byte{"/a": []byte(strings.Repeat("x", nodeCacheRecord+1)), "/big": []byte("4")}
	c.block(changed)
	if c.unblock(changed); held("/a") != string(largeRecord) || held("/big") != "4" {
		t.Fatalf("after a change from large to small, and the other way: got %d bytes, %q", len(held("/a")), held("/big"))
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
		missing := fmt.Sprintf("/missing/%d", i)
		_, seen = c.get(missing)
		c.put(missing, absentRecord, seen)
	}
	size, nodes, absent := 0, 0, 0
	for i := range c.shards {
		s := &c.shards[i]
		for name, set := range map[string]*recordSet{"nodes": &s.nodes, "absent": &s.absent} {
			real := 0
			for key, rec := range set.records {
				real += len(key) + len(rec) + nodeCacheOverhead
			}
			if real != set.size {
				t.Errorf("the set %q of shard %d holds %d bytes and counts %d", name, i, real, set.size)
			}
			size += real
		}
		nodes, absent = nodes+len(s.nodes.records), absent+len(s.absent.records)
	}
	if size > limit || nodes < 100 || absent < 10 {
		t.Errorf("%d nodes and %d absent ones of %d bytes in all, the limit is %d", nodes, absent, size, limit)
	}
	none := newNodeCache(0)
	_, seen := none.get("/a")
	none.put("/a", []byte("1"), seen)
	none.put("/b", absentRecord, seen)
	for _, key := range []string{"/a", "/b"} {
		if rec, _ := none.get(key); rec != nil {
			t.Error("a cache of no bytes holds something")
		}
	}
}

func TestMadeUpKeysEvictNoNode(t *testing.T) {
	c := newNodeCache(64 << 10)
	_, seen := c.get("/a")
	c.put("/a", []byte("1"), seen)
	for i := range 10_000 {
		key := fmt.Sprintf("/made-up/%d", i)
		_, seen := c.get(key)
		c.put(key, absentRecord, seen)
	}
	if rec, _ := c.get("/a"); string(rec) != "1" {
		t.Errorf("after a flood of keys that don't exist, the node's record is %q", rec)
	}
}

func TestAbsenceIsKnownUntilTheNodeIsThere(t *testing.T) {
	c := newNodeCache(1 << 20)
	_, before := c.get("/a")
	c.put("/a", absentRecord, before)
	for _, step := range []struct {
		change []byte
		want   string
	}{{[]byte("1"), "1"}, {nil, "absent"}, {[]byte("2"), "2"}} {
		changed := map[string][]byte{"/a": step.change}
		c.block(changed)
		if rec, _ := c.get("/a"); rec != nil {
			t.Fatalf("what is going to change is still known: %q", rec)
		}
		c.unblock(changed)
		c.put("/a", absentRecord, before) // a reader from before
		rec, _ := c.get("/a")
		if got := string(rec); got != step.want && !(step.want == "absent" && rec != nil && got == "") {
			t.Errorf("after a change to %q, the cache has %q", step.change, rec)
		}
	}
}
