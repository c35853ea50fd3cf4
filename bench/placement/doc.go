// Package placement computes which shard a key lives in, by the rule in
// docs/SHARDS.md. It is written from that page and not from the
// server, so that a test can find a contradiction.
//
// It is pure and runs no goroutine.
package placement
