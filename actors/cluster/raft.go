package cluster

import "copse/statemachine/tree"

// MembersShard is the raft group whose state has the list of members. Shards count
// from 1.
const MembersShard = 1

// Raft is what Membership needs of the raft groups.
type Raft interface {
	Leadership
	Replicas

	// Execute proposes a command and returns its reply.
	Execute(stop <-chan struct{}, shard uint64, c *tree.Command) (tree.Reply, error)
	// Confirm waits until this replica has applied all that was acknowledged before
	// the call.
	Confirm(stop <-chan struct{}, shard uint64) error
	// Changed rings when a shard's leader or replicas have changed.
	Changed() <-chan struct{}
}

// Leadership is who leads the shards.
type Leadership interface {
	Leader(shard uint64) uint64 // 0: not known
	// Successor is the voter that this member heard from last; 0: none lately.
	Successor(voters map[uint64]bool) uint64
	// Transfer asks the leader to let member lead. It may come to nothing.
	Transfer(shard, member uint64) error
}

// Replicas are the members' replicas of the shards; those without a shard's voter set
// in their name concern this member's own.
type Replicas interface {
	VoterSet(shard uint64) (VoterSet, error)
	Votes(member uint64) bool // in any shard
	AddLearner(shard, member, change uint64) error
	AddVoter(shard, member, change uint64) error
	RemoveReplica(shard, member, change uint64) error

	Removed(shard uint64) bool
	Learning(shard uint64) bool // it runs without a vote
	EndLearning(shard uint64)
	Alone(shard uint64) bool // it runs with the time-outs of a single member
	RestartReplica(stop <-chan struct{}, shard uint64) error
	StopReplicas() error // of all shards, for good
	// RemembersVote reports whether it would start with a vote, and Snapshot makes it
	// so, once the snapshot has been taken.
	RemembersVote(shard uint64) (bool, error)
	Snapshot(shard uint64) error
}

// VoterSet is which members have a replica of a shard.
type VoterSet struct {
	Change   uint64 // a change has to name this, or it is refused as outdated
	Voters   map[uint64]bool
	Learners map[uint64]bool // replicas without a vote
	Removed  map[uint64]bool // can never come back
}
