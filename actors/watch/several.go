package watch

import "copse/statemachine/tree"

// addSeveral notes a watch of several keys, which stands in a branch for each.
func (t *watchTrie) addSeveral(w *tree.Watch) {
	if _, known := t.several[w]; known {
		return
	}
	if t.several == nil {
		t.several = map[*tree.Watch]tree.Index{}
	}
	t.several[w] = 0
	t.extra += len(*w.Also)
}

// removeSeveral forgets w, if it has several keys and is here.
func (t *watchTrie) removeSeveral(w *tree.Watch) {
	if _, known := t.several[w]; known {
		delete(t.several, w)
		t.extra -= len(*w.Also)
	}
}

// once reports whether w is still to be given n, which several of its keys may lead to. One
// that doesn't stream leaves all its branches when everybody has been told of n.
func (t *watchTrie) once(w *tree.Watch, n *tree.EncodedEvent) bool {
	if t.several[w] == n.Index {
		return false
	}
	t.several[w] = n.Index
	if !w.Stream {
		t.through = append(t.through, w)
	}
	return true
}
