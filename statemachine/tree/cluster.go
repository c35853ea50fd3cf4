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
	Started time.Time

	Leader      uint64 // the leading member's id; 0: none known
	LeaderSince time.Time
}

// Member returns the member with the id.
func (c *Cluster) Member(id uint64) (Member, bool) {
	for _, m := range c.Members {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
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
