package tree

import "strings"

// Listing prints a directory and its content as the caller adds nodes in depth-first
// order. Each node is printed at once and only the open directories are kept, so the
// output can be sent in parts.
type Listing struct {
	recursive bool
	now       int64
	open      []openDir // the path from the listed directory down
}

type openDir struct {
	node  Node
	shown bool // at least one child has been printed
}

// NewListing starts the answer to a GET of dir and appends its beginning to dst; now
// is in Unix nanoseconds.
func NewListing(dst []byte, dir *Node, recursive bool, now int64) (*Listing, []byte) {
	l := &Listing{recursive: recursive, now: now}
	dst = append(dst, getHead...)
	return l, l.enter(dst, dir)
}

// At sets the time that the times to live of the nodes added next count from.
func (l *Listing) At(now int64) { l.now = now }

func (l *Listing) enter(dst []byte, dir *Node) []byte {
	l.open = append(l.open, openDir{node: *dir})
	l.open[len(l.open)-1].node.Key = strings.Clone(dir.Key)
	return appendNodeHead(dst, dir, l.now, true)
}

// Add prints n, which must follow all earlier nodes in depth-first order. It keeps
// no reference to n, and reports whether to add the nodes below n too.
func (l *Listing) Add(dst []byte, n *Node) (out []byte, below bool) {
	for !Within(l.open[len(l.open)-1].node.Key, n.Key) {
		dst = l.leave(dst)
	}
	top := &l.open[len(l.open)-1]
	if HiddenBelow(top.node.Key, n.Key) {
		return dst, false
	}
	if top.shown {
		dst = append(dst, ',')
	} else {
		dst = append(dst, `,"nodes":[`...)
		top.shown = true
	}
	if n.Dir && l.recursive {
		return l.enter(dst, n), true
	}
	return appendNode(dst, n, l.now, true), false
}

func (l *Listing) leave(dst []byte) []byte {
	top := &l.open[len(l.open)-1]
	if top.shown {
		dst = append(dst, ']')
	}
	l.open = l.open[:len(l.open)-1]
	return appendNodeTail(dst, &top.node)
}

// End closes the open directories and the answer.
func (l *Listing) End(dst []byte) []byte {
	for len(l.open) > 0 {
		dst = l.leave(dst)
	}
	return append(dst, '}', '\n')
}
