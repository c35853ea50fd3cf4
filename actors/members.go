package actors

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"copse/statemachine/tree"
)

// Cluster is what this member knows of the cluster.
func (r *Router) Cluster() *tree.Cluster {
	c := r.cluster
	members := r.node.machine.Membership()
	c.Members, c.Removed = members.Members, members.Removed
	leader := r.host.Leader(orderShard)
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

// RemoveMember takes a member out of the cluster, for good. It is refused where
// those who are left and answer would be no quorum.
func (r *Router) RemoveMember(id uint64) *tree.Error {
	if err := r.survives(id); err != nil {
		return err
	}
	return r.changeMembers(tree.OpMemberRemove, tree.Member{ID: id})
}

// survives makes sure that a quorum is left without the member. Those that never
// started have no vote.
func (r *Router) survives(without uint64) *tree.Error {
	ms := r.node.machine.Membership()
	if _, ok := ms.Member(without); !ok {
		return nil // the change itself says what is wrong
	}
	voters, alive := 0, 0
	answers := r.node.alive(context.Background(), ms.Members)
	for _, m := range ms.Members {
		if m.ID == without || m.Name == "" {
			continue
		}
		voters++
		if answers[m.ID] {
			alive++
		}
	}
	if alive < voters/2+1 {
		return &tree.Error{Code: tree.CodeQuorumLoss, Cause: fmt.Sprintf("%d of the %d members left answer", alive, voters), Index: r.node.machine.Index()}
	}
	return nil
}

func (r *Router) changeMembers(op tree.Op, m tree.Member) *tree.Error {
	c := tree.MemberCommand(op, m)
	return r.node.part(orderShard).actor.Do(&c).Err
}

// PeerStats is the raft traffic with the other members.
func (r *Router) PeerStats() tree.PeerStats { return r.node.link.Stats() }
