package actors

import "copse/actors/datadir"

// LogBegin returns the index of the first entry that the raft log still holds.
func (n *Member) LogBegin() (uint64, error) {
	return n.host.FirstEntry(orderShard)
}

// Voters returns the voters of the only shard, as this member knows them.
func (n *Member) Voters() map[uint64]bool { return n.host.Voters(orderShard) }

// Leader returns the leader of the only shard; 0: none known.
func (n *Member) Leader() uint64 { return n.host.Leader(orderShard).Member }

// Learns reports whether the data directory belongs to a member without a vote.
func Learns(path string) bool {
	id, err := datadir.Read(path)
	return err != nil || id.Learning
}

// ShardLeaders returns the leaders of the data shards, by slot; 0: none known.
func (n *Member) ShardLeaders() []uint64 {
	var list []uint64
	for _, p := range n.parts {
		list = append(list, n.host.Leader(p.id).Member)
	}
	return list
}

// TransferAll is TransferLeadership for a member that keeps running.
func (n *Member) TransferAll() (planned bool) { return n.transferAll() }

// Timed reports whether all data shards know what time it is.
func (n *Member) Timed() bool {
	for _, m := range n.dataMachines() {
		if !m.Clock().Known() {
			return false
		}
	}
	return true
}

// ExecShards is for tests that can't have so many cores.
var ExecShards = execShards
