package statemachine

import (
	"fmt"
	"strings"
	"testing"
)

func TestNodeCacheForgetsWhatWasBarred(t *testing.T) {
	c := newNodeCache(1 << 20)
	held := func(key string) string { rec, _ := c.get(nil, key); return string(rec) }
	_, seen := c.get(nil, "/a")
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
		_, before := c.get(nil, "/a")
		blocking.block()
		if held("/a") != "" {
			t.Fatalf("%s: what was blocked is still held", blocking.name)
		}
		c.put("/a", []byte("1"), before)
		_, meanwhile := c.get(nil, "/a")
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
		_, after := c.get(nil, "/a")
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
	if c.unblock(changed); held("/a")+held("/b") != "33" {
		t.Fatalf("after a change of what was held and of what there is room for: got %q, %q", held("/a"), held("/b"))
	}
	_, seen = c.get(nil, "/big")
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
		_, seen := c.get(nil, key)
		c.put(key, []byte(strings.Repeat("x", i%300)), seen)
		changed := map[string][]byte{fmt.Sprintf("/key/%d", i/2): make([]byte, i%500)}
		c.block(changed)
		c.unblock(changed)
		missing := fmt.Sprintf("/missing/%d", i)
		_, seen = c.get(nil, missing)
		c.put(missing, absentRecord, seen)
	}
	size, nodes, absent := 0, 0, 0
	for i := range c.shards {
		s := &c.shards[i]
		for _, set := range []*recordSet{&s.nodes, &s.absent} {
			size += len(set.memory)
		}
		nodes, absent = nodes+s.nodes.count, absent+s.absent.count
	}
	if size > limit || nodes < 200 || absent < 50 {
		t.Errorf("%d nodes and %d absent ones in %d bytes, the limit is %d", nodes, absent, size, limit)
	}
	none := newNodeCache(0)
	_, seen := none.get(nil, "/a")
	none.put("/a", []byte("1"), seen)
	none.put("/b", absentRecord, seen)
	for _, key := range []string{"/a", "/b"} {
		if rec, _ := none.get(nil, key); rec != nil {
			t.Error("a cache of no bytes holds something")
		}
	}
}

func TestMadeUpKeysEvictNoNode(t *testing.T) {
	c := newNodeCache(64 << 10)
	_, seen := c.get(nil, "/a")
	c.put("/a", []byte("1"), seen)
	for i := range 10_000 {
		key := fmt.Sprintf("/made-up/%d", i)
		_, seen := c.get(nil, key)
		c.put(key, absentRecord, seen)
	}
	if rec, _ := c.get(nil, "/a"); string(rec) != "1" {
		t.Errorf("after a flood of keys that don't exist, the node's record is %q", rec)
	}
}

func TestAbsenceIsKnownUntilTheNodeIsThere(t *testing.T) {
	c := newNodeCache(1 << 20)
	_, before := c.get(nil, "/a")
	c.put("/a", absentRecord, before)
	for _, step := range []struct {
		change []byte
		want   string
	}{{[]byte("1"), "1"}, {nil, "absent"}, {[]byte("2"), "2"}} {
		changed := map[string][]byte{"/a": step.change}
		c.block(changed)
		if rec, _ := c.get(nil, "/a"); rec != nil {
			t.Fatalf("what is going to change is still known: %q", rec)
		}
		c.unblock(changed)
		c.put("/a", absentRecord, before) // a reader from before
		rec, _ := c.get(nil, "/a")
		if got := string(rec); got != step.want && !(step.want == "absent" && rec != nil && got == "") {
			t.Errorf("after a change to %q, the cache has %q", step.change, rec)
		}
	}
}

func TestNewNodesEvictNone(t *testing.T) {
	c := newNodeCache(64 << 10)
	create := func(key string) {
		changed := map[string][]byte{key: []byte("new")}
		c.block(changed)
		c.unblock(changed)
	}
	create("/first")
	if rec, _ := c.get(nil, "/first"); string(rec) != "new" {
		t.Errorf("a new node's record is %q, and there is room", rec)
	}
	for i := range 10_000 {
		create(fmt.Sprintf("/then/%d", i))
	}
	if rec, _ := c.get(nil, "/first"); string(rec) != "new" {
		t.Errorf("after a flood of new nodes, the first one's record is %q", rec)
	}
}

// What get returns is the caller's: it stays as it is when the node changes.
func TestNodeCacheGivesCopies(t *testing.T) {
	c := newNodeCache(64 << 10)
	buf := make([]byte, 0, 8)
	for _, rec := range []string{"1", "2"} {
		changed := map[string][]byte{"/a": []byte(rec)}
		kept, _ := c.get(nil, "/a")
		before := string(kept)
		c.block(changed)
		if c.unblock(changed); string(kept) != before {
			t.Errorf("the change to %q changed what was read before", rec)
		}
		if got, _ := c.get(buf, "/a"); string(got) != rec || &got[0] != &buf[:1][0] {
			t.Errorf("the record is %q, or not in the buffer", got)
		}
	}
}
