package statemachine

import (
	"bytes"
	"slices"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// mergedListing is a listing of the root when its nodes are spread over several machines.
// It implements tree.Rest. Everything below a top-level name is in one machine, so the
// listings of the machines are merged by top-level name.
type mergedListing struct {
	parts []*listing
	at    *listing // the part being read; nil: the one with the smallest name is next
	print *tree.Listing
	text  []byte // the part that Next returned last
}

// GetAcross appends the listing of the root, which is spread over all machines, to dst,
// like Get; it uses only q.Recursive and q.Tag. Each machine's part is consistent
// in itself, but the parts may differ in time. All changes up to the index closed are in the machines. The read counts as one of machines[0].
func GetAcross(machines []*Machine, dst []byte, q *tree.Query, closed tree.Index, now int64) (out []byte, rest tree.Rest, fail error) {
	a := &mergedListing{}
	more := false
	defer func() {
		if !more {
			fail = firstError(fail, a.end())
		}
		if fail == nil {
			machines[0].got(true)
		} else {
			machines[0].got(false)
		}
	}()
	if q.Tag.Asks() && q.Tag.IsCurrent(latestMark(machines, q), closed, true) {
		return dst, nil, nil
	}
	if !hasRoom(q.Room, listingBuffer) {
		return dst, nil, errNoRoom
	}
	shown := tree.Index(0)
	for _, m := range machines {
		l, at, err := m.openListing(listName{"/", q.Recursive}, &pebble.IterOptions{LowerBound: []byte{nodePrefix}, UpperBound: []byte{nodePrefix + 1}})
		if err != nil {
			return dst, nil, err
		}
		shown = max(shown, at)
		l.room = room{of: q.Room, held: listingBuffer, base64: q.Page.Base64}
		l.clock.now = m.dayTime(func() int64 { return now })
		a.parts = append(a.parts, l)
	}
	if shown > closed { // a part may lack changes below
		shown = 0
	}
	q.Tag.Shows(shown, true)
	a.print, out = q.Listing(dst, &tree.Node{Key: "/", Dir: true}, now)
	if out, more, fail = a.next(out); more {
		return out, a, nil
	}
	if fail == nil && hasRest(q, len(out)-len(dst)) {
		rest = &inMemory{}
	}
	return out, rest, fail
}

// latestMark is the latest of the marks that the machines have of a listing, which is in several if it is the root's.
func latestMark(machines []*Machine, q *tree.Query) (latest tree.Index) {
	for _, m := range machines {
		latest = max(latest, m.caches.marks.get(q.Key, q.Deep()))
	}
	return latest
}

// Size implements tree.Rest.
func (*mergedListing) Size() int { return -1 }

// Next implements tree.Rest.
func (a *mergedListing) Next() (part []byte, more bool, err error) {
	a.text, more, err = a.next(slices.Grow(a.text[:0], listingBuffer))
	return a.text, more, err
}

// countedNodes is how many nodes make a part even if they are only counted.
const countedNodes = 100_000

// next appends the next part to dst.
func (a *mergedListing) next(dst []byte) (out []byte, more bool, err error) {
	limit := len(dst) + listingPart
	left := countedNodes
	for l := a.current(); l != nil && !a.print.Cut(); l = a.current() {
		if len(dst) > limit || left == 0 {
			return dst, true, nil
		}
		left--
		n, err := l.node()
		if err != nil {
			l.h.end.ifDamaged(err)
			return dst, false, err
		}
		if err := l.room.print(&n, dst); err != nil {
			return dst, false, err
		}
		below := false
		a.print.At(l.clock.now) // each shard has its own
		dst, below = a.print.Add(dst, &n)
		a.advance(n.Dir && !below)
	}
	for _, l := range a.parts {
		if err := l.it.Error(); err != nil {
			l.h.end.ifDamaged(err)
			return dst, false, err
		}
	}
	return a.print.End(dst), false, nil
}

// current returns the part that has the next node, or nil if all are at their ends.
func (a *mergedListing) current() *listing {
	if a.at == nil {
		for _, l := range a.parts {
			if l.valid && (a.at == nil || bytes.Compare(l.it.Key(), a.at.it.Key()) < 0) {
				a.at = l
			}
		}
	}
	return a.at
}

// advance moves the current part to its next node; with skip, to the next one outside the
// current subtree.
func (a *mergedListing) advance(skip bool) {
	l := a.current()
	l.advance(skip)
	if !l.valid || topLevel(l.it.Key()) {
		a.at = nil
	}
}

// topLevel reports whether the node at storeKey is a child of the root.
func topLevel(storeKey []byte) bool {
	return bytes.LastIndexByte(storeKey, pathSeparator) == 1
}

func (a *mergedListing) end() (err error) {
	for _, l := range a.parts {
		err = firstError(err, l.end())
	}
	return err
}

// Close implements tree.Rest.
func (a *mergedListing) Close() { _ = a.end() } // Next has reported any error
