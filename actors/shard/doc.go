// Package shard runs the path of a write on one member, for one shard: from the client's
// request to the answer, and, on the member that leads the shard, from all members'
// submissions into the raft log. Beside it stand what makes reads linearizable
// ([ReadLane]) and what expires keys ([Expirer]).
//
// The decisions are a pure core, [Core]: it has no goroutines, timers, network or raft.
// Its Step takes what has happened and returns what to do; [Actor] gathers the one and
// carries out the other. core.go has the vocabulary, origin.go what every member does for
// its own clients, leader.go what the leader does for all, kinds.go and underway.go which
// kind of writes goes next beside what, ranges.go what is added where several shards share
// one index. Values above 1 MiB are sent in parts (inparts.go). testdata has a transcript for each rule.
//
// The package doesn't know what a command does to the tree, nor dragonboat, nor how
// messages travel: it is handed a [Raft] and a [Link].
//
//	Do, Submit ──mailbox──▶ ┌───────┐ ──Propose──▶ Raft ──▶ log ──▶ each member's Machine
//	                        │ Actor │                                      │
//	other members ─────────▶│ ─Core │ ──PostSubmission──▶ the leader       │
//	   submissions,refusals └───────┘ ──PostRefusal────▶ other members     │
//	                            ▲                                          │
//	                            └──────────────── Feed ◀───────────────────┘
//
// # What becomes of a write whose leader is lost
//
// origin.go decides that (applied): its member waits until its own replica has applied a
// batch of a later leader. By then the write was applied, or it never will be and is
// sent again.
//
// # Goroutines
//
// One for each Actor, ReadLane and Expirer. A Feed has none: the replicas' apply workers
// write to it.
package shard
