package statemachine

import (
	"bytes"
	"errors"
	"fmt"

	"copse/statemachine/mirror"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// Mirror returns the state of the mirror as far as this replica has applied the log; never nil. It may be called from any goroutine.
func (m *Machine) Mirror() *mirror.State { return m.shared.mirror.now.Load() }

// MirrorChanged receives a value after Mirror has changed, or may have. It has one reader.
func (m *Machine) MirrorChanged() <-chan struct{} { return m.shared.mirror.changed }

func loadMirror(from pebble.Reader) (*mirror.State, error) {
	rec, closer, err := from.Get(mirrorKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return &mirror.State{}, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := mirror.ReadState(rec)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return s, errors.Join(err, closer.Close())
}

// errMirrored is the cause of a write's refusal: it has to go to the source.
const errMirrored = "this cluster follows a source, which alone takes writes"

func (v *view) mirrorRefusal(why string) *tree.Error {
	return &tree.Error{Code: tree.CodeRaftInternal, Cause: why, Index: v.meta.last}
}

// setMirror replaces the mirror's state.
func (v *view) setMirror(change func(s *mirror.State)) {
	next := *v.shared.mirror
	change(&next)
	v.shared.mirror = &next
	v.must(v.batch.Set(mirrorKey, next.Append(nil), nil))
}

// changeMirror executes an OpMirror. What it refuses changes nothing; err stops the replica.
func (v *view) changeMirror(cmd *tree.Command, res *ApplyResult) (*tree.Error, error) {
	c, err := mirror.ReadChange(cmd.Value)
	if err != nil {
		return nil, err
	}
	s := v.shared.mirror
	if !s.On {
		return v.mirrorRefusal("this cluster is no mirror"), nil
	}
	switch c.Kind {
	case mirror.Follow:
		if s.Fill != 0 || c.From > v.meta.last {
			return v.mirrorRefusal("the mirror lacks what came before"), nil
		}
		v.follow(c, res)
	case mirror.Refresh:
		if s.Fill != 0 || c.Events[0].Index() > v.meta.last+1 {
			return v.mirrorRefusal("the mirror lacks what came before"), nil
		}
		v.refresh(&c.Events[0], res)
	case mirror.Fill:
		// What differs was found in the tree at From: another tree may lack what the parts leave alone.
		if !c.First && s.Fill != c.ID || c.From != v.meta.last || c.To < c.From {
			return v.mirrorRefusal("the mirror has come further, or begun to read anew"), nil
		}
		v.fillMirror(c, res)
	case mirror.Hold:
		v.setMirror(func(s *mirror.State) { s.Hold = c.ID })
	case mirror.Resume:
		if s.Hold != c.ID {
			return v.mirrorRefusal("the writes are not held, or for another promotion"), nil
		}
		v.setMirror(func(s *mirror.State) { s.Hold = 0 })
	case mirror.Promote:
		if s.Fill != 0 || s.Hold != c.ID || c.ID == 0 || c.From != v.meta.last || c.To < c.From {
			return v.mirrorRefusal("the mirror has come further, or resumed"), nil
		}
		v.promote(c, res)
	default:
		return v.mirrorRefusal("a cluster becomes a mirror when it is founded"), nil
	}
	return nil, nil
}

// beginMirror makes a cluster that is being founded a mirror. Nothing can be read before the
// first whole read.
func (v *view) beginMirror(begin string) error {
	c, err := mirror.ReadChange([]byte(begin))
	if err == nil && c.Kind == mirror.Begin {
		v.setMirror(func(s *mirror.State) { *s = mirror.State{On: true, Sources: c.Sources, Fill: 1} })
	}
	return err
}

// moved reports to the subscriber that the index may have moved without an event.
func moved(res *ApplyResult) {
	if res.Events == nil {
		res.Events = []tree.EncodedEvent{}
	}
}

func (v *view) sawTerm(term uint64) {
	if term > v.shared.mirror.Term {
		v.setMirror(func(s *mirror.State) { s.Term = term })
	}
}

// follow takes over events of the source. Those up to the tree's index are known.
func (v *view) follow(c *mirror.Change, res *ApplyResult) {
	v.sawTerm(c.Term)
	for i := range c.Events {
		if e := &c.Events[i]; e.Index() > v.meta.last {
			v.meta.last = e.Index() - 1 // the running index: values replaced now are dropped at the event
			v.followEvent(e)
			v.emitMirrored(e, res)
		}
	}
	v.meta.last = max(v.meta.last, c.To)
	moved(res)
}

// emitMirrored records an event and passes it on to watchers.
func (v *view) emitMirrored(e *tree.Event, res *ApplyResult) {
	v.meta.last = e.Index()
	if e.Action == tree.ActionExpire {
		v.meta.stats.ExpireCount++
	}
	json := tree.AppendEvent(nil, e)
	v.record(e, len(json))
	res.Events = append(res.Events, e.Encoded(json))
}

// followEvent does to the tree what the event says. A node that is newer already, by a whole
// read, stays. e.Prev gets a form that the window can hold.
func (v *view) followEvent(e *tree.Event) {
	stored, exists := v.Get(e.Node.Key)
	if e.HasPrev {
		v.adoptPrev(e, &stored, exists)
	}
	if exists && stored.Modified > e.Index() || exists && e.Action.Removes() && stored.Created > e.Index() {
		return
	}
	if e.Action.Removes() {
		if exists {
			v.Remove(&stored)
		}
		return
	}
	if exists && stored.Modified == e.Index() {
		return
	}
	n := e.Node
	if n.Dir && exists && stored.Dir && e.Action != tree.ActionSet { // an updated directory keeps its index, as in v2
		n.Modified = stored.Modified
	}
	v.putMirrored(&n, e.Index())
}

// mirroredPrev numbers the values of nodes that an event replaced and the tree didn't have.
const mirroredPrev = foreignValue | 1<<62

// adoptPrev makes the event's node before refer to the value in the store, or stores it with
// the event, as the tree may lack a hidden node.
func (v *view) adoptPrev(e *tree.Event, stored *tree.Node, exists bool) {
	p := &e.Prev
	switch {
	case p.Dir || !hasLargeValue(p):
	case exists && bytes.Equal(stored.Value, p.Value):
		p.Written = stored.Written
	default:
		p.Written = mirroredPrev | e.Index()
		v.must(v.setValue(p.Written, p.Value))
		v.dropValue(e.Index(), p.Written, len(p.Value))
	}
}

// putMirrored puts a node of the source's, made or changed at the index, and the directories above it
// that are missing.
func (v *view) putMirrored(n *tree.Node, at tree.Index) {
	if dir := tree.Parent(n.Key); dir != "/" {
		above, ok := v.Get(dir)
		if ok && !above.Dir {
			v.Remove(&above)
		}
		if !ok || !above.Dir {
			v.putMirrored(&tree.Node{Key: dir, Dir: true, Modified: at, Created: at}, at)
		}
	}
	stored, exists := v.Get(n.Key)
	if exists && stored.Dir != n.Dir {
		v.Remove(&stored)
		exists = false
	}
	if !exists {
		v.Put(n, nil)
		return
	}
	v.Put(n, &stored)
}

// refresh gives a node another expiration, unless it has been changed since. In order, its index is the
// tree's next; but the source's index, with all events up to it, may have been seen before.
func (v *view) refresh(e *tree.Event, res *ApplyResult) {
	v.meta.last = max(v.meta.last, e.Index())
	moved(res)
	stored, exists := v.Get(e.Node.Key)
	if !exists || stored.Dir != e.Node.Dir || stored.Modified >= e.Index() ||
		stored.Dir && stored.Expires != e.Prev.Expires { // a directory keeps its index whatever happens
		return
	}
	n := stored
	n.Expires = e.Node.Expires
	if !n.Dir {
		n.Modified, n.Created = e.Index(), e.Node.Created // which a set makes anew
	}
	v.Put(&n, &stored)
}

// fillMirror takes over a part of a whole read. Nodes that have changed since are left alone. Large values get numbers of
// their own: a restored source may have given an index to another value than the one that the tree, or its window, has.
func (v *view) fillMirror(c *mirror.Change, res *ApplyResult) {
	v.sawTerm(c.Term)
	for _, key := range c.Removes {
		if n, ok := v.Get(key); ok && n.Modified <= c.To && n.Created <= c.To {
			v.Remove(&n)
		}
	}
	for i := range c.Puts {
		n := &c.Puts[i]
		stored, exists := v.Get(n.Key)
		switch {
		case exists && stored.Modified > n.Modified && !c.Hole: // behind a hole, a restored source has older nodes
			continue
		case exists && !n.Dir && !stored.Dir && bytes.Equal(stored.Value, n.Value):
			n.Written = stored.Written
		case hasLargeValue(n):
			n.Written = v.numberValue()
			v.must(v.setValue(n.Written, n.Value))
		}
		v.putMirrored(n, n.Modified)
	}
	if !c.Last {
		if c.First {
			v.setMirror(func(s *mirror.State) { s.Fill = c.ID })
		}
		return
	}
	v.meta.last = max(v.meta.last, c.To)
	if c.Hole {
		v.endRecord()
		v.emptyWindow()
		res.Hole = true
	}
	moved(res)
	v.setMirror(func(s *mirror.State) {
		s.Fill, s.Compared, s.ComparedAt, s.Corrected = 0, c.Now, c.To, c.Count
	})
}

// promote ends the mirror: the tree goes on from an index that the source has not given out.
func (v *view) promote(c *mirror.Change, res *ApplyResult) {
	v.setMirror(func(s *mirror.State) { s.On, s.Hold, s.Ended = false, 0, c.From })
	next := *v.shared.members
	next.TermBase = max(next.TermBase, c.Term, v.shared.mirror.Term)
	v.shared.members = &next
	v.must(v.batch.Set(membersKey, tree.AppendMembership(nil, &next), nil))
	v.meta.last = c.To
	moved(res)
}
