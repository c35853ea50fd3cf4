package actors

import (
	"copse/actors/cluster"
	"copse/actors/raft"
	"copse/statemachine/tree"
)

// Cluster returns what this member knows about the cluster.
func (r *Router) Cluster() *tree.Cluster {
	c := r.cluster
	members := r.member.machine.Membership()
	c.Members, c.Removed = members.Members, members.Removed
	leader := r.host.Leader(orderShard)
	c.Leader, c.LastLeader, c.LeaderSince = leader.Member, leader.Last, leader.Since
	return &c
}

// AddMember adds a member with these peer URLs to the cluster; it has to be started
// then.
func (r *Router) AddMember(peerURLs []string) (tree.Member, *tree.Error) {
	return r.admin().Add(peerURLs)
}

// UpdateMember gives a member other peer URLs.
func (r *Router) UpdateMember(id uint64, peerURLs []string) *tree.Error {
	return r.admin().Update(id, peerURLs)
}

// RemoveMember removes a member from the cluster, for good. It is refused if those that
// remain and answer are no quorum.
func (r *Router) RemoveMember(id uint64) *tree.Error { return r.admin().Remove(id) }

func (r *Router) admin() cluster.Admin {
	return cluster.Admin{List: r.member.machine.Membership, Index: r.member.machine.Index, Others: r.member.others(), Decide: r.decide}
}

// decide carries out a command that changes the list of members.
func (r *Router) decide(c *tree.Command) *tree.Error {
	if err := r.refusal(); err != nil {
		return err
	}
	return r.member.part(orderShard).actor.Do(c).Err
}

// PeerStats is the raft traffic with the other members.
func (r *Router) PeerStats() tree.PeerStats { return r.member.link.Stats() }

// raftGroups are the raft groups as package cluster wants them.
type raftGroups struct{ *raft.Host }

func (g raftGroups) Leader(shard uint64) uint64 { return g.Host.Leader(shard).Member }

func (g raftGroups) VoterSet(shard uint64) (cluster.VoterSet, error) {
	set, err := g.Host.VoterSet(shard)
	return cluster.VoterSet(set), err
}
