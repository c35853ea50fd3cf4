package cluster

import (
	"fmt"
	"testing"

	"copse/bench/cluster/check"
	"copse/bench/placement"
)

// What the clients write has to give every shard work, and has to be in many
// top-level names.
func TestLoadGivesEveryShardWork(t *testing.T) {
	names := []string{"/counter", "/queue", check.RegisterDir, "/fence"}
	for i := range writers {
		names = append(names, fmt.Sprintf("/w%d", i))
	}
	if len(names) < 8 {
		t.Errorf("only %d top-level names", len(names))
	}
	var writes [4]int
	for _, name := range names {
		writes[placement.Slot(name, len(writes))]++
	}
	for slot, n := range writes {
		if n == 0 {
			t.Errorf("nothing is in shard %d: %v", slot, writes)
		}
	}
}

func TestCrowdedShard(t *testing.T) {
	for _, other := range []string{"/w0", check.RegisterDir} {
		if placement.Slot(crowded(""), 4) != placement.Slot(other, 4) {
			t.Errorf("%s isn't in the shard of %s", other, crowded(""))
		}
	}
}

func TestTwoWritersAreInTwoShards(t *testing.T) {
	if keys := twoWriters(""); placement.Slot(keys[0], 4) == placement.Slot(keys[1], 4) {
		t.Errorf("%q are in one shard", keys)
	}
}
