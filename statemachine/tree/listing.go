package tree

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Listing prints a directory and its content as the caller adds nodes in depth-first
// order. Each node is printed at once and only the open directories are kept, so the
// output can be sent in parts.
type Listing struct {
	query Query
	depth int
	now   int64
	open  []openDir // the path from the listed directory down
	shown int       // nodes below the listed directory
	last  string    // the last of them, if their number has a limit
	cut   bool
}

type openDir struct {
	node  Node
	shown bool // at least one child has been printed
}

// Listing starts the answer to q, a GET of dir, and appends its beginning to dst; now
// is in Unix nanoseconds. The directory is shown as of the index q.Page.At, unless q is plain.
func (q *Query) Listing(dst []byte, dir *Node, now int64) (*Listing, []byte) {
	l := &Listing{query: *q, depth: q.depth(), now: now}
	dst = l.enter(append(dst, getHead...), dir)
	l.query.Key = l.open[0].node.Key
	return l, dst
}

// At sets the time that the times to live of the nodes added next count from.
func (l *Listing) At(now int64) { l.now = now }

func (l *Listing) enter(dst []byte, dir *Node) []byte {
	l.open = append(l.open, openDir{node: *dir})
	l.open[len(l.open)-1].node.Key = strings.Clone(dir.Key)
	return appendNodeHead(dst, dir, l.now, noValue)
}

// Enter opens a directory below the listed one of which only a part is on the page, in front
// of the nodes of that part.
func (l *Listing) Enter(dst []byte, dir *Node) []byte {
	if l.query.Page.Count {
		return dst
	}
	return l.enter(l.next(dst), dir)
}

// Add prints n, which must follow all earlier nodes in depth-first order. It keeps
// no reference to n, and reports whether to add the nodes below n too.
func (l *Listing) Add(dst []byte, n *Node) (out []byte, below bool) {
	for !Within(l.open[len(l.open)-1].node.Key, n.Key) {
		dst = l.leave(dst)
	}
	page := &l.query.Page
	if !page.Hidden && HiddenBelow(l.open[len(l.open)-1].node.Key, n.Key) {
		return dst, false
	}
	if page.Limit != 0 {
		// JSON can't carry a key that isn't UTF-8, and so can't ask for what is behind it.
		if l.shown >= page.Limit && utf8.ValidString(l.last) {
			l.cut = true
			return dst, false
		}
		l.last = strings.Clone(n.Key)
	}
	l.shown++
	if page.Count {
		return dst, n.Dir && l.query.level(n.Key) < l.depth
	}
	dst = l.next(dst)
	if n.Dir && len(l.open) < l.depth {
		return l.enter(dst, n), true
	}
	return appendNode(dst, n, l.now, l.query.valueForm()), false
}

// Cut reports whether the page is full and there are more nodes.
func (l *Listing) Cut() bool { return l.cut }

// next begins the next child of the innermost open directory.
func (l *Listing) next(dst []byte) []byte {
	top := &l.open[len(l.open)-1]
	if top.shown {
		return append(dst, ',')
	}
	top.shown = true
	return append(dst, `,"nodes":[`...)
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
	return l.appendPage(dst)
}

// appendPage ends the answer with what v2's doesn't have.
func (l *Listing) appendPage(dst []byte) []byte {
	if l.query.Plain() {
		return append(dst, '}', '\n')
	}
	if l.query.Page.Count {
		dst = strconv.AppendInt(append(dst, `,"count":`...), int64(l.shown), 10)
	}
	if l.cut {
		dst = AppendString(append(dst, `,"after":`...), l.last)
	}
	return l.query.Page.appendIndex(dst)
}
