package actors

import "copse/actors/datadir"

// NewMemberID computes the id of a member that is added at a moment.
var NewMemberID = newMemberID

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

// Learns reports whether the data directory is that of a member without a vote.
func Learns(path string) bool {
	id, err := datadir.Read(path)
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

// ErrShards is the cause where members don't agree on how many shards there are.
var ErrShards = errShards

// TransferAll is TransferLeadership of a member that stays.
func (n *Node) TransferAll() (planned bool) { return n.transferAll() }
