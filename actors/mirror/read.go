package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"copse/actors/source"
	"copse/statemachine/mirror"
	"copse/statemachine/tree"
)

var (
	errLagging = errors.New("the source's member that is asked for events lags behind the others")
	errBelow   = errors.New("the source has a lower index")
	errMoved   = errors.New("the mirror has moved on during the comparison")
)

// readAll compares the whole source with the tree, and makes the tree the same. With a hole, events
// between the two are not known; without, all of them are taken over first, so that what
// differs are refreshes by clients that don't come through the mirror.
func (f *Follower) readAll(ctx context.Context, hole bool) error {
	_, err := f.compare(ctx, hole)
	return err
}

// compare is readAll; it returns the position that the tree then has.
func (f *Follower) compare(ctx context.Context, hole bool) (at source.Position, err error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	had := f.o.Store.Index()
	theirs, at, err := f.readSource(ctx)
	if err != nil {
		return at, err
	}
	if !hole {
		if err := f.drainTo(ctx, at, had); err != nil {
			return at, err
		}
		if f.o.Store.Index() < at.Index {
			return at, errLagging
		}
	}
	if !hole {
		if err := f.nothingLate(ctx, at.Index); err != nil {
			return at, err
		}
	}
	parts, from, err := f.difference(theirs)
	switch {
	case err != nil:
	case !hole && from != at.Index:
		err = errMoved
	case at.Index < from: // an index is never given out again
		err = fmt.Errorf("%w: it is at index %d, and this cluster at %d. A new cluster takes some indexes itself: if the source is that young, write to it until it is past that, or take it over by copse import", errBelow, at.Index, from)
	}
	if err != nil {
		return at, err
	}
	id, count := number(), uint64(0)
	for i := range parts {
		p := &parts[i]
		p.Hole, p.First, p.Last = hole, i == 0, i == len(parts)-1
		count += uint64(len(p.Puts) + len(p.Removes))
		p.Count = count
		c := mirror.Change{Kind: mirror.Fill, ID: id, From: from, To: at.Index, Term: at.Term, Now: time.Now().UnixNano(), Part: *p}
		if !f.o.Leads() {
			return at, errNotLeader
		}
		if err := f.change(&c); err != nil {
			return at, err
		}
	}
	f.verified, f.compared, f.behind = max(f.verified, at.Index), time.Now(), time.Time{}
	if hole {
		f.last = nil // it is not among what the source tells now
	}
	f.o.Log.Info("compared with the whole source", "index", at.Index, "nodes", len(theirs), "corrected", count, "hole", hole)
	return at, nil
}

// readSource reads all that is visible, and the hidden nodes that the tree has, by their names. The
// position is that of the first read. Hidden nodes are from then or later.
func (f *Follower) readSource(ctx context.Context) ([]tree.Node, source.Position, error) {
	nodes, at, err := f.o.Source.Read(ctx, "/")
	if err == nil {
		err = f.check(at)
	}
	if err != nil {
		return nil, at, err
	}
	var hidden []string
	if _, err = f.o.Store.Walk(func(n *tree.Node) error {
		if !tree.HiddenBelow("/", n.Key) || len(hidden) > 0 && tree.Within(hidden[len(hidden)-1], n.Key) {
			return nil
		}
		hidden = append(hidden, n.Key)
		return nil
	}); err != nil {
		return nil, at, err
	}
	for _, key := range hidden {
		more, _, err := f.o.Source.Read(ctx, key)
		if err != nil {
			return nil, at, err
		}
		nodes = append(nodes, more...)
	}
	return nodes, at, nil
}

// nothingLate asks once more for events up to the index, in the gap where there seemed to be none: after
// the comparison nobody would.
func (f *Follower) nothingLate(ctx context.Context, to tree.Index) error {
	if f.verified >= to {
		return nil
	}
	e, _, err := f.next(ctx, f.verified+1)
	if err == nil && e != nil && e.Index() <= to {
		err = fmt.Errorf("%w: %d came late", source.ErrCleared, e.Index())
	}
	return err
}

// difference returns the changes that make the tree the source's, in parts that fit into the log, at least
// one. from is the tree's index.
func (f *Follower) difference(theirs []tree.Node) (parts []mirror.Part, from tree.Index, err error) {
	at := make(map[string]int, len(theirs))
	for i := range theirs {
		at[theirs[i].Key] = i
	}
	w := partWriter{parts: make([]mirror.Part, 1)}
	same := make([]bool, len(theirs))
	from, err = f.o.Store.Walk(func(n *tree.Node) error {
		i, ok := at[n.Key]
		if !ok {
			w.remove(n.Key)
			return nil
		}
		o := &theirs[i]
		same[i] = n.Dir == o.Dir && n.Expires == o.Expires && n.Modified == o.Modified && n.Created == o.Created && bytes.Equal(n.Value, o.Value)
		return nil
	})
	for i := range theirs {
		if !same[i] {
			w.put(&theirs[i])
		}
	}
	return w.parts, from, err
}

// partWriter gathers parts.
type partWriter struct {
	parts   []mirror.Part
	size    int
	removed string // the last one
}

func (w *partWriter) room(bytes int) *mirror.Part {
	if w.size > 0 && w.size+bytes > batchBytes {
		w.parts, w.size = append(w.parts, mirror.Part{}), 0
	}
	w.size += bytes + 32
	return &w.parts[len(w.parts)-1]
}

func (w *partWriter) remove(key string) {
	if w.removed != "" && strings.HasPrefix(key, w.removed+"/") {
		return // goes with the directory
	}
	w.removed = key
	p := w.room(len(key))
	p.Removes = append(p.Removes, key)
}

func (w *partWriter) put(n *tree.Node) {
	p := w.room(len(n.Key) + len(n.Value))
	p.Puts = append(p.Puts, *n)
}
