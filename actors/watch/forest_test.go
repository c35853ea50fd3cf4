package watch_test

import (
	"slices"
	"strings"
	"sync"

	"copse/actors/watch"
	"copse/statemachine/tree"
)

// forest plays the state machine for a hub: it applies commands to a tree in
// memory and keeps a window of events as if on disk.
type forest struct {
	window int
	page   int // History returns no more than that at once; 0: no limit
	apart  int // events that are kept of each top-level name besides; 0: none

	mu     sync.Mutex
	store  tree.MemStore
	last   tree.Index
	events []tree.EncodedEvent
	names  map[string]*nameWindow
	reads  int // calls of History
}

// do applies commands and returns the events of those that succeed. existed says for
// each event which of keys existed right before it.
func (f *forest) do(commands []tree.Command, keys []string) (events []tree.EncodedEvent, existed []map[string]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range commands {
		before := map[string]bool{}
		for _, key := range keys {
			_, err := tree.Find(&f.store, key)
			before[key] = err == nil
		}
		tree.Apply(&f.store, &commands[i], f.last, func(e *tree.Event) {
			f.last = e.Index()
			events = append(events, e.Encoded(tree.AppendEvent(nil, e)))
			existed = append(existed, before)
		})
	}
	f.keepApart(events)
	f.events = append(f.events, events...)
	f.events = slices.DeleteFunc(f.events, func(n tree.EncodedEvent) bool { return n.Index < f.floor() })
	return events, existed
}

// put sets one key and returns the event.
func (f *forest) put(key string) []tree.EncodedEvent {
	events, _ := f.do([]tree.Command{{Op: tree.OpSet, Key: key}}, nil)
	return events
}

// publish sets one key and publishes the event.
func (f *forest) publish(h *watch.Hub, key string) {
	events := f.put(key)
	h.Publish(f.last, events)
}

func (f *forest) floor() tree.Index {
	if f.last < tree.Index(f.window) {
		return 1
	}
	return f.last - tree.Index(f.window) + 1
}

// nameWindow has the latest events of a top-level name: all from floor on.
type nameWindow struct {
	events []tree.EncodedEvent
	floor  tree.Index
}

func (f *forest) named(key string) *nameWindow {
	name, _, _ := strings.Cut(key[1:], "/")
	w := f.names[name]
	if w == nil {
		w = &nameWindow{floor: 1}
		if f.names == nil {
			f.names = map[string]*nameWindow{}
		}
		f.names[name] = w
	}
	return w
}

func (f *forest) keepApart(events []tree.EncodedEvent) {
	for _, n := range events {
		if w := f.named(n.Key); !n.Refresh {
			w.events = append(w.events, n)
			if past := len(w.events) - f.apart; past > 0 {
				w.floor = w.events[past-1].Index + 1
				w.events = w.events[past:]
			}
		}
	}
}

// floorOf is the first index that a watch of key may name.
func (f *forest) floorOf(key string) tree.Index {
	if f.apart == 0 || key == "/" {
		return f.floor()
	}
	return min(f.floor(), f.named(key).floor)
}

func (f *forest) History(key string, from tree.Index, limit int) ([]tree.EncodedEvent, tree.Index, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.page > 0 {
		limit = min(limit, f.page)
	}
	window, floor := f.events, f.floorOf(key)
	if floor < f.floor() {
		window = f.named(key).events
	}
	var events []tree.EncodedEvent
	for _, n := range window {
		if n.Index >= from && len(events) < limit {
			events = append(events, n)
		}
	}
	return events, floor, nil
}

func (f *forest) Exists(key string) (bool, tree.Index) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := tree.Find(&f.store, key)
	return err == nil, f.last
}

// hub returns a hub for the forest as it is now.
func (f *forest) hub(o watch.Options) *watch.Hub {
	o.Window, o.First, o.History, o.Exists, o.Apart = f.window, f.last, f.History, f.Exists, f.apart > 0
	return watch.NewHub(o)
}

// sink records what a watcher receives.
type sink struct {
	mu      sync.Mutex
	indexes []tree.Index
	ends    int
	stall   chan struct{} // if not nil, Deliver waits until it is closed
}

func (s *sink) Deliver(n *tree.EncodedEvent) {
	if s.stall != nil {
		<-s.stall
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.indexes = append(s.indexes, n.Index)
}

func (s *sink) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends++
}

func (s *sink) got() (indexes []tree.Index, ends int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.indexes), s.ends
}
