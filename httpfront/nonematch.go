package httpfront

import (
	"bytes"
	"math"

	"copse/statemachine/tree"
)

// ifNoneMatch returns the index that a wait's If-None-Match stands for: the client has the
// state at that index. ok is false if it isn't one tag of that kind; then it means nothing.
func ifNoneMatch(header []byte) (at tree.Index, ok bool) {
	tag := bytes.TrimPrefix(bytes.TrimSpace(header), []byte("W/"))
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return 0, false
	}
	n, ok := parseDecimal(tag[1 : len(tag)-1])
	return tree.Index(n), ok && n < math.MaxUint64
}
