package peer

import (
	"strconv"
	"testing"
)

// Sharded returns the flags that spread a server's keys over the given number of
// shards. etcd has only one.
func Sharded(kind Kind, shards int) []string {
	if shards <= 1 || !kind.IsCopse() {
		return nil
	}
	return []string{"--shards=" + strconv.Itoa(shards)}
}

// shardCounts are the numbers of shards in the suites, with the names of the sub-tests.
var shardCounts = []struct {
	name   string
	shards int
}{
	{"one shard", 1},
	{"four shards", 4},
}

// ShardCounts are the numbers of shards that the suites run with.
func ShardCounts() (all []int) {
	for _, c := range shardCounts {
		all = append(all, c.shards)
	}
	return all
}

// EachShards runs a test of the kind for each number of shards that it can have.
func EachShards(t *testing.T, kind Kind, test func(t *testing.T, shards int)) {
	t.Helper()
	for _, c := range shardCounts {
		if c.shards == 1 || kind.IsCopse() {
			t.Run(c.name, func(t *testing.T) { test(t, c.shards) })
		}
	}
}
