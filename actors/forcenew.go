package actors

import (
	"copse/actors/cluster"
	"copse/actors/raft"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// ForceNew makes this member the only one of its cluster, as cluster.ForceNew says, and
// raises the tree's index by bump. It is called with the directory open and before NewMember.
func ForceNew(o MemberOptions, bump tree.Index) error {
	return cluster.ForceNew(cluster.Forced{
		Dir:     o.Dir,
		Members: o.Members,
		URLs:    o.Peer.Advertised,
		Open: func() (machines []*statemachine.Machine, err error) {
			for i := range Groups(o.Dir.Identity.Shards) {
				m, err := statemachine.New(machineOptions(o, nil, uint64(i)+orderShard))
				if err != nil {
					return machines, err
				}
				machines = append(machines, m)
			}
			return machines, nil
		},
		Bump: bump,
		Replay: func(machines []*statemachine.Machine, learning bool) (uint64, error) {
			host := o.Host
			host.LogExpected = o.Dir.Identity.Logged
			return raft.ReplayLogs(host, machines, learning)
		},
	})
}
