package tree

// Index is v2's counter over the whole tree: every change has its own, later
// changes have larger ones. 0 means none.
type Index uint64

// Node is one key of the tree: a directory, or a file with a value.
type Node struct {
	Key      string
	Value    []byte // of a file; may be empty
	Dir      bool
	Expires  int64 // Unix nanoseconds; 0: permanent
	Modified Index
	Created  Index
	// Written is the index of the change that gave a file its value. A refresh keeps
	// it. A Store may leave it 0 for values that it keeps within the node.
	Written Index
}

// keepValue gives n the value of prev. A directory has none.
func (n *Node) keepValue(prev *Node) {
	if n.Dir {
		return
	}
	n.Value, n.Written = prev.Value, prev.Written
}

// TTL is the time to live that v2 prints at now (Unix nanoseconds): whole
// seconds, rounded up; negative once the node is overdue by a second or more.
func (n *Node) TTL(now int64) int64 {
	const second = 1e9
	left := n.Expires - now
	if left > 0 {
		return (left + second - 1) / second
	}
	return left / second
}
