package tree

import (
	"math"
	"strconv"
	"strings"
)

// Page asks for a listing in another form, or for a part of it; the zero value asks for v2's. Its
// nodes are in the order of a listing: depth first, siblings by the bytes of their names.
type Page struct {
	Limit    int    // how many nodes below the directory are shown at most; 0: all
	After    string // only nodes behind this key, which is below the directory; "": all
	At       Index  // the index that the page before was of; 0: now
	Depth    int    // how many levels are shown; 0: one, or all of a recursive listing
	KeysOnly bool   // no values
	Count    bool   // how many nodes there are, instead of the nodes
	Hidden   bool   // hidden nodes too
	Base64   bool   // values are shown as value64
}

// Plain reports whether q is for what v2's reads show, in whatever encoding.
func (q *Query) Plain() bool { return q.Page == Page{Base64: q.Page.Base64} }

// depth is how many levels below its key q shows.
func (q *Query) depth() int {
	switch {
	case q.Page.Depth != 0:
		return q.Page.Depth
	case q.Recursive:
		return math.MaxInt
	}
	return 1
}

// Deep reports whether q shows more than one level of a directory.
func (q *Query) Deep() bool { return q.depth() > 1 }

// Behind is the key that the page begins behind, and whether the nodes below that key
// are shown.
func (q *Query) Behind() (key string, below bool) {
	key = q.Page.After
	for key != "" && q.level(key) > q.depth() {
		key = Parent(key)
	}
	return key, q.level(key) < q.depth()
}

// level is how far below q.Key the node at key is: 1 for a child.
func (q *Query) level(key string) int {
	below := strings.TrimPrefix(key, q.Key)
	return 1 + strings.Count(strings.TrimPrefix(below, "/"), "/")
}

// AppendFile appends the answer to q, a read of the file n; now is in Unix nanoseconds.
func (q *Query) AppendFile(dst []byte, n *Node, now int64) []byte {
	dst = append(dst, getHead...)
	dst = appendNode(dst, n, now, q.valueForm())
	if q.Plain() {
		return append(dst, '}', '\n')
	}
	return q.Page.appendIndex(dst)
}

func (q *Query) valueForm() valueForm {
	switch {
	case q.Page.KeysOnly || q.Page.Count:
		return noValue
	case q.Page.Base64:
		return asBase64
	}
	return asText
}

// appendIndex ends the answer.
func (p *Page) appendIndex(dst []byte) []byte {
	dst = strconv.AppendUint(append(dst, `,"atIndex":`...), uint64(p.At), 10)
	return append(dst, '}', '\n')
}
