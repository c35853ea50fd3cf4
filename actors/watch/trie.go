package watch

import (
	"runtime"
	"slices"
	"strings"
	"time"

	"copse/statemachine/tree"
)

// spots holds the watchers of one shard in a trie of path components, so that
// an event finds those that it concerns by walking its key once. Watched keys
// need not exist in the tree, and most nodes of the tree have no spot.
type spots struct {
	root  spot
	count int // watchers in all
}

// spot is one key that is watched, or lies above one. It is kept small, since
// there may be one for each parked watcher.
type spot struct {
	exact     []*tree.Watch // see what happens to the key itself
	recursive []*tree.Watch // and below
	children  *children     // nil: none
	// exists: the key exists in the tree, as of the hub's position; it may be
	// true by mistake, never false by mistake. It counts only when watchers
	// are here.
	exists bool
}

func (s *spot) empty() bool {
	return len(s.exact) == 0 && len(s.recursive) == 0 && s.children == nil
}

// component cuts the name that follows position at out of key, and returns
// the position behind it.
func component(key string, at int) (name string, next int) {
	end := strings.IndexByte(key[at+1:], '/')
	if end < 0 {
		return key[at+1:], len(key)
	}
	return key[at+1 : at+1+end], at + 1 + end
}

// trim turns the root's key into the empty string, which makes it a prefix of
// all others that ends where their first slash begins.
func trim(key string) string {
	if key == "/" {
		return ""
	}
	return key
}

// add registers w. exists tells whether its key does; known is false if that
// is a guess.
func (t *spots) add(w *tree.Watch, exists, known bool) {
	key := trim(w.Key)
	s := &t.root
	for at := 0; at < len(key); {
		var name string
		name, at = component(key, at)
		s = s.grow(name, at == len(key))
	}
	// A guess is worth less than what the spot knows already.
	if known || len(s.exact)+len(s.recursive) == 0 {
		s.exists = exists
	}
	if w.Recursive {
		s.recursive = append(s.recursive, w)
	} else {
		s.exact = append(s.exact, w)
	}
	t.count++
}

// grow returns the child called name, made if need be.
func (s *spot) grow(name string, last bool) *spot {
	if c := s.children.get(name); c != nil {
		return c
	}
	if !last {
		// Watches of other keys may keep this name: don't let it hold on to the
		// long key that it was cut from.
		name = strings.Clone(name)
	}
	if s.children == nil {
		s.children = &children{}
	}
	c := &spot{}
	s.children.put(name, c)
	return c
}

// remove takes out the watches of gone that are here.
func (t *spots) remove(gone []*tree.Watch) {
	if len(gone) == 1 {
		w := gone[0]
		t.root.remove(trim(w.Key), 0, func(other *tree.Watch) bool { return other == w }, &t.count)
		return
	}
	// When a crowd leaves one key, its spot is searched once for all of them.
	left := make(map[*tree.Watch]struct{}, len(gone))
	for _, w := range gone {
		left[w] = struct{}{}
	}
	leaves := func(w *tree.Watch) bool {
		_, leaving := left[w]
		delete(left, w)
		return leaving
	}
	for _, w := range gone {
		if _, still := left[w]; still {
			t.root.remove(trim(w.Key), 0, leaves, &t.count)
			delete(left, w)
		}
	}
}

// remove takes the watchers that leave out of the spot of key, of which at
// bytes lead to s.
func (s *spot) remove(key string, at int, leaves func(*tree.Watch) bool, count *int) {
	if at == len(key) {
		before := len(s.exact) + len(s.recursive)
		s.exact = without(s.exact, leaves)
		s.recursive = without(s.recursive, leaves)
		*count -= before - len(s.exact) - len(s.recursive)
		return
	}
	name, next := component(key, at)
	if c := s.children.get(name); c != nil {
		c.remove(key, next, leaves, count)
		s.prune(name, c)
	}
}

// prune drops the child c called name if nothing is left of it.
func (s *spot) prune(name string, c *spot) {
	if c.empty() && s.children.drop(name) {
		s.children = nil
	}
}

// notify hands n to every watcher that it concerns, live, and takes out those
// that are served. It keeps the exists marks.
func (t *spots) notify(n *tree.Notice) {
	if !n.Refresh {
		t.root.notify(n, trim(n.Key), 0, strings.LastIndex(n.Key, "/_"), &t.count)
	}
}

// notify works on s, to which the first at bytes of key lead. hidden is where
// the last hidden name of the key begins: recursive watchers at or behind it
// see the event, those before don't.
func (s *spot) notify(n *tree.Notice, key string, at, hidden int, count *int) {
	if at == len(key) {
		s.exact = serve(s.exact, n, count)
		s.recursive = serve(s.recursive, n, count)
		s.exists = !n.Action.Removes()
		if n.Action.Removes() && n.Dir {
			s.notifyBelow(n, count)
		}
		return
	}
	if hidden < at {
		s.recursive = serve(s.recursive, n, count)
	}
	if !n.Action.Removes() {
		s.exists = true
	}
	name, next := component(key, at)
	if c := s.children.get(name); c != nil {
		c.notify(n, key, next, hidden, count)
		s.prune(name, c)
	}
}

// notifyBelow tells the watchers of everything that vanished with its
// directory s. v2 wakes only those whose own key was there.
func (s *spot) notifyBelow(n *tree.Notice, count *int) {
	s.children.each(func(name string, c *spot) {
		if c.exists {
			c.exact = serve(c.exact, n, count)
			c.recursive = serve(c.recursive, n, count)
			c.exists = false
		}
		c.notifyBelow(n, count)
		s.prune(name, c)
	})
}

// end ends every watcher and leaves the trie empty.
func (t *spots) end() {
	t.root.end()
	*t = spots{}
}

func (s *spot) end() {
	for _, w := range s.exact {
		w.Sink.End()
	}
	for _, w := range s.recursive {
		w.Sink.End()
	}
	s.children.each(func(_ string, c *spot) { c.end() })
}

// Telling a crowd keeps a processor busy for some 10 microseconds a watcher.
// The answer to the write that set it off has a head start, which costs the
// crowd a tenth at most, and others get a turn after each part of the crowd.
const (
	crowd     = 1000
	crowdPart = 250
	headStart = 2 * time.Millisecond
)

// serve delivers n to those of watchers that wait for its index, and returns
// those that stay: streams, and the ones that wait for a later index.
func serve(watchers []*tree.Watch, n *tree.Notice, count *int) []*tree.Watch {
	before := len(watchers)
	if before >= crowd && slices.ContainsFunc(watchers, func(w *tree.Watch) bool { return n.Index >= w.Since }) {
		time.Sleep(headStart)
	}
	served := 0
	watchers = without(watchers, func(w *tree.Watch) bool {
		if n.Index < w.Since {
			return false
		}
		w.Sink.Deliver(n)
		if served++; served%crowdPart == 0 {
			runtime.Gosched()
		}
		return !w.Stream
	})
	*count -= before - len(watchers)
	return watchers
}

// without calls leaves once for each watcher, takes out those for which it is
// true, and gives memory back after a crowd has gone.
func without(watchers []*tree.Watch, leaves func(*tree.Watch) bool) []*tree.Watch {
	watchers = slices.DeleteFunc(watchers, leaves)
	switch {
	case len(watchers) == 0:
		return nil
	case cap(watchers) >= 64 && len(watchers) < cap(watchers)/4:
		return slices.Clone(watchers)
	default:
		return watchers
	}
}
