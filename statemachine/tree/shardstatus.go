package tree

// ShardStatus is what a member knows about one shard, which is one raft group.
type ShardStatus struct {
	ID       uint64   // of the raft group
	Slot     int      // only of a data shard
	Leader   uint64   // the leading member's id; 0: none known
	Term     uint64   // raft's
	Applied  uint64   // index of the last raft entry that this member has applied
	Index    Index    // of the latest change; in the order shard, the last one handed out
	Nodes    uint64   // files and directories, including hidden ones
	Bytes    uint64   // size of this member's store on disk
	Watchers uint64   // waiting on this member
	Members  []uint64 // ids of the voters, sorted
}

// ShardsStatus is what a member knows about all shards.
type ShardsStatus struct {
	Data   []ShardStatus // by slot
	Order  *ShardStatus  // nil with a single data shard, which needs no order shard
	Closed Index         // this member has applied all changes up to this index
}
