package tree

import "bytes"

// Index is v2's counter of changes to the whole tree: each change has its own, and
// later changes have larger ones. 0 means none.
type Index uint64

// Node is one key of the tree: a directory, or a file with a value.
type Node struct {
	Key      string
	Value    []byte // only of a file; may be empty
	Dir      bool
	Expires  int64 // Unix nanoseconds; 0: permanent
	Modified Index // of the latest change
	Created  Index
	// Written is the index of the change that gave a file its value; a refresh
	// keeps it. A Store may leave it 0 if it stores the value inside the node, or put another number there.
	Written Index
	// Unread is about a value that a Store has left unread, which it may do if it is large: Value is nil then. Text is
	// the length of the JSON string that shows it.
	Unread struct{ Length, Text int }
}

// leave leaves n's value to the Store, unless it is short: that is copied, as it would keep the raft entry alive.
func (n *Node) leave() {
	if len(n.Value) > keptValue {
		n.Unread.Length, n.Unread.Text, n.Value = len(n.Value), textLen(n.Value), nil
	}
	n.Value = bytes.Clone(n.Value)
}

// Len is the length of n's value.
func (n *Node) Len() int { return len(n.Value) + n.Unread.Length }

// keepValue gives n the value of prev, unless n is a directory.
func (n *Node) keepValue(prev *Node) {
	if n.Dir {
		return
	}
	n.Value, n.Unread, n.Written = prev.Value, prev.Unread, prev.Written
}

// TTL returns the time to live that v2 prints at now (Unix nanoseconds), in whole
// seconds rounded up. It is negative once the node is overdue by a second or more.
func (n *Node) TTL(now int64) int64 {
	const second = 1e9
	left := n.Expires - now
	if left > 0 {
		return (left + second - 1) / second
	}
	return left / second
}
