package tree

// ShardStatus is what a member knows of one raft group.
type ShardStatus struct {
	ID       uint64 // of the raft group
	Slot     int    // of a data shard
	Leader   uint64 // the leading member's id; 0: none known
	Term     uint64
	Applied  uint64   // the last raft entry that this member has applied
	Index    Index    // of the latest change; of the order shard, the last that was handed out
	Nodes    uint64   // files and directories, hidden ones among them
	Bytes    uint64   // of this member's store on disk
	Watchers uint64   // parked here
	Members  []uint64 // those with a vote, sorted
}

// ShardsStatus is what a member knows of all shards.
type ShardsStatus struct {
	Data   []ShardStatus // by slot
	Order  *ShardStatus  // nil: there is one data shard, and none is needed
	Closed Index         // what is closed here: all up to it is applied
}
