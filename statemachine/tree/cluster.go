package tree

import "time"

// Member is one server of the cluster, as /v2/members shows it.
type Member struct {
	ID         uint64
	Name       string // empty until the member has started
	PeerURLs   []string
	ClientURLs []string
}

// Cluster is what a member knows of the cluster at one moment. It is
// immutable; a change makes a new one.
type Cluster struct {
	ID      uint64
	Self    uint64   // this member's id
	Members []Member // sorted by ID
	Removed []uint64 // ids that belonged to it once, sorted
	Started time.Time

	Leader      uint64    // the leading member's id; 0: none known
	LastLeader  uint64    // who leads or, while nobody does, did last; 0: nobody so far
	LeaderSince time.Time // LastLeader has been it
}

// Member returns the member with the id.
func (c *Cluster) Member(id uint64) (Member, bool) {
	ms := Membership{Members: c.Members}
	return ms.Member(id)
}

// PeerStats is what a member measured of the raft traffic with the others since it started.
type PeerStats struct {
	SendAppends, RecvAppends           uint64  // append requests
	SendPackageRate, SendBandwidthRate float64 // per second; bytes per second
	RecvPackageRate, RecvBandwidthRate float64
	Followers                          []FollowerStats // sorted by ID
}

// FollowerStats are the appends sent to one other member, and how long its answers took.
type FollowerStats struct {
	ID                                                    uint64
	Current, Average, StandardDeviation, Minimum, Maximum float64 // milliseconds
	Success, Fail                                         uint64
}
