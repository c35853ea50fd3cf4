package watch_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"copse/actors/watch"
	"copse/statemachine/tree"

	"pgregory.net/rapid"
)

// modelWatch is one watch in the model's plain list.
type modelWatch struct {
	watch  *tree.Watch
	sink   *sink
	want   []tree.Index
	ends   int
	parked bool
}

func (m *modelWatch) see(n *tree.EncodedEvent) {
	m.want = append(m.want, n.Index)
	m.parked = m.parked && m.watch.Stream
}

// hubModel compares a hub with a plain list of watchers that is checked for every
// event, one after the other.
type hubModel struct {
	f       *forest
	h       *watch.Hub
	past    []tree.EncodedEvent // all events so far
	watches []*modelWatch
}

var modelKeys = []string{"/", "/a", "/a/b", "/a/b/c", "/a/_h", "/a/_h/x", "/ab", "/_a", "/_a/b", "/d", "/d/e"}

func genCommand(t *rapid.T) tree.Command {
	op := rapid.SampledFrom([]tree.Op{
		tree.OpSet, tree.OpSet, tree.OpSet, tree.OpCreate, tree.OpUpdate, tree.OpDelete, tree.OpDelete, tree.OpCompareAndDelete,
	}).Draw(t, "op")
	c := tree.Command{
		Op:        op,
		Key:       rapid.SampledFrom(modelKeys[1:]).Draw(t, "key"),
		Dir:       rapid.Bool().Draw(t, "dir"),
		Recursive: op == tree.OpDelete && rapid.Bool().Draw(t, "recursive"),
	}
	c.Refresh = !c.Dir && (op == tree.OpSet || op == tree.OpUpdate) && rapid.IntRange(0, 4).Draw(t, "refresh") == 0
	return c
}

// change carries out commands and delivers their events to the model's watchers.
func (m *hubModel) change(commands []tree.Command) []tree.EncodedEvent {
	events, existed := m.f.do(commands, modelKeys)
	m.past = append(m.past, events...)
	for i := range events {
		n := &events[i]
		for _, w := range m.watches {
			sees := false
			for key := range w.watch.Keys() {
				sees = sees || n.Concerns(key, w.watch.Recursive) && (!tree.Within(n.Key, key) || existed[i][key])
			}
			if w.parked && sees && n.Index >= w.watch.Since {
				w.see(n)
			}
		}
	}
	return events
}

func (m *hubModel) publish(t *rapid.T) {
	events := m.change(rapid.SliceOfN(rapid.Custom(genCommand), 1, 5).Draw(t, "commands"))
	m.h.Publish(m.f.last, events)
}

// stall publishes while the hub is blocked, so that it has to read from disk, or finds
// that the window has moved on and ends all watches.
func (m *hubModel) stall(t *rapid.T) {
	busy := &sink{stall: make(chan struct{})}
	if err := m.h.Watch(&tree.Watch{Key: "/busy", Since: m.f.last + 1, Sink: busy}); err != nil {
		t.Fatal(err)
	}
	events := m.change([]tree.Command{{Op: tree.OpSet, Key: "/busy"}})
	m.h.Publish(m.f.last, events)
	synctest.Wait()
	seen := m.f.last
	type state struct {
		want   int
		parked bool
	}
	before := make([]state, len(m.watches))
	for i, w := range m.watches {
		before[i] = state{len(w.want), w.parked}
	}
	published := 0
	for range rapid.IntRange(0, 8).Draw(t, "batches") {
		last := m.f.last
		m.publish(t)
		if m.f.last > last {
			published++
		}
	}
	if published > 1 && m.f.floor() > seen+1 { // the mailbox held one
		for i, w := range m.watches {
			w.want = w.want[:before[i].want]
			if before[i].parked {
				w.ends++
			}
			w.parked = false
		}
	}
	if told := m.h.Told(m.f.last); told >= seen {
		t.Fatalf("up to %d all have been told, while one is told of %d", told, seen)
	}
	close(busy.stall)
}

