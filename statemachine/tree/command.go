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
	OpFound  // founds a fresh tree: its last index becomes PrevIndex
)

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
	Limit int // OpExpire
}
