package statemachine

import (
	"encoding/base64"
	"errors"

	"copse/statemachine/tree"
)

// What a read takes in memory until its client has the answer is counted by whoever asks
// (tree.Query.Room), before it is taken. Small values aren't worth that.

// freeValue is the size up to which a value is read without asking. The cache of nodes has
// none that is larger.
const freeValue = nodeCacheRecord

var errNoRoom = errors.New("etcdserver: too many requests: those under way hold as much memory as they may")

// answerRoom is a tree.Query's Room; nil: there is always room.
type answerRoom interface{ Take(bytes int) bool }

// noRoom has room for small values only.
type noRoom struct{}

func (noRoom) Take(int) bool { return false }

// hasRoom reports whether so many bytes may be held for an answer.
func hasRoom(in answerRoom, bytes int) bool {
	return bytes <= freeValue || in == nil || in.Take(bytes)
}

// take is hasRoom, and panics with a fault if not.
func take(in answerRoom, bytes int) {
	if !hasRoom(in, bytes) {
		panic(fault{errNoRoom})
	}
}

// room counts the memory for the parts of a listing, which come one after the other.
type room struct {
	of     answerRoom
	held   int
	base64 bool // the answer shows values as value64
}

// need makes sure that so many bytes are held, or nearly: what is free is asked for with the next.
func (r *room) need(bytes int) error {
	more := bytes - r.held
	if more <= freeValue {
		return nil
	}
	if !hasRoom(r.of, more) {
		return errNoRoom
	}
	r.held = bytes
	return nil
}

// print makes sure that the value of n can be printed behind the rest of a part.
func (r *room) print(n *tree.Node, part []byte) error {
	if len(n.Value) <= freeValue {
		return nil
	}
	return r.need(len(n.Value) + len(part) + printedLength(n, r.base64))
}

// printedLength is how long n's value becomes in an answer; small values count as they are.
func printedLength(n *tree.Node, as64 bool) int {
	if as64 {
		return base64.StdEncoding.EncodedLen(len(n.Value))
	}
	if len(n.Value) <= freeValue {
		return len(n.Value)
	}
	return n.TextLen()
}
