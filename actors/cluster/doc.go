// Package cluster decides who belongs to a cluster, and makes the raft groups follow.
//
// The list of members is state of one shard ([MembersShard]), changed by commands like
// any other state. The package owns what changes that list ([Admin]) and what acts
// on it ([Membership]), how a member finds its cluster before it has data
// ([Identify]), how it starts to serve ([Joiner]), whether its data is that of the
// others ([Comparer]), and how it becomes the only member of a new generation
// ([ForceNew], [Renew]). It reaches raft through interfaces of its
// own, and other members through functions that make calls; it doesn't listen to them.
//
//	Identify ──asks──▶ other members ──▶ datadir.Identity
//	Admin ──command──▶ list of members (MembersShard) ◀── Joiner founds it
//	                       │ changed
//	                       ▼
//	                  Membership ──add, remove──▶ replicas of each shard (Raft)
//	                       │ └────addresses─────▶ peerlink.Book
//	Comparer ──is wrong────┘ then: stop all replicas, for good
//
// # Goroutines
//
// One for Membership and two for Comparer, one of which only waits for the end. The
// functions that ask other members start one for each, and wait for it.
package cluster
