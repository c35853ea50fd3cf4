package actors

import "context"

// NewMemberID computes the id of a member that is added at a moment.
var NewMemberID = newMemberID

// LiftSteps lets a test stop LiftHostPin after any of its steps.
func (d *DataDir) LiftSteps(host string) []func() error { return d.liftSteps(host) }

// LogBegin is the first entry that the raft log still holds.
func (n *Node) LogBegin() (uint64, error) {
	return n.host.begin(orderShard)
}

// Voters are the voters of the only shard, as this member knows them.
func (n *Node) Voters() map[uint64]bool { return n.host.voters(orderShard) }

// Leader is the member that leads the only shard; 0: none known.
func (n *Node) Leader() uint64 { return n.host.Leader(orderShard).Member }

// DescribeEngine gives the engine's lines their families.
var DescribeEngine = describeEngine

// UseLogger sends the engine's messages somewhere.
var UseLogger = useLogger

// Hold asks the only shard's actor to hold its writes while leader leads.
func (n *Node) Hold(ctx context.Context, leader uint64) error {
	return n.parts[0].shard.Hold(ctx, leader)
}

// Learns reports whether the data directory is that of a member without a vote.
func Learns(path string) bool {
	id, err := readIdentity(path)
	return err != nil || id.Learning
}

// ShardLeaders are the members that lead the data shards, by slot; 0: none known.
func (n *Node) ShardLeaders() []uint64 {
	var list []uint64
	for _, p := range n.parts {
		list = append(list, n.host.Leader(p.id).Member)
	}
	return list
}

// WantedLeader is the voter that the shard of the slot belongs with.
var WantedLeader = wantedLeader

// ErrShards is the cause where members don't agree on how many shards there are.
var ErrShards = errShards

// EndWith is endWith; nil takes it back.
func EndWith(end func(error)) {
	if end == nil {
		engineEnd.Store(nil)
		return
	}
	endWith(end)
}
