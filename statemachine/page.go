package statemachine

import (
	"slices"
	"strconv"
	"strings"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// PageOptions say how the states of the stores are found that a page is of.
type PageOptions struct {
	CutOptions
	// Fleeting says that an index doesn't tell what the tree is: then no page keeps its moment for
	// the next.
	Fleeting bool
}

// GetPage is Get for a read that isn't plain. The answer says what index it is of. The machines are that of the
// key's shard, or those of all data shards for the root; the read counts as one of machines[0].
func GetPage(machines []*Machine, dst []byte, q *tree.Query, o PageOptions, now func() int64) (out []byte, rest tree.Rest, err *tree.Error, fail error) {
	p := &page{machines: machines, query: *q, fleeting: o.Fleeting}
	done := false // everything has been read
	defer func() {
		if rest == nil {
			fail = firstError(fail, p.end(done))
			if done && fail == nil && hasRest(q, len(out)-len(dst)) {
				rest = &inMemory{}
			}
		}
		if err == nil && fail == nil {
			machines[0].got(true)
		} else {
			machines[0].got(false)
		}
	}()
	defer func() { machines[0].end.ifDamaged(fail) }()
	defer recoverFault(&fail)
	if err, fail := p.begin(&o.CutOptions); err != nil || fail != nil {
		return dst, nil, err, fail
	}
	n, err := tree.Find(reader{p.moments[0].pin.snap, q.Room}, q.Key)
	if err != nil {
		err.Index = p.query.Page.At
		return dst, nil, err, nil
	}
	if p.isCurrent(&n, q) {
		return dst, nil, nil, nil
	}
	clock := p.clock(0, now)
	n.Expires = clock.Shown(n.Expires)
	if !n.Dir {
		take(q.Room, printedLength(&n, q.Page.Base64)-len(n.Value)) // as in Get
		return p.query.AppendFile(dst, &n, clock.now), nil, nil, nil
	}
	take(q.Room, listingBuffer)
	if fail := p.open(now); fail != nil {
		return dst, nil, nil, fail
	}
	p.print, out = p.query.Listing(dst, &n, clock.now)
	if out, fail = p.enter(out); fail != nil {
		return out, nil, nil, fail
	}
	out, more, fail := p.next(out)
	if more {
		return out, p, nil, nil
	}
	done = fail == nil
	return out, nil, nil, fail
}

// page is a read that isn't plain, of a moment of each machine. It implements tree.Rest.
type page struct {
	mergedListing
	machines []*Machine
	query    tree.Query
	moments  []*moment
	fleeting bool
	done     bool // everything has been read
}

// begin finds the moments that the page is of.
func (p *page) begin(o *CutOptions) (*tree.Error, error) {
	at := p.query.Page.At
	if at != 0 && p.kept(at) {
		return nil, nil
	}
	pins, now, err := pinAll(p.machines, o)
	if err != nil {
		return nil, err
	}
	for _, pin := range pins {
		p.moments = append(p.moments, newMoment(pin, now))
	}
	p.query.Page.At = now
	if at != 0 && (at != now || p.fleeting) {
		return &tree.Error{
			Code:  tree.CodeEventIndexClosed,
			Cause: "the listing at index " + strconv.FormatUint(uint64(at), 10) + " can't be had any more: begin with its first page",
			Index: now,
		}, nil
	}
	return nil, nil
}

// isCurrent reports whether the client has the page of n already. A page says which index it is of, and
// one that was asked for by that never changes; otherwise it may be of any since the last change.
func (p *page) isCurrent(n *tree.Node, q *tree.Query) bool {
	at := p.query.Page.At
	changed := at
	if q.Page.At == 0 && q.Tag.Asks() {
		changed = n.Modified
		if n.Dir {
			changed = latestMark(p.machines, q)
		}
	}
	weak := n.Dir || n.Expires != 0
	if q.Tag.IsCurrent(changed, at, weak) {
		return true
	}
	q.Tag.Shows(at, weak)
	return false
}

// kept takes the moments of the index, if each machine has kept its own.
func (p *page) kept(at tree.Index) bool {
	for _, m := range p.machines {
		found := m.pins.moments.use(at)
		if found == nil {
			p.release(false)
			return false
		}
		p.moments = append(p.moments, found)
	}
	return true
}

// clock is that of the machine i now: the time may have stood still since the moment, and all that
// expires does so later.
func (p *page) clock(i int, now func() int64) shownClock {
	m := p.machines[i]
	return shownClock{Clock: m.Clock().Clock, now: m.dayTime(now)}
}

// open opens the stores at the first node of the page.
func (p *page) open(now func() int64) error {
	root := appendNodeKey(nil, p.query.Key)
	bounds := &pebble.IterOptions{LowerBound: root, UpperBound: appendBelow(nil, root)}
	for i, m := range p.machines {
		pin := p.moments[i].pin
		it, err := pin.snap.NewIter(bounds)
		if err != nil {
			return err
		}
		page := &p.query.Page
		l := &listing{h: pin.h, it: it, flusher: &m.flusher, clock: p.clock(i, now), room: room{of: p.query.Room, held: listingBuffer, base64: p.query.Page.Base64}, headsOnly: page.KeysOnly || page.Count}
		pin.h.users.Add(1) // released by the listing's end
		p.parts = append(p.parts, l)
		switch after, below := p.query.Behind(); {
		case after != "" && below:
			l.valid = it.SeekGE(append(appendNodeKey(nil, after), pathSeparator))
		case after != "":
			l.valid = it.SeekGE(appendBelow(nil, appendNodeKey(nil, after)))
		case p.query.Key != "/":
			l.valid = it.First() && it.Next() // the directory itself is first
		default:
			l.valid = it.First()
		}
	}
	return nil
}

// enter opens the directories, below the listed one, that the first node of the page is in.
func (p *page) enter(dst []byte) ([]byte, error) {
	if p.query.Page.After == "" {
		return dst, nil
	}
	for l := p.current(); l != nil; l = p.current() {
		first, err := l.node()
		switch {
		case err != nil:
			return dst, err
		case !p.query.Page.Hidden && tree.HiddenBelow(p.query.Key, first.Key):
			p.advance(true)
		default:
			return p.enterAbove(dst, l, strings.Clone(first.Key)), nil
		}
	}
	return dst, nil
}

// enterAbove opens the directories between the listed one and key, a node that l has.
func (p *page) enterAbove(dst []byte, l *listing, key string) []byte {
	store := reader{from: p.moments[slices.Index(p.parts, l)].pin.snap}
	p.print.At(l.clock.now)
	for i := len(strings.TrimSuffix(p.query.Key, "/")) + 1; ; i++ {
		next := strings.IndexByte(key[i:], '/')
		if next < 0 {
			return dst
		}
		i += next
		dir, _ := store.Get(key[:i])
		dir.Expires = l.clock.Shown(dir.Expires)
		dst = p.print.Enter(dst, &dir)
	}
}

// Next implements tree.Rest.
func (p *page) Next() (part []byte, more bool, err error) {
	part, more, err = p.mergedListing.Next()
	p.done = !more && err == nil
	return part, more, err
}

// Close implements tree.Rest.
func (p *page) Close() { _ = p.end(p.done) } // Next has reported any error

// end closes the stores. What has been read to its end is kept for the page that follows.
func (p *page) end(done bool) error {
	err := p.mergedListing.end()
	p.release(done && !p.fleeting && p.print != nil && p.print.Cut())
	return err
}

// release gives up the moments, or keeps them.
func (p *page) release(keep bool) {
	for i, m := range p.moments {
		if keep {
			p.machines[i].pins.moments.keep(m)
		}
		p.machines[i].pins.moments.release(m)
	}
	p.moments = nil
}
