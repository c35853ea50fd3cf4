package tree

import "encoding/binary"

// A large value is staged: it is brought into the store in parts, by commands of their own, and then given to its node
// by a last one. What all writes pass through is held up no longer than a part takes, however large the value is.

const (
	// stagePart is the length of all parts but the last, in bytes: a row of the store.
	stagePart = 256 << 10
	// stagedBytes is the length of the longest value that isn't staged: each part takes a round of raft.
	stagedBytes = 1 << 20
)

// Large reports whether c's value is worth being staged, and c a command that may have it staged. That of a create in
// order in the root may not, as its index decides which shard it belongs to.
func (c *Command) Large() bool { return len(c.Value) > stagedBytes && c.takesStaged() }

func (c *Command) takesStaged() bool {
	switch c.Op {
	case OpSet, OpCreate, OpCreateInOrder, OpUpdate, OpCompareAndSwap:
		return !c.Dir && !c.Refresh && !c.InRoot()
	default:
		return false
	}
}

// Part returns the command that stages the bytes of c's value from from on, and where the next one begins. number is
// what the command of the first part has been answered; 0 for that.
func (c *Command) Part(from int, number Index) (part *Command, next int) {
	next = min(from+stagePart, len(c.Value))
	part = &Command{Op: OpStage, Key: c.Key, Value: c.Value[from:next], PrevIndex: number}
	if number == 0 {
		part.Limit = len(c.Value)
	}
	return part, next
}

// WithStaged returns the command that carries out c with a staged value.
func (c *Command) WithStaged(number Index) *Command {
	inner := *c
	inner.Value, inner.Once = nil, Once{}
	return &Command{Op: OpGiveStaged, Key: c.Key, Value: AppendCommand(nil, &inner), PrevIndex: number, Once: c.Once}
}

// AppendStaged appends the outcome of the command that begins a value, which is the value's number.
func (n Index) AppendStaged(dst []byte) []byte { return binary.AppendUvarint(dst, uint64(n)) }

// Staged returns the number of the value that the command of r has begun.
func (r *Reply) Staged() Index {
	number, _ := binary.Uvarint(r.Outcome)
	return Index(number)
}

// Staged reports whether c is one of the two that versions of copse before 2026-12-01 don't know.
func (c *Command) Staged() bool { return c.Op == OpStage || c.Op == OpGiveStaged }

// wellStaged reports whether c, if it is one of those above, can be carried out.
func (c *Command) wellStaged() bool {
	switch c.Op {
	case OpStage:
		return len(c.Value) > 0 && len(c.Value) <= stagePart
	case OpGiveStaged:
		inner, ok := c.inner()
		return ok && c.PrevIndex != 0 && inner.Key == c.Key && len(inner.Value) == 0 && inner.Once.ID == "" && inner.takesStaged()
	default:
		return true
	}
}

// inner returns the command in an OpGiveStaged.
func (c *Command) inner() (inner Command, ok bool) {
	if len(c.Value) == 0 || c.Value[0] >= byte(OpGiveStaged) { // another such, or one that may be repeated
		return inner, false
	}
	d := NewDecoder(c.Value)
	readCommand(&d, &inner)
	return inner, !d.Failed() && d.Left() == 0
}

// unwrap turns an OpGiveStaged into the command in it, and returns the number of the value; 0 for any other command.
func (c *Command) unwrap() (number Index) {
	if c.Op != OpGiveStaged {
		return 0
	}
	number = c.PrevIndex
	inner, _ := c.inner()
	inner.Once = c.Once
	*c = inner
	return number
}
