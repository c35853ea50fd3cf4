package tree

import "time"

// Member is one server of the cluster, as /v2/members shows it.
type Member struct {
	ID         uint64
	Name       string // empty until the member has started
	PeerURLs   []string
	ClientURLs []string
}

// Cluster is what a member knows about the cluster at one moment. It is
// immutable; every change makes a new one.
type Cluster struct {
	ID      uint64    // the cluster's id
	Life    uint32    // differs between clusters, and between generations of one: their indexes may be the same
	Self    uint64    // this member's id
	Members []Member  // sorted by ID
	Removed []uint64  // ids of former members, sorted
	Started time.Time // when this member started

	Leader      uint64    // the leading member's id; 0: none known
	LastLeader  uint64    // the leader or, while there is none, the last one; 0: none so far
	LeaderSince time.Time // when LastLeader became the leader
}

// Member returns the member with the id, and false if there is none.
func (c *Cluster) Member(id uint64) (Member, bool) {
	ms := Membership{Members: c.Members}
	return ms.Member(id)
}

// PeerStats are the measurements of a member's raft traffic with the others since it
// started.
type PeerStats struct {
	SendAppends, RecvAppends           uint64  // append requests
	SendPackageRate, SendBandwidthRate float64 // messages and bytes per second
	RecvPackageRate, RecvBandwidthRate float64
	Followers                          []FollowerStats // sorted by ID
}

// FollowerStats count the appends sent to one other member, and time its answers.
type FollowerStats struct {
	ID                                                    uint64
	Current, Average, StandardDeviation, Minimum, Maximum float64 // milliseconds
	Success, Fail                                         uint64
}
