package tree

import (
	"hash/fnv"
	"strings"
)

// Once makes a command of a client safe to repeat: within a time, a second one with the same ID isn't
// carried out, but gets the answer of the first.
type Once struct {
	ID string
	// Sum is a hash of what the request asks for. Whatever has another, with the same ID, is refused.
	Sum uint64
}

// OnceRefused begins the cause if a request could be carried out without its ID.
const OnceRefused = "requestId can't be used: "

// onceIDLimit is how many bytes an ID has at most.
const onceIDLimit = 128

// Identify gives c the ID of the client's request, or returns false if that can't be one: it has 1 to
// 128 printable ASCII characters.
func (c *Command) Identify(id string) (ok bool) {
	unprintable := func(r rune) bool { return r < ' ' || r > '~' }
	if len(id) == 0 || len(id) > onceIDLimit || strings.ContainsFunc(id, unprintable) {
		return false
	}
	same := *c
	same.Once, same.Value = Once{}, nil
	if same.Expires != 0 {
		same.Expires -= same.Now - 1 // a repeated request comes at another time
	}
	same.Now = 1
	sum := fnv.New64a()
	_, _ = sum.Write(AppendCommand(nil, &same)) // a hash never fails
	_, _ = sum.Write(c.Value)
	c.Once = Once{ID: id, Sum: sum.Sum64()}
	return true
}

// identified reports whether the ID of c is such as a request may have, and c one that may have it.
func (c *Command) identified() bool {
	if len(c.Once.ID) == 0 || len(c.Once.ID) > onceIDLimit {
		return false
	}
	switch c.Op {
	case OpSet, OpCreate, OpCreateInOrder, OpUpdate, OpCompareAndSwap, OpDelete, OpCompareAndDelete, OpTxn, OpGiveStaged:
		return true
	default:
		return false
	}
}
