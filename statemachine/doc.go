// Package statemachine keeps one shard's replica in one Pebble store, driven by
// dragonboat as an on-disk state machine: of a data shard, the v2 tree with its
// event window, expirations and counters; of the order shard, which there is beside
// several data shards, the counter of indexes; and in the first shard the cluster's
// membership.
//
// It owns the store's layout on disk (layout.go), the order of effects of a
// raft entry (machine.go, apply.go, ordered.go, order.go), reads (lookup.go,
// across.go, nodecache.go), the event window (history.go), the membership
// (membership.go) and the snapshot stream (snapshot.go). The rules of the tree are
// not here but in the package tree, those of several shards in docs/SHARDS.md; who
// listens to events isn't either: Subscribe is handed a publish func.
//
// It runs no goroutine of its own (Pebble runs its own). Update, Sync and the
// snapshot calls come from dragonboat's workers, one at a time; reads may come
// from any goroutine at any time, also while the store is being replaced.
//
//	raft entry ──▶ Update ──▶ tree.Apply on a view of one Pebble batch
//	                 │             commit (not synced: the raft log is durable)
//	                 ├──▶ replies, as the entry's result, where it was proposed
//	                 └──▶ ApplyResult: events, and with several shards what became of
//	                      batches, or who got which indexes ──▶ publish
package statemachine
