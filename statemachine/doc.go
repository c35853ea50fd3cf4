// Package statemachine is one replica of one shard: a Pebble store, driven by dragonboat
// as an on-disk state machine. A data shard holds the v2 tree with its event window,
// expirations and counters. The order shard, which exists only if there are several data
// shards, holds the counter that indexes come from. The first shard also holds the
// cluster's membership, its users and its roles.
//
// It owns
//   - the shard's directory, and how a store that has lost something is told (home.go);
//   - the layout of the store (layout.go, meta.go), in which values of 1 KiB or more have
//     keys of their own, and those above 256 KiB several (the v and d keys, values.go), for
//     which they may come in parts, ahead of their command (stage.go), and stay unread
//     while an entry is applied, if they can (unread.go);
//   - what applying a raft entry does, and in which order (machine.go, apply.go,
//     ordered.go, order.go, membership.go, auth.go);
//   - reads (lookup.go, across.go), their caches (caches.go) and since when listings haven't
//     changed (marks.go);
//   - the event window (history.go, recent.go);
//   - the hash of the entries applied, by which replicas are compared (hash.go);
//   - snapshots (snapshot.go);
//   - backups of all shards at one index (cut.go, backup.go), and new stores filled from one
//     (fill.go), as files of package portable.
//
// It doesn't own the rules of the tree (package tree), the protocol between shards
// (docs/SHARDS.md), the time at which nodes expire (an actor proposes it), or watchers
// (Subscribe hands events on).
//
// It starts no goroutines but for a moment: while states are kept for listings in pages, a timer
// that Close stops drops the unused ones (moments.go). Pebble has its own. Update, Sync and the snapshot methods are
// called by dragonboat's workers, Update and Sync one at a time. Any goroutine may read at
// any time, even while a snapshot is replacing the store.
//
//	raft entry ──▶ Update ──▶ tree.Apply on a view of one Pebble batch
//	                 │             commit (in memory: the raft log is durable)
//	                 ├──▶ replies, as the entry's result, on the member that proposed it
//	                 └──▶ ApplyResult ──▶ the subscriber: events, and in a sharded cluster
//	                      the outcomes of batches, or the ranges handed out
package statemachine
