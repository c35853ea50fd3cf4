package txn

import (
	"fmt"

	"copse/statemachine/tree"
)

// What a transaction may have.
const (
	// Limit is how many operations there are at most, and how many compares.
	Limit = 128
	// CopiedNodes and CopiedBytes bound what all copies and renames of a transaction make: nodes,
	// and the bytes of their keys and values.
	CopiedNodes = 1000
	CopiedBytes = 1 << 20
	// EventBytes bounds the keys and values in the events of a transaction. A single write may
	// have a value of 10 MiB in place of another.
	EventBytes = 32 << 20
)

// Txn is a transaction.
type Txn struct {
	Compares []Compare
	// Ops are writes of a client, OpCopy and OpRename. Those two copy Key to PrevValue, where nothing
	// may be but, if Recursive is set, a file. All have the same Now.
	Ops []tree.Command
}

// Compare is a condition: there is a node at Key, and more, or there is none.
type Compare struct {
	Key      string
	Absent   bool       // there is no node; the rest doesn't count
	Value    []byte     // of the file, if HasValue is set
	Index    tree.Index // at which the node was modified; 0: any
	HasValue bool
}

// Keys calls visit for each key that a compare or an operation names, until visit returns false.
func (t *Txn) Keys(visit func(key string) bool) {
	for i := range t.Compares {
		if !visit(t.Compares[i].Key) {
			return
		}
	}
	for i := range t.Ops {
		op := &t.Ops[i]
		if !visit(op.Key) || copies(op.Op) && !visit(op.PrevValue) {
			return
		}
	}
}

// Grows reports whether an operation may make the tree larger.
func (t *Txn) Grows() bool {
	for i := range t.Ops {
		if t.Ops[i].Op.Grows() {
			return true
		}
	}
	return false
}

// CopiesAtMost is how many bytes of keys and values t may copy.
func (t *Txn) CopiesAtMost() int {
	for i := range t.Ops {
		if copies(t.Ops[i].Op) {
			return CopiedBytes
		}
	}
	return 0
}

// indexes is how many indexes t takes at most. A rename of n nodes takes n and one for the delete.
func (t *Txn) indexes() int {
	n := len(t.Ops)
	for i := range t.Ops {
		if copies(t.Ops[i].Op) {
			return n + CopiedNodes
		}
	}
	return n
}

func copies(op tree.Op) bool { return op == tree.OpCopy || op == tree.OpRename }

// holds returns the error if the condition isn't met; its cause says how.
func (c *Compare) holds(s tree.Getter) *tree.Error {
	n, missing := tree.Find(s, c.Key)
	why := ""
	switch {
	case c.Absent:
		if missing == nil {
			why = "exists"
		}
	case missing != nil:
		why = "doesn't exist"
	case c.HasValue && n.Dir:
		why = "is a directory"
	case c.HasValue && string(n.Value) != string(c.Value):
		why = fmt.Sprintf("[%s != %s]", c.Value, n.Value)
	case c.Index != 0 && c.Index != n.Modified:
		why = fmt.Sprintf("[%d != %d]", c.Index, n.Modified)
	}
	if why == "" {
		return nil
	}
	return &tree.Error{Code: tree.CodeCompareFailed, Cause: c.Key + " " + why}
}