func (m *hubModel) watch(t *rapid.T) {
	w := &modelWatch{sink: &sink{}, parked: true}
	w.watch = &tree.Watch{
		Key:       rapid.SampledFrom(modelKeys).Draw(t, "key"),
		Recursive: rapid.Bool().Draw(t, "recursive"),
		Stream:    rapid.Bool().Draw(t, "stream"),
		Since:     m.f.last + 1,
		Sink:      w.sink,
	}
	if rapid.IntRange(0, 2).Draw(t, "several") == 0 {
		also := rapid.SliceOfNDistinct(rapid.SampledFrom(modelKeys), 1, 4, rapid.ID[string]).Draw(t, "also")
		also = slices.DeleteFunc(also, func(key string) bool { return key == w.watch.Key })
		w.watch.Also = &also
	}
	switch rapid.IntRange(0, 3).Draw(t, "since") {
	case 0:
		w.watch.Since = tree.Index(rapid.Uint64Range(1, uint64(m.f.last)+1).Draw(t, "past"))
	case 1:
		w.watch.Since += tree.Index(rapid.Uint64Range(0, 4).Draw(t, "future"))
	}
	got := m.h.Watch(w.watch)
	var want *tree.Error
	within := w.watch.Key
	for key := range w.watch.Keys() {
		if tree.TopName(key) != tree.TopName(within) {
			within = "/" // no name's window has all that it wants
		}
	}
	floor := m.f.floorOf(within)
	if inRing := m.f.apart > 0 && within != "/" && got == nil; w.watch.Since < floor && !inRing {
		w.parked = false
		want = &tree.Error{
			Code:  tree.CodeEventIndexClosed,
			Cause: fmt.Sprintf("the requested history has been cleared [%d/%d]", floor, w.watch.Since),
			Index: m.f.last,
		}
	}
	for i := range m.past {
		n := &m.past[i]
		if w.parked && n.Index >= w.watch.Since && w.watch.Wants(n) {
			w.see(n)
		}
	}
	m.watches = append(m.watches, w)
	if (got == nil) != (want == nil) || got != nil && *got != *want {
		t.Fatalf("watch %v: got error %v, want %v", w.watch, got, want)
	}
}

func (m *hubModel) unwatch(t *rapid.T) {
	if len(m.watches) > 0 {
		for range rapid.IntRange(1, 3).Draw(t, "leaving") {
			w := rapid.SampledFrom(m.watches).Draw(t, "watch")
			w.parked = false
			m.h.Unwatch(w.watch)
		}
	}
}

func (m *hubModel) check(t *rapid.T) {
	synctest.Wait()
	parked := 0
	for _, w := range m.watches {
		if got, ends := w.sink.got(); !slices.Equal(got, w.want) || ends != w.ends {
			t.Fatalf("watch %+v: got %v and %d ends, want %v and %d", *w.watch, got, ends, w.want, w.ends)
		}
		if w.parked {
			parked++
		}
	}
	if told := m.h.Told(0); told != m.f.last || m.h.Told(told+3) != told+3 {
		t.Fatalf("up to %d all have been told, of %d", told, m.f.last)
	}
	if got := m.h.Watchers(); got != parked {
		t.Fatalf("got %d watchers, want %d", got, parked)
	}
}

// inBubble hides the *testing.T from rapid, because its Deadline must not be called
// inside a synctest bubble.
type inBubble struct{ *testing.T }

func TestHubAgainstAPlainList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			m := &hubModel{f: &forest{
				window: rapid.IntRange(1, 30).Draw(t, "window"),
				page:   rapid.IntRange(1, 5).Draw(t, "page"),
				apart:  rapid.IntRange(0, 20).Draw(t, "apart"),
			}}
			m.change(rapid.SliceOfN(rapid.Custom(genCommand), 0, 20).Draw(t, "before the hub"))
			m.h = m.f.hub(watch.Options{
				RingLimit:    rapid.IntRange(1, 10).Draw(t, "ring"),
				MailboxLimit: 1,
			})
			ran := make(chan error, 1)
			go func() { ran <- m.h.Run() }()
			defer func() {
				m.h.Stop()
				if err := <-ran; err != nil {
					t.Errorf("Run: got %v, want no error", err)
				}
			}()
			t.Repeat(map[string]func(*rapid.T){
				"publish": m.publish,
				"stall":   m.stall,
				"watch":   m.watch,
				"unwatch": m.unwatch,
				"":        m.check,
			})
		})
	})
}
