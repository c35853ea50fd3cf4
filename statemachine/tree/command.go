package tree

// Op is a command's operation.
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
	OpExpire // removes the nodes due at Now, earliest first, at most Limit of them
	// OpFound founds a cluster with Value's members and Limit data shards (0 means
	// one), and makes PrevIndex the tree's last index. With a PrevValue, a change of package
	// mirror, it begins as a mirror. If the cluster has members already, it does nothing.
	OpFound

	// The other changes of the membership. Value holds the one member concerned;
	// only the fields named here count.
	OpMemberAdd     // ID and PeerURLs of a new member
	OpMemberUpdate  // the new PeerURLs of the member ID
	OpMemberRemove  // ID
	OpMemberPublish // Name and ClientURLs: the member ID has started
	// OpMemberReplaceAll makes Value's members the only ones. It applies to a tree
	// that has reached PrevIndex; a replica that hasn't reached it lacks earlier
	// changes and can't continue.
	OpMemberReplaceAll

	OpAsk   // asks the order shard for indexes; see AskCommand
	OpClose // settles a data shard's indexes up to PrevIndex; see CloseCommand

	OpAuth // changes users and roles; Value is a change of package auth, which carries it out

	OpMirror // changes a mirror of another cluster; Value is a change of package mirror

	// OpTxn carries out several commands, or none; Value is a transaction of package txn, which takes
	// at most Limit indexes. Key is one of its keys.
	OpTxn
	// OpCopy and OpRename are part of transactions: package txn makes other commands of them.
	OpCopy
	OpRename

	// OpStage brings a part of a large value, Value, into the store, before the command that gives it to a node. It
	// takes no index and produces no event. PrevIndex is the number of the value that it continues; 0: it begins one of
	// Limit bytes, whose number is the outcome. OpGiveStaged carries out the command in Value with the staged value PrevIndex. See
	// stage.go.
	OpStage
	OpGiveStaged

	opEnd
)

// Membership reports whether op changes the membership rather than the tree:
// ApplyMembership carries it out; it takes no index and produces no event.
func (op Op) Membership() bool { return op >= OpFound && op <= OpMemberReplaceAll }

// Grows reports whether the operation may make the tree larger, so that it is refused while
// the disk has too little space. Users, roles and members are bounded, and must be kept out or
// replaced at such times too.
func (op Op) Grows() bool {
	switch op {
	case OpSet, OpCreate, OpCreateInOrder, OpUpdate, OpCompareAndSwap, OpCopy, OpRename, OpStage:
		return true
	default:
		return false
	}
}

// Command is one requested change of the tree or the membership. An operation ignores
// the fields that don't concern it.
type Command struct {
	Op        Op
	Dir       bool // set, create: make a directory; delete: allow an empty one
	Recursive bool // delete
	Refresh   bool // set, update, compareAndSwap: keep the value
	Key       string
	Value     []byte
	// PrevValue and PrevIndex are the conditions of compareAndSwap and
	// compareAndDelete; empty and 0 mean no condition. Other operations give
	// PrevIndex a meaning of their own.
	PrevValue string
	PrevIndex Index
	// Expires is when the node expires, in Unix nanoseconds; 0: never.
	Expires int64
	// Now is the clock of the member that received the command, in Unix
	// nanoseconds: the ttl fields of the answer count from it, and OpExpire
	// removes nodes due by then.
	Now   int64
	Limit int // OpExpire, OpFound, OpTxn, OpStage
	// Once, if it has an ID, makes the request of a client safe to repeat.
	Once Once
	// Asked is how the client has asked, for a mirror that passes the command on. It is never
	// logged or proposed.
	Asked struct {
		Authorization string // the header
		Base64        bool   // the answer is to have value64 in place of each value
	}
}
