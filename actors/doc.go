// Package actors puts a member together: what lies between HTTP and the stores.
//
// An actor is a struct with a bounded mailbox and one goroutine, its loop, which alone
// touches the actor's state (package loop). [Open] takes a data directory and finds its
// cluster; the [Starter] it returns starts a [Member], which opens the stores, the peer
// port and the raft log, joins the actors of all shards (parts.go), and adds their loops
// to a loop.Group. [Router] is what a front-end calls.
//
// The actors, and what they need, are in packages of their own:
//
//	loop      what every actor is built from
//	shard     the path of a write, linearizable reads, expiry
//	order     one index over several shards: what is closed, the root, who leads where
//	watch     watchers, and the events of the recent past
//	raft      dragonboat: leaders, proposals, read-index, replicas, compaction
//	raftlog   the files of the raft log
//	peerlink  the port between members
//	cluster   who is a member, and how the raft groups follow
//	datadir   the data directory: lock, identity
//	disk      free space, and how fast the disk is
//
// What is decided here is only what concerns several of them: which shard a key belongs
// to (router.go), in which order the parts learn of what is applied (parts.go), how
// leadership is transferred before a stop (transfer.go), what members ask each other
// (calls.go, raftgroup.go), what a member with wrong data still answers (differs.go),
// and what is measured (metrics.go). The package knows neither
// HTTP nor what a command does to the tree, which is package tree's business.
//
//	       ┌──▶ shard.Actor ───propose──▶ raft.Host ──▶ dragonboat ──▶ Machine.Update
//	       │      ▲   └─submissions, refusals─▶ peerlink ──▶ other members   │
//	       │      └──────────── shard.Feed ◀──outcomes────────────┐          │
//	Router ┼──▶ shard.ReadLane ─confirm─▶ raft.Host               ├── News ◀─┘
//	       ├──▶ Machine.Get                                       │
//	       ├──▶ watch.Hub ◀────────events─────────────────────────┤
//	       └──▶ order.Spanning ◀── order.ClosedIndex ◀────────────┘
//	            (several shards: GET / and watches on /)
//
// With one data shard, the first raft group has the list of members and the tree. With
// several it has the list and the counter of indexes, as the order shard, and each data
// shard is a group of its own. docs/SHARDS.md has the rules.
//
// # Goroutines
//
// The package has none that last but one, which keeps the raft.Host open until the
// group stops it. It adds to the group those of the hubs, compactors, Comparer,
// Membership, read lanes, shard actors, expirers and, with several shards, the Balancer.
// dragonboat, Pebble and the peer link run their own, which end with their Close.
package actors
