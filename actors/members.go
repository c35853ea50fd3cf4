package actors

import (
	"crypto/sha1"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"copse/statemachine/tree"
)

// Cluster is what this member knows of the cluster.
func (r *Router) Cluster() *tree.Cluster {
	c := r.cluster
	members := r.machine.Membership()
	c.Members, c.Removed = members.Members, members.Removed
	leader := r.host.Leader(r.shard.id)
	c.Leader, c.LastLeader, c.LeaderSince = leader.Member, leader.Last, leader.Since
	return &c
}

// AddMember makes a new member, which is to start with these peer URLs, a part
// of the cluster.
func (r *Router) AddMember(peerURLs []string) (tree.Member, *tree.Error) {
	urls := slices.Sorted(slices.Values(peerURLs))
	m := tree.Member{ID: newMemberID(urls, time.Now()), PeerURLs: urls}
	return m, r.changeMembers(tree.OpMemberAdd, m)
}

// newMemberID computes the id of a member that is added to a running cluster
// as etcd does: like a founding member's, but with the time in the token's
// place, so that who comes back is another member.
func newMemberID(sortedURLs []string, now time.Time) uint64 {
	sum := sha1.Sum([]byte(strings.Join(sortedURLs, "") + strconv.FormatInt(now.Unix(), 10)))
	return binary.BigEndian.Uint64(sum[:8])
}

// UpdateMember gives a member other peer URLs.
func (r *Router) UpdateMember(id uint64, peerURLs []string) *tree.Error {
	return r.changeMembers(tree.OpMemberUpdate, tree.Member{ID: id, PeerURLs: peerURLs})
}

// RemoveMember takes a member out of the cluster, for good.
func (r *Router) RemoveMember(id uint64) *tree.Error {
	return r.changeMembers(tree.OpMemberRemove, tree.Member{ID: id})
}

func (r *Router) changeMembers(op tree.Op, m tree.Member) *tree.Error {
	c := tree.MemberCommand(op, m)
	return r.shard.Do(&c).Err
}

// PeerStats is the raft traffic with the other members.
func (r *Router) PeerStats() tree.PeerStats { return tree.PeerStats{} }
