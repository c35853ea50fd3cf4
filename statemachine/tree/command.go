package tree

// Op is what a command asks for.
type Op uint8

// The operations. Zero is invalid.
const (
	OpSet Op = iota + 1
	OpCreate
	OpCreateInOrder // Key is the directory; the new index names the child
	OpUpdate
	OpCompareAndSwap
	OpDelete
	OpCompareAndDelete
	OpExpire // removes what is due at Now, earliest first, Limit nodes at most
	// OpFound founds a cluster: Value's members become its first, and the
	// tree's last index PrevIndex; it has Limit data shards, 0 being one. Where
	// there are members it does nothing.
	OpFound

	// The others that change the membership. Value holds the one member that
	// they are about, of whom only the fields named here count.
	OpMemberAdd     // ID, PeerURLs, of a new member
	OpMemberUpdate  // PeerURLs, of the member ID
	OpMemberRemove  // ID
	OpMemberPublish // Name and ClientURLs: the member ID has started
	// OpMemberReplaceAll makes Value's members the only ones. It is for a tree
	// that has reached PrevIndex; a replica that hasn't lacks what was there
	// before, and can't go on.
	OpMemberReplaceAll

	OpAsk   // the order shard: hand out indexes; see AskCommand
	OpClose // a data shard of several: settle all up to PrevIndex; see CloseCommand

	opEnd
)

// Membership reports whether op changes the membership rather than the tree:
// ApplyMembership carries it out, it takes no index and leaves no event.
func (op Op) Membership() bool { return op >= OpFound && op <= OpMemberReplaceAll }

// Grows reports whether the operation may make the tree larger.
func (op Op) Grows() bool {
	switch op {
	case OpSet, OpCreate, OpCreateInOrder, OpUpdate, OpCompareAndSwap:
		return true
	default:
		return false
	}
}

// Command is one wish to change the tree: the one thing that is proposed.
// Fields that an operation doesn't name are ignored by it.
type Command struct {
	Op        Op
	Dir       bool // set, create: make a directory; delete: allow an empty one
	Recursive bool // delete
	Refresh   bool // set, update, compareAndSwap: keep the value
	Key       string
	Value     []byte
	// PrevValue and PrevIndex are conditions of compareAndSwap and
	// compareAndDelete; empty and 0 mean not asked for.
	PrevValue string
	PrevIndex Index
	// Expires is when the node shall go, Unix nanoseconds; 0: never.
	Expires int64
	// Now is the clock of the member that took the command in, Unix
	// nanoseconds: the ttl fields of the answer count from it, and OpExpire
	// removes up to it.
	Now   int64
	Limit int // OpExpire, OpFound
}
