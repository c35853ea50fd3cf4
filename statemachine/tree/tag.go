package tree

// Tag says which state of a key an answer shows, and asks whether its client has that state
// already. An index stands for the state: what the key showed when the tree was at that index.
// A nil Tag doesn't ask, and is told nothing.
type Tag struct {
	Known Known // what the client has
	// At is an index at which the key showed what the answer shows; 0: it can't be told.
	At Index
	// Weak says that the answer may differ from others of the index: it may show times to live.
	Weak bool
	// Current says that the client has what there is. Then there is no answer, and At is the index
	// of what the client has.
	Current bool
}

// Known are the states of a key that a client has.
type Known struct {
	Any bool // whichever there is
	At  []Index
}

// IsCurrent reports whether the client has what there is now, in a tree at the index now in which
// the key has shown the same since the index changed: then there is no answer. The latest of
// several that it has is the one it is told.
func (t *Tag) IsCurrent(changed, now Index, weak bool) bool {
	if t == nil {
		return false
	}
	t.Current, t.Weak = false, weak
	for _, at := range t.Known.At {
		if changed <= at && at <= now && (!t.Current || at > t.At) {
			t.Current, t.At = true, at
		}
	}
	if t.Known.Any && !t.Current {
		t.Current, t.At = true, changed
		if changed > now {
			t.At = 0
		}
	}
	return t.Current
}

// Shows says which index the answer is of; 0: it can't be told.
func (t *Tag) Shows(at Index, weak bool) {
	if t != nil {
		t.At, t.Weak = at, weak
	}
}

// Asks reports whether the client has anything.
func (t *Tag) Asks() bool { return t != nil && (t.Known.Any || len(t.Known.At) > 0) }
