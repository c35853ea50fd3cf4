// Package actors puts a member together: what lies between HTTP and the stores.
//
// An actor is a struct with a bounded mailbox and one goroutine, its loop, which alone
// touches the actor's state (package loop). [Member] opens a member's parts, joins
// them, and adds their loops to a loop.Group; [Router] is what a front-end calls. The
// parts are in packages of their own:
//
//	loop      what every actor is built from
//	watch     watchers, and the events of the recent past
//	raft      dragonboat: leaders, proposals, linearizable reads, replicas
//	raftlog   the files below dragonboat's log
//	peerlink  the port between members
//	cluster   who is a member, and what follows from it
//	datadir   the data directory: lock, identity
//	disk      free space and how the disk does
//
// Still in this package is the write path: an actor for each data shard that proposes
// writes, one that makes reads linearizable, one that expires keys; and where there
// are several data shards, what orders them. The package knows neither HTTP nor what
// a command does to the tree, which is package tree's business.
//
//	                ┌──▶ Shard ────propose───▶ raft.Host ──▶ dragonboat ──▶ Machine.Update
//	Router ─────────┼──▶ ReadLane ─confirm───▶  ▲  ▲                            │
//	                ├──▶ Machine.Get            │  │                            │ Publish
//	                └──▶ watch.Hub ◀────────────┼──┼────────────────────────────┘
//	                     Expirer ───propose─────┘  │
//	                     raft.Compactor ───────────┤
//	                     cluster.Membership ───────┘
//
// Where there are several data shards (parts.go), an Ordered takes each Shard's place
// on the member that leads it, and a Courier takes the writes there from the other
// members. Order asks the order shard for indexes; Closed knows up to which index
// all shards are applied here, and puts their events in order for Spanning, which
// serves what concerns the root; Balancer spreads the leaders. docs/SHARDS.md has the
// rules that they follow.
//
//	       ┌──▶ Ordered ──ask──▶ Order ──propose──▶ order shard's Machine ──▶ told, Closed
//	       │       │  ▲                                                          │    │
//	Router ┤       │  └───────────────── ranges, outcomes ◀──────────────────────┘    │
//	       │       └──propose──▶ data shard's Machine ──▶ watch.Hub, Closed, told     ▼
//	       ├──▶ Courier ─call─▶ the leader's Ordered                              Spanning
//	       └──▶ Spanning: GET / and watches on /
//
// # Goroutines
//
// One for each of Shard, ReadLane, watch.Hub, Expirer, raft.Compactor,
// cluster.Membership and disk.Watch, and one that holds the raft.Host open; with
// several shards also for each Ordered, Order, Spanning and Balancer (two), and five for
// each Courier. dragonboat, Pebble and the peer link run their own, which end with
// their Close.
package actors
