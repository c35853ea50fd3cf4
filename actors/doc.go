// Package actors runs what lies between HTTP and the stores: for each data
// shard an actor that proposes writes, one that makes reads linearizable, one
// that knows the watchers, one that expires keys and one that bounds the log;
// for the member one that keeps the raft groups in step with the list of members
// and one that watches the disk;
// and below them the raft host, the one place that speaks to dragonboat, on the
// peer link (package peerlink).
//
// An actor is a struct with a bounded mailbox and one loop. What the loop owns
// nobody else touches; there are no locks around it. [Group] starts the loops,
// stops them in reverse order, and waits for each. [Node] puts them together;
// [Router] is what a front-end speaks to.
//
// Below the engine, package raftlog keeps its log.
//
// The package doesn't know HTTP, nor what a command does to the tree: that is
// package tree's, applied by package statemachine. It owns the data directory
// ([DataDir]): its lock, its identity, and where the parts keep their files. How a
// fresh member finds its cluster is in enlist.go, how one becomes the only member
// of a new cluster in forcenew.go.
//
//	                ┌──▶ Shard ────propose───▶ Host ──▶ dragonboat ──▶ Machine.Update
//	Router ─────────┼──▶ ReadLane ─confirm───▶  ▲  ▲                        │
//	                ├──▶ Machine.Get            │  │                        │ Publish
//	                └──▶ WatchHub ◀─────────────┼──┼────────────────────────┘
//	                     Expirer ───propose─────┘  │
//	                     Compactor ──compact───────┤
//	                     Membership ──replicas─────┘
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
//	       │       └──propose──▶ data shard's Machine ──▶ WatchHub, Closed, told      ▼
//	       ├──▶ Courier ─call─▶ the leader's Ordered                              Spanning
//	       └──▶ Spanning: GET / and watches on /
//
// # Goroutines
//
// One for each of Shard, ReadLane, WatchHub, Expirer, Compactor, Membership and
// DiskWatch, and one that holds the Host open; with several shards also for each Ordered,
// Order, Spanning and Balancer (two), and five for each Courier. The engine, Pebble and the peer link run their
// own, which end with their Close.
package actors
