// Package cluster decides who belongs to a cluster, and makes the raft groups follow.
//
// The list of members is state of one shard ([MembersShard]), changed by commands like
// any other state. The package owns what changes that list ([Admin]) and what acts
// on it ([Membership]), how a member finds its cluster before it has data
// ([Identify]), how it starts to serve ([Joiner]), and how it becomes the only
// member of a new generation ([ForceNew]). It reaches raft through interfaces of its
// own, and other members through functions that make calls; it doesn't listen to them.
//
//	Identify ──asks──▶ other members ──▶ datadir.Identity
//	Admin ──command──▶ list of members (MembersShard) ◀── Joiner founds it
//	                       │ changed
//	                       ▼
//	                  Membership ──add, remove──▶ replicas of each shard (Raft)
//	                       └──────addresses─────▶ peerlink.Book
//
// # Goroutines
//
// One for Membership. The functions that ask other members start one for each, and
// wait for it.
package cluster
