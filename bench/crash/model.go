package crash

import (
	"fmt"
	"path"
	"sort"

	"copse/bench/v2api"
	"copse/bench/verdict"
)

// model is the tree that results from the events so far. It knows only the v2
// rules that the load uses.
type model struct {
	nodes map[string]v2api.Node
	// fresh has the keys that a refresh of unknown outcome may have touched:
	// watchers don't see a refresh, so only the tree shows it.
	fresh map[string]bool
	// used has the indexes that belong to known changes.
	used func(uint64) bool
	// stood says whether times to live may have stood still between two indexes.
	stood func(from, to uint64) bool
}

func newModel(used func(uint64) bool, stood func(from, to uint64) bool) *model {
	return &model{nodes: map[string]v2api.Node{}, fresh: map[string]bool{}, used: used, stood: stood}
}

// apply carries out one event and reports it if it doesn't follow from the state
// before.
func (m *model) apply(ev *v2api.Event, refresh bool, complain func(verdict.Kind, string)) {
	key := ev.Node.Key
	have, exists := m.nodes[key]
	if ev.Prev == nil && exists {
		complain(verdict.PrevDiffers, fmt.Sprintf("%s of %s at %d shows no prevNode, but the key was there since %d", ev.Action, key, ev.Index(), have.Modified))
	}
	if ev.Prev != nil {
		m.checkPrev(ev, have, exists, complain)
	}
	switch ev.Action {
	case "delete", "compareAndDelete", "expire":
		m.remove(key)
		return
	case "create":
		if exists {
			complain(verdict.PrevDiffers, fmt.Sprintf("create of %s at %d, which was there since %d", key, ev.Index(), have.Modified))
		}
	case "update", "compareAndSwap":
		if refresh && ev.Node.Value != have.Value {
			complain(verdict.EventDiffers, fmt.Sprintf("refresh of %s at %d changes the value to %q", key, ev.Index(), ev.Node.Value))
		}
		if ev.Prev == nil {
			complain(verdict.PrevDiffers, fmt.Sprintf("%s of %s at %d without a prevNode", ev.Action, key, ev.Index()))
		}
	}
	m.parents(key, ev.Index())
	n := ev.Node
	n.Nodes = nil
	m.nodes[key] = n
}

func (m *model) checkPrev(ev *v2api.Event, have v2api.Node, exists bool, complain func(verdict.Kind, string)) {
	key := ev.Node.Key
	if !exists {
		complain(verdict.PrevDiffers, fmt.Sprintf("%s of %s at %d shows a prevNode of %d, but the key was not there", ev.Action, key, ev.Index(), ev.Prev.Modified))
		return
	}
	if diff := m.differ(have, *ev.Prev, ev.Index()); diff != "" {
		complain(verdict.PrevDiffers, fmt.Sprintf("%s of %s at %d: %s", ev.Action, key, ev.Index(), diff))
	}
	if ev.Action == "expire" && ev.Prev.Expiration == nil {
		complain(verdict.EarlyExpiry, fmt.Sprintf("%s expired at %d, and had no TTL", key, ev.Index()))
	}
}

// differ describes how got, which the server showed at an index, differs from want, which
// follows from the history. A refresh of unknown outcome may have changed the index
// and the expiration, and nothing else.
func (m *model) differ(want, got v2api.Node, at uint64) string {
	refreshed := m.fresh[want.Key] && got.Modified > want.Modified && !m.used(got.Modified)
	switch {
	case want.Dir != got.Dir:
		return fmt.Sprintf("dir is %v, not %v", got.Dir, want.Dir)
	case want.Value != got.Value:
		return fmt.Sprintf("value is %q (%d), not %q (%d)", got.Value, got.Modified, want.Value, want.Modified)
	case want.Modified != got.Modified && !refreshed:
		return fmt.Sprintf("modifiedIndex is %d, not %d", got.Modified, want.Modified)
	case want.Created != got.Created:
		return fmt.Sprintf("createdIndex is %d, not %d", got.Created, want.Created)
	case !v2api.SameEnd(want.Expiration, got.Expiration, m.stood(want.Modified, at)) && !refreshed:
		return fmt.Sprintf("expiration is %v, not %v", got.Expiration, want.Expiration)
	}
	return ""
}

// parents makes the missing directories above key; they take the index of the
// change that needed them.
func (m *model) parents(key string, index uint64) {
	for dir := path.Dir(key); dir != "/"; dir = path.Dir(dir) {
		if _, ok := m.nodes[dir]; ok {
			return
		}
		m.nodes[dir] = v2api.Node{Key: dir, Dir: true, Modified: index, Created: index}
	}
}

func (m *model) remove(key string) {
	if m.nodes[key].Dir {
		for k := range m.nodes {
			if v2api.Within(k, key) {
				delete(m.nodes, k)
			}
		}
	}
	delete(m.nodes, key)
}

// keys of both trees, sorted, so that reports are always in the same order.
func keys(trees ...map[string]v2api.Node) []string {
	all := map[string]bool{}
	for _, t := range trees {
		for k := range t {
			all[k] = true
		}
	}
	sorted := make([]string, 0, len(all))
	for k := range all {
		sorted = append(sorted, k)
	}
	sort.Strings(sorted)
	return sorted
}
