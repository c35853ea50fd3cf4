// Package placement computes which shard a key lives in, by the rule in
// docs/SHARDS.md. It is written from that page and not from the
// server, so that a test can find a contradiction.
package placement

import "strings"

// Name is the top-level name of a key: service for /service/a/b, and empty for
// the root itself.
func Name(key string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(key, "/"), "/")
	return name
}

// Slot is the shard that a key lives in, counted from 0. The root is in none and
// counts as the empty name, whose shard refuses writes to it.
func Slot(key string, shards int) int {
	if shards <= 1 {
		return 0
	}
	return int(mixed(Name(key)) % uint64(shards))
}

// Root reports whether a key is the root, which spans all shards.
func Root(key string) bool { return strings.Trim(key, "/") == "" }

func mixed(name string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
