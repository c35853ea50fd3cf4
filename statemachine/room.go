package statemachine

import (
	"encoding/base64"
	"errors"
	"unicode/utf8"
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

// print makes sure that a value can be printed behind the rest of a part.
func (r *room) print(value, part []byte) error {
	if len(value) <= freeValue {
		return nil
	}
	return r.need(len(value) + len(part) + printedLength(value, r.base64))
}

// printedLength is about how long a value becomes in an answer.
func printedLength(value []byte, as64 bool) int {
	if as64 {
		return base64.StdEncoding.EncodedLen(len(value))
	}
	return jsonLength(value)
}

// jsonLength is about how long a value becomes in JSON.
func jsonLength(value []byte) int {
	if len(value) <= freeValue {
		return len(value)
	}
	const escape = len(`\u0000`)
	n, beyond := len(value), 0
	for _, c := range value {
		switch {
		case c >= utf8.RuneSelf:
			beyond++
		case c < ' ' || c == '<' || c == '>' || c == '&':
			n += escape - 1
		case c == '"' || c == '\\':
			n++
		}
	}
	if beyond > 0 && !utf8.Valid(value) {
		n += beyond * (escape - 1)
	}
	return n
}
