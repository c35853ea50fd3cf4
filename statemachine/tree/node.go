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
