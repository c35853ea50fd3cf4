package watch

import (
	"runtime"
	"slices"
	"strings"

	"copse/statemachine/tree"
)

// watchTrie holds the watchers of one shard in a trie of path components, so that
// an event finds those it concerns by walking its key once. Watched keys need not
// exist in the tree, and most nodes of the tree have no branch here.
type watchTrie struct {
	root  branch
	count int // watchers in all branches
	// several has the watches of several keys, with the event that each was given last, and
	// extra is how many times too often they are counted.
	several map[*tree.Watch]tree.Index
	extra   int
	through []*tree.Watch // of several, they wait for no more
}

// branch is a key that is watched, or that lies above one that is. It is small,
// since there may be one for each parked watcher.
type branch struct {
	exact     []*tree.Watch // see changes of the key itself
	recursive []*tree.Watch // and of what is below
	children  *children     // nil: none
	// exists: the key exists in the tree, as of the hub's position. It may wrongly
	// be true, but never wrongly false. It matters only while the branch has watchers.
	exists bool
}

func (s *branch) empty() bool {
	return len(s.exact) == 0 && len(s.recursive) == 0 && s.children == nil
}

// component returns the name that follows position at in key, and the position
// after it.
func component(key string, at int) (name string, next int) {
	end := strings.IndexByte(key[at+1:], '/')
	if end < 0 {
		return key[at+1:], len(key)
	}
	return key[at+1 : at+1+end], at + 1 + end
}

// trim turns the root's key into the empty string, so that it is a prefix of every
// other key and ends where their first slash begins.
func trim(key string) string {
	if key == "/" {
		return ""
	}
	return key
}

