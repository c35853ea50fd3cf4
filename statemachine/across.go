package statemachine

import (
	"bytes"
	"slices"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// across is a listing of the root whose nodes are spread over several machines; it
// implements tree.Rest. All of a top-level name is in one of them, so the parts are
// merged by their top-level names.
type across struct {
	parts []*listing
	at    *listing // the part that goes on; nil: the one with the least name does
	print *tree.Listing
	text  []byte // what Next returned last
}

// GetAcross appends the listing of the root, which is spread over all machines, to
// dst, as Get does; of q only Recursive counts. What is shown of each machine is of
// one moment. It is counted where the first machine's reads are.
func GetAcross(machines []*Machine, dst []byte, q *tree.Query, now int64) (out []byte, rest tree.Rest, fail error) {
	a := &across{}
	more := false
	defer func() {
		if !more {
			fail = firstError(fail, a.end())
		}
		if fail == nil {
			machines[0].gets.success.Add(1)
		} else {
			machines[0].gets.fail.Add(1)
		}
	}()
	for _, m := range machines {
		l, err := m.listRoot()
		if err != nil {
			return dst, nil, err
		}
		a.parts = append(a.parts, l)
	}
	a.print, out = tree.NewListing(dst, &tree.Node{Key: "/", Dir: true}, q.Recursive, now)
	if out, more, fail = a.next(out); more {
		return out, a, nil
	}
	return out, nil, fail
}

// listRoot begins to read what the machine has of the root's listing.
func (m *Machine) listRoot() (*listing, error) {
	h, err := m.acquire()
	if err != nil {
		return nil, err
	}
	it, err := h.db.NewIter(&pebble.IterOptions{LowerBound: []byte{nodePrefix}, UpperBound: []byte{nodePrefix + 1}})
	if err != nil {
		h.release()
		return nil, err
	}
	return &listing{h: h, it: it, valid: it.First(), lists: m.lists, tidy: &m.tidy}, nil
}

// Size implements tree.Rest.
func (*across) Size() int { return -1 }

// Next implements tree.Rest.
func (a *across) Next() (part []byte, more bool, err error) {
	a.text, more, err = a.next(slices.Grow(a.text[:0], listingBuffer))
	return a.text, more, err
}

// next appends the next part to dst.
func (a *across) next(dst []byte) (out []byte, more bool, err error) {
	limit := len(dst) + listingPart
	for l := a.nearest(); l != nil; l = a.nearest() {
		if len(dst) > limit {
			return dst, true, nil
		}
		n, err := l.node()
		if err != nil {
			return dst, false, err
		}
		below := false
		dst, below = a.print.Add(dst, &n)
		l.advance(n.Dir && !below)
		if !l.valid || topLevel(l.it.Key()) {
			a.at = nil
		}
	}
	for _, l := range a.parts {
		if err := l.it.Error(); err != nil {
			return dst, false, err
		}
	}
	return a.print.End(dst), false, nil
}

// nearest is the part that has the next node; nil if there is none.
func (a *across) nearest() *listing {
	if a.at == nil {
		for _, l := range a.parts {
			if l.valid && (a.at == nil || bytes.Compare(l.it.Key(), a.at.it.Key()) < 0) {
				a.at = l
			}
		}
	}
	return a.at
}

// topLevel reports whether the node at storeKey is a child of the root.
func topLevel(storeKey []byte) bool {
	return bytes.LastIndexByte(storeKey, pathSeparator) == 1
}

func (a *across) end() (err error) {
	for _, l := range a.parts {
		err = firstError(err, l.end())
		l.h.release()
	}
	return err
}

// Close implements tree.Rest.
func (a *across) Close() { _ = a.end() } // an error has come out of Next already