// add registers w under one of its keys. exists says whether that exists; known is false if
// that is a guess.
func (t *watchTrie) add(w *tree.Watch, key string, exists, known bool) {
	if w.Also != nil {
		t.addSeveral(w)
	}
	key = trim(key)
	s := &t.root
	for at := 0; at < len(key); {
		var name string
		name, at = component(key, at)
		s = s.grow(name, at == len(key))
	}
	// What the branch knows already is better than a guess.
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

// grow returns the child called name, and creates it if there is none.
func (s *branch) grow(name string, last bool) *branch {
	if c := s.children.get(name); c != nil {
		return c
	}
	if !last {
		// This name may outlive the watch, for watches of other keys. Don't let it
		// keep the long key alive that it was cut from.
		name = strings.Clone(name)
	}
	if s.children == nil {
		s.children = &children{}
	}
	c := &branch{}
	s.children.put(name, c)
	return c
}

// remove takes out the watches of gone that are here.
func (t *watchTrie) remove(gone []*tree.Watch) {
	if len(gone) == 1 && gone[0].Also == nil {
		w := gone[0]
		t.root.remove(trim(w.Key), 0, func(other *tree.Watch) bool { return other == w }, &t.count)
		return
	}
	// When a crowd leaves one key, its branch is searched once for all of them.
	left := make(map[*tree.Watch]struct{}, len(gone))
	for _, w := range gone {
		left[w] = struct{}{}
	}
	leaves := func(w *tree.Watch) bool {
		_, leaving := left[w]
		if w.Also == nil {
			delete(left, w) // it is nowhere else
		}
		return leaving
	}
	searched := map[string]bool{} // watches of several keys may share them
	for _, w := range gone {
		if _, still := left[w]; still {
			for key := range w.Keys() {
				if !searched[key] {
					searched[key] = true
					t.root.remove(trim(key), 0, leaves, &t.count)
				}
			}
			delete(left, w)
			t.removeSeveral(w)
		}
	}
}

// remove takes the watchers that leave out of key's branch. The first at bytes of
// key lead to s.
func (s *branch) remove(key string, at int, leaves func(*tree.Watch) bool, count *int) {
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
func (s *branch) prune(name string, c *branch) {
	if c.empty() && s.children.drop(name) {
		s.children = nil
	}
}

// notify hands n to every watcher it concerns, takes out those that wait for no
// more, and updates the exists marks.
func (t *watchTrie) notify(n *tree.EncodedEvent) {
	if !n.Refresh {
		t.root.notify(n, trim(n.Key), 0, strings.LastIndex(n.Key, "/_"), t)
	}
	if len(t.through) > 0 {
		t.remove(t.through)
		t.through = nil
	}
}

// notify does so for s, to which the first at bytes of key lead. hidden is where
// the last hidden name in key begins: recursive watchers at or below that name see
// the event, those above don't.
func (s *branch) notify(n *tree.EncodedEvent, key string, at, hidden int, t *watchTrie) {
	if at == len(key) {
		s.exact = t.serve(s.exact, n)
		s.recursive = t.serve(s.recursive, n)
		s.exists = !n.Action.Removes()
		if n.Action.Removes() && n.Dir {
			s.notifyBelow(n, t)
		}
		return
	}
	if hidden < at {
		s.recursive = t.serve(s.recursive, n)
	}
	if !n.Action.Removes() {
		s.exists = true
	}
	name, next := component(key, at)
	if c := s.children.get(name); c != nil {
		c.notify(n, key, next, hidden, t)
		s.prune(name, c)
	}
}

// notifyBelow tells the watchers of everything that was removed with the directory
// s. v2 wakes only those whose own key existed.
func (s *branch) notifyBelow(n *tree.EncodedEvent, t *watchTrie) {
	s.children.each(func(name string, c *branch) {
		if c.exists {
			c.exact = t.serve(c.exact, n)
			c.recursive = t.serve(c.recursive, n)
			c.exists = false
		}
		c.notifyBelow(n, t)
		s.prune(name, c)
	})
}

// end ends every watcher and leaves the trie empty.
func (t *watchTrie) end() {
	t.root.end()
	for w := range t.several {
		w.Sink.End()
	}
	*t = watchTrie{}
}

func (s *branch) end() {
	for _, list := range [...][]*tree.Watch{s.exact, s.recursive} {
		for _, w := range list {
			if w.Also == nil {
				w.Sink.End()
			}
		}
	}
	s.children.each(func(_ string, c *branch) { c.end() })
}

// crowd is how many watchers of one key it takes for others to get a turn: between
// any crowdPart of them, and before the first (see headStart).
const (
	crowd     = 1000
	crowdPart = 250
)

// crowded reports whether n wakes a crowd.
func (t *watchTrie) crowded(n *tree.EncodedEvent) bool {
	if n.Refresh || t.count < crowd {
		return false
	}
	key, hidden := trim(n.Key), strings.LastIndex(n.Key, "/_")
	s, at := &t.root, 0
	for s != nil && at < len(key) {
		if hidden < at && wakes(s.recursive, n) {
			return true
		}
		var name string
		name, at = component(key, at)
		s = s.children.get(name)
	}
	return s != nil && s.crowded(n)
}

// crowded reports whether n, a change of the key of s, wakes a crowd there or below.
func (s *branch) crowded(n *tree.EncodedEvent) bool {
	if wakes(s.exact, n) || wakes(s.recursive, n) {
		return true
	}
	below := false
	if n.Action.Removes() && n.Dir {
		s.children.each(func(_ string, c *branch) { below = below || c.crowded(n) })
	}
	return below
}

func wakes(watchers []*tree.Watch, n *tree.EncodedEvent) bool {
	return len(watchers) >= crowd && slices.ContainsFunc(watchers, func(w *tree.Watch) bool { return n.Index >= w.Since })
}

// serve delivers n to those watchers that wait for its index, and returns those
// that stay: streams, and the ones that wait for a later index.
func (t *watchTrie) serve(watchers []*tree.Watch, n *tree.EncodedEvent) []*tree.Watch {
	before := len(watchers)
	served := 0
	watchers = without(watchers, func(w *tree.Watch) bool {
		if n.Index < w.Since || w.Also != nil && !t.once(w, n) {
			return false
		}
		if !n.Ready() { // it was left to the window, and is gone: who comes back gets the 401 that says so
			w.Sink.End()
			if w.Also != nil && w.Stream {
				t.through = append(t.through, w)
			}
			return w.Also == nil
		}
		deliver(w.Sink, n)
		if served++; served%crowdPart == 0 {
			runtime.Gosched()
		}
		return !w.Stream && w.Also == nil
	})
	t.count -= before - len(watchers)
	return watchers
}

// without calls leaves once for each watcher, takes out those for which it returns
// true, and frees memory when most have gone.
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
