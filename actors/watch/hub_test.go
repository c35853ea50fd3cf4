package watch_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"weak"

	"copse/actors/watch"
	"copse/statemachine/tree"
)

// bubble runs f with a hub inside a synctest bubble, where synctest.Wait returns once
// the hub has handled everything in its mailbox.
func bubble(t *testing.T, fo *forest, o watch.Options, f func(t *testing.T, h *watch.Hub)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := fo.hub(o)
		ran := make(chan error, 1)
		go func() { ran <- h.Run() }()
		defer func() {
			h.Stop()
			if err := <-ran; err != nil {
				t.Errorf("Run: got %v, want no error", err)
			}
		}()
		f(t, h)
	})
}

func set(key string) tree.Command   { return tree.Command{Op: tree.OpSet, Key: key} }
func mkdir(key string) tree.Command { return tree.Command{Op: tree.OpCreate, Key: key, Dir: true} }
func remove(key string) tree.Command {
	return tree.Command{Op: tree.OpDelete, Key: key, Recursive: true}
}
func refresh(key string) tree.Command {
	return tree.Command{Op: tree.OpUpdate, Key: key, Refresh: true, Expires: 1e18}
}

func TestHubMatching(t *testing.T) {
	type watching struct {
		key       string
		recursive bool
	}
	tests := map[string]struct {
		before []tree.Command // done before the watch starts
		watch  watching
		after  []tree.Command
		want   []tree.Index // of a stream
	}{
		"the key itself":            {nil, watching{"/a", false}, []tree.Command{set("/a"), set("/b"), set("/a")}, []tree.Index{1, 3}},
		"a child is not the key":    {nil, watching{"/a", false}, []tree.Command{set("/a/b")}, nil},
		"a child, recursively":      {nil, watching{"/a", true}, []tree.Command{set("/a/b"), set("/ab")}, []tree.Index{1}},
		"the root, recursively":     {nil, watching{"/", true}, []tree.Command{set("/a"), set("/b/c/d")}, []tree.Index{1, 2}},
		"hidden below":              {nil, watching{"/a", true}, []tree.Command{set("/a/_h/x"), set("/a/_g"), set("/a/x_")}, []tree.Index{3}},
		"inside the hidden":         {nil, watching{"/a/_h", true}, []tree.Command{set("/a/_h/x"), set("/a/_h/_y")}, []tree.Index{1}},
		"the hidden key itself":     {nil, watching{"/a/_h", false}, []tree.Command{set("/a/_h")}, []tree.Index{1}},
		"a refresh wakes nobody":    {[]tree.Command{set("/a")}, watching{"/a", true}, []tree.Command{refresh("/a"), set("/a")}, []tree.Index{3}},
		"a directory above removed": {[]tree.Command{set("/d/x/y")}, watching{"/d/x/y", false}, []tree.Command{remove("/d"), remove("/d")}, []tree.Index{2}},
		"removed with a hidden one": {[]tree.Command{set("/d/_x/y")}, watching{"/d/_x", true}, []tree.Command{remove("/d")}, []tree.Index{2}},
		"removed, never existed":    {[]tree.Command{mkdir("/d")}, watching{"/d/x", false}, []tree.Command{remove("/d")}, nil},
		"removed twice, there once": {
			[]tree.Command{set("/d/x")}, watching{"/d/x", false},
			[]tree.Command{remove("/d"), mkdir("/d"), remove("/d")}, []tree.Index{2},
		},
		"came after the watch": {nil, watching{"/d/x", false}, []tree.Command{set("/d/x/y"), remove("/d")}, []tree.Index{2}},
		"told once of its own removal": {
			[]tree.Command{set("/d/x")}, watching{"/d", true}, []tree.Command{remove("/d")}, []tree.Index{2},
		},
		"a hidden directory's removal": {[]tree.Command{set("/_d/x")}, watching{"/", true}, []tree.Command{remove("/_d")}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := &forest{window: 100}
			f.do(tt.before, nil)
			bubble(t, f, watch.Options{}, func(t *testing.T, h *watch.Hub) {
				var s sink
				w := &tree.Watch{Key: tt.watch.key, Recursive: tt.watch.recursive, Stream: true, Since: f.last + 1, Sink: &s}
				if err := h.Watch(w); err != nil {
					t.Fatal(err)
				}
				events, _ := f.do(tt.after, nil)
				h.Publish(f.last, events)
				synctest.Wait()
				if got, ends := s.got(); !slices.Equal(got, tt.want) || ends != 0 {
					t.Errorf("got %v and %d ends, want %v", got, ends, tt.want)
				}
			})
		})
	}
}

func TestHubPast(t *testing.T) {
	// The window of 10 holds 11 to 20; the hub opens at 14, so that 15 to 20 are
	// in memory, or the last 4 of them. Even events are /even's.
	tests := map[string]struct {
		since  tree.Index
		stream bool
		want   []tree.Index
		cause  string
	}{
		"in memory":            {17, false, []tree.Index{18}, ""},
		"oldest in memory":     {15, false, []tree.Index{16}, ""},
		"on disk":              {11, false, []tree.Index{12}, ""},
		"on disk, then live":   {11, true, []tree.Index{12, 14, 16, 18, 20, 22}, ""},
		"in memory, then on":   {18, true, []tree.Index{18, 20, 22}, ""},
		"next":                 {21, false, []tree.Index{22}, ""},
		"future":               {22, false, []tree.Index{22}, ""},
		"far future":           {23, true, nil, ""},
		"gone":                 {10, false, nil, "the requested history has been cleared [11/10]"},
		"gone, for a stream":   {1, true, nil, "the requested history has been cleared [11/1]"},
		"nothing left in past": {20, false, []tree.Index{20}, ""},
	}
	for name, tt := range tests {
		for _, ringLimit := range []int{0, 4} {
			t.Run(name, func(t *testing.T) {
				f := &forest{window: 10, page: 3}
				next := func() string { return []string{"/even", "/odd"}[(f.last+1)%2] }
				for f.last < 14 {
					f.put(next())
				}
				bubble(t, f, watch.Options{RingLimit: ringLimit}, func(t *testing.T, h *watch.Hub) {
					for f.last < 20 {
						f.publish(h, next())
					}
					synctest.Wait()
					var s sink
					err := h.Watch(&tree.Watch{Key: "/even", Stream: tt.stream, Since: tt.since, Sink: &s})
					for f.last < 22 {
						f.publish(h, next())
					}
					synctest.Wait()
					if got, ends := s.got(); !slices.Equal(got, tt.want) || ends != 0 {
						t.Errorf("got %v and %d ends, want %v", got, ends, tt.want)
					}
					var want *tree.Error
					if tt.cause != "" {
						want = &tree.Error{Code: tree.CodeEventIndexClosed, Cause: tt.cause, Index: 20}
					}
					if (err == nil) != (want == nil) || err != nil && *err != *want {
						t.Errorf("error: got %v, want %v", err, want)
					}
				})
			})
		}
	}
}

func TestHubCountsParkedWatchersOnly(t *testing.T) {
	f := &forest{window: 10}
	bubble(t, f, watch.Options{}, func(t *testing.T, h *watch.Hub) {
		count := func(moment string, want int) {
			t.Helper()
			synctest.Wait()
			if got := h.Watchers(); got != want {
				t.Errorf("%s: got %d watchers, want %d", moment, got, want)
			}
		}
		f.publish(h, "/a")
		count("at first", 0)
		watch := func(key string, since tree.Index, stream bool) *tree.Watch {
			w := &tree.Watch{Key: key, Since: since, Stream: stream, Sink: &sink{}}
			if err := h.Watch(w); err != nil {
				t.Fatal(err)
			}
			return w
		}
		watch("/a", 1, false)
		count("after a hit in the past", 0)
		watch("/a", 2, false)
		stream := watch("/a", 1, true)
		other := watch("/b/c", 2, false)
		count("parked", 3)
		f.publish(h, "/a")
		count("after an event", 2)
		h.Unwatch(other)
		h.Unwatch(other)
		h.Unwatch(stream)
		count("after all have left", 0)
	})
}

// A front-end's loop calls Unwatch while the hub waits for that loop.
func TestUnwatchDoesNotWaitForABusyHub(t *testing.T) {
	f := &forest{window: 10}
	bubble(t, f, watch.Options{}, func(t *testing.T, h *watch.Hub) {
		busy := &sink{stall: make(chan struct{})}
		for _, s := range []*sink{busy, {}} {
			if err := h.Watch(&tree.Watch{Key: "/a", Since: 1, Stream: true, Sink: s}); err != nil {
				t.Fatal(err)
			}
		}
		gone := &tree.Watch{Key: "/b", Since: 1, Sink: &sink{}}
		if err := h.Watch(gone); err != nil {
			t.Fatal(err)
		}
		f.publish(h, "/a")
		synctest.Wait()
		h.Unwatch(gone) // a deadlock fails the test here
		close(busy.stall)
		synctest.Wait()
		if got := h.Watchers(); got != 2 {
			t.Errorf("got %d watchers, want 2", got)
		}
	})
}

// A client may leave while its watch is still in the hub's mailbox.
func TestUnwatchBeforeTheHubHasSeenTheWatch(t *testing.T) {
	f := &forest{window: 10}
	bubble(t, f, watch.Options{}, func(t *testing.T, h *watch.Hub) {
		busy := &sink{stall: make(chan struct{})}
		if err := h.Watch(&tree.Watch{Key: "/a", Since: 1, Sink: busy}); err != nil {
			t.Fatal(err)
		}
		f.publish(h, "/a")
		w := &tree.Watch{Key: "/b", Since: 2, Sink: &sink{}}
		watched := make(chan *tree.Error, 1)
		go func() { watched <- h.Watch(w) }()
		synctest.Wait()
		h.Unwatch(w)
		close(busy.stall)
		if err := <-watched; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := h.Watchers(); got != 0 {
			t.Errorf("got %d watchers, want none", got)
		}
	})
}

func TestHubStopEndsEveryWatcherOnce(t *testing.T) {
	f := &forest{window: 10}
	sinks := make([]*sink, 20)
	bubble(t, f, watch.Options{}, func(t *testing.T, h *watch.Hub) {
		for i := range sinks {
			sinks[i] = &sink{}
			key := []string{"/", "/a", "/a/b/c"}[i%3]
			if err := h.Watch(&tree.Watch{Key: key, Recursive: i%2 == 0, Since: 1, Sink: sinks[i]}); err != nil {
				t.Fatal(err)
			}
		}
		h.Stop()
		h.Stop()
		late := &sink{}
		if err := h.Watch(&tree.Watch{Key: "/a", Since: 1, Sink: late}); err != nil {
			t.Errorf("Watch after Stop: got %v, want an end", err)
		}
		f.publish(h, "/a")
		for i, s := range append(sinks, late) {
			if got, ends := s.got(); len(got) != 0 || ends != 1 {
				t.Errorf("watcher %d: got %v and %d ends, want one end", i, got, ends)
			}
		}
		if got := h.Watchers(); got != 0 {
			t.Errorf("got %d watchers, want none", got)
		}
	})
}

func TestHubStopBeforeRun(t *testing.T) {
	h := (&forest{window: 10}).hub(watch.Options{})
	h.Stop()
	if err := h.Run(); err != nil {
		t.Errorf("Run after Stop: got %v, want no error", err)
	}
}

// stalled blocks the hub inside a Deliver while f's next events are published, so that
// all but one batch are dropped.
func stalled(t *testing.T, h *watch.Hub, f *forest, publish func()) {
	t.Helper()
	busy := &sink{stall: make(chan struct{})}
	if err := h.Watch(&tree.Watch{Key: "/busy", Since: f.last + 1, Sink: busy}); err != nil {
		t.Fatal(err)
	}
	f.publish(h, "/busy")
	synctest.Wait()
	publish()
	close(busy.stall)
	synctest.Wait()
}

func TestHubReadsDroppedEventsFromDisk(t *testing.T) {
	f := &forest{window: 100, page: 3}
	bubble(t, f, watch.Options{MailboxLimit: 1}, func(t *testing.T, h *watch.Hub) {
		var s sink
		if err := h.Watch(&tree.Watch{Key: "/", Recursive: true, Stream: true, Since: 1, Sink: &s}); err != nil {
			t.Fatal(err)
		}
		var want []tree.Index
		stalled(t, h, f, func() {
			for range 20 {
				f.publish(h, "/a")
			}
		})
		for i := range f.last {
			want = append(want, i+1)
		}
		if got, ends := s.got(); !slices.Equal(got, want) || ends != 0 {
			t.Errorf("got %v and %d ends, want %v", got, ends, want)
		}
		if f.reads == 0 {
			t.Error("nothing was read from disk")
		}
	})
}

// TestHubLeavesOnDiskWhatNobodyWaitsFor has events dropped while nobody watches. Who asks for them later gets them,
// and what comes then.
func TestHubLeavesOnDiskWhatNobodyWaitsFor(t *testing.T) {
	f := &forest{window: 100}
	bubble(t, f, watch.Options{MailboxLimit: 1}, func(t *testing.T, h *watch.Hub) {
		stalled(t, h, f, func() {
			for range 5 {
				f.publish(h, "/a")
			}
		})
		if f.reads != 0 || h.Told(0) != f.last {
			t.Errorf("%d reads of the disk, and the hub has come to %d of %d", f.reads, h.Told(0), f.last)
		}
		var s sink
		if err := h.Watch(&tree.Watch{Key: "/a", Stream: true, Since: 3, Sink: &s}); err != nil {
			t.Fatal(err)
		}
		f.publish(h, "/a")
		synctest.Wait()
		if got, ends := s.got(); !slices.Equal(got, []tree.Index{3, 4, 5, 6, 7}) || ends != 0 {
			t.Errorf("got %v and %d ends, want 3 to 7", got, ends)
		}
	})
}

func TestHubDropsWhatIsTooLargeToKeep(t *testing.T) {
	f := &forest{window: 100}
	bubble(t, f, watch.Options{RingBytesLimit: 1}, func(t *testing.T, h *watch.Hub) {
		var s sink
		if err := h.Watch(&tree.Watch{Key: "/a", Stream: true, Since: 1, Sink: &s}); err != nil {
			t.Fatal(err)
		}
		stalled(t, h, f, func() {
			for range 5 {
				f.publish(h, "/a")
			}
		})
		if got, _ := s.got(); !slices.Equal(got, []tree.Index{2, 3, 4, 5, 6}) {
			t.Errorf("live: got %v, want 2 to 6", got)
		}
		var past sink
		reads := f.reads
		if err := h.Watch(&tree.Watch{Key: "/a", Since: 4, Sink: &past}); err != nil {
			t.Fatal(err)
		}
		if f.reads == reads {
			t.Error("the past was still in memory")
		}
		if got, _ := past.got(); !slices.Equal(got, []tree.Index{4}) {
			t.Errorf("past: got %v, want 4", got)
		}
	})
}

func TestHubEndsWatchersThatFellBehindTheWindow(t *testing.T) {
	f := &forest{window: 4}
	bubble(t, f, watch.Options{MailboxLimit: 1}, func(t *testing.T, h *watch.Hub) {
		var stream, once sink
		for _, w := range []*tree.Watch{
			{Key: "/a", Stream: true, Since: 1, Sink: &stream},
			{Key: "/b", Since: 1, Sink: &once},
		} {
			if err := h.Watch(w); err != nil {
				t.Fatal(err)
			}
		}
		stalled(t, h, f, func() {
			for range 10 {
				f.publish(h, "/a")
			}
		})
		for name, s := range map[string]*sink{"stream": &stream, "once": &once} {
			if got, ends := s.got(); len(got) != 0 || ends != 1 {
				t.Errorf("%s: got %v and %d ends, want nothing but one end", name, got, ends)
			}
		}
		// The hub continues from there.
		var s sink
		if err := h.Watch(&tree.Watch{Key: "/a", Stream: true, Since: f.floor(), Sink: &s}); err != nil {
			t.Fatal(err)
		}
		f.publish(h, "/a")
		synctest.Wait()
		if got, _ := s.got(); !slices.Equal(got, []tree.Index{8, 9, 10, 11, 12}) {
			t.Errorf("afterwards: got %v, want 8 to 12", got)
		}
	})
}

// A snapshot replaces the tree: its events were never published.
func TestHubFollowsASnapshot(t *testing.T) {
	f := &forest{window: 10}
	bubble(t, f, watch.Options{}, func(t *testing.T, h *watch.Hub) {
		var s sink
		if err := h.Watch(&tree.Watch{Key: "/a", Stream: true, Since: 1, Sink: &s}); err != nil {
			t.Fatal(err)
		}
		f.put("/a")
		f.put("/a")
		h.Publish(f.last, nil)
		synctest.Wait()
		f.publish(h, "/a")
		synctest.Wait()
		if got, _ := s.got(); !slices.Equal(got, []tree.Index{1, 2, 3}) {
			t.Errorf("got %v, want 1 to 3", got)
		}
	})
}

func TestHubFailsWhenTheWindowIsUnreadable(t *testing.T) {
	cause := errors.New("bad block")
	h := watch.NewHub(watch.Options{
		History: func(string, tree.Index, int) ([]tree.EncodedEvent, tree.Index, error) { return nil, 0, cause },
	})
	ran := make(chan error, 1)
	go func() { ran <- h.Run() }()
	var s sink
	if err := h.Watch(&tree.Watch{Key: "/a", Since: 5, Sink: &s}); err != nil {
		t.Fatal(err)
	}
	h.Publish(7, nil)
	if err := <-ran; !errors.Is(err, cause) {
		t.Errorf("Run: got %v, want %v", err, cause)
	}
	if _, ends := s.got(); ends != 1 {
		t.Errorf("got %d ends, want one", ends)
	}
	h.Stop()
}

// Events are published while the hub reads earlier ones from disk.
func TestHubTakesEventsInWhileItClosesAGap(t *testing.T) {
	f := &forest{window: 100, page: 2}
	var h *watch.Hub
	synctest.Test(t, func(t *testing.T) {
		interrupted := false
		h = watch.NewHub(watch.Options{
			Window: f.window,
			History: func(key string, from tree.Index, limit int) ([]tree.EncodedEvent, tree.Index, error) {
				events, complete, err := f.History(key, from, limit)
				if !interrupted {
					interrupted = true
					for range 4 {
						f.publish(h, "/a")
					}
				}
				return events, complete, err
			},
		})
		go h.Run()
		defer h.Stop()
		var s sink
		if err := h.Watch(&tree.Watch{Key: "/a", Stream: true, Since: 1, Sink: &s}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			f.put("/a")
		}
		h.Publish(f.last, nil)
		synctest.Wait()
		f.publish(h, "/a")
		synctest.Wait()
		if got, _ := s.got(); !slices.Equal(got, []tree.Index{1, 2, 3, 4, 5, 6, 7, 8}) {
			t.Errorf("got %v, want 1 to 8", got)
		}
	})
}

// The caller's knowledge about the watched key may be older or newer than the hub's; a
// watcher must see its directory's removal in both cases.
func TestHubRemovalAboveAKeyOfUncertainExistence(t *testing.T) {
	// The events: 1 makes /d/x, 2 removes /d, 3 makes /d/y.
	commands := []tree.Command{set("/d/x"), remove("/d"), set("/d/y")}
	tests := map[string]struct {
		key    string
		exists bool
		asOf   tree.Index // the index that Exists returns
		told   int        // events published before the watch
		then   tree.Command
		wakes  bool
	}{
		"created since":          {"/d/x", false, 0, 1, remove("/d"), true},
		"a directory since":      {"/d", false, 0, 1, remove("/d"), true},
		"removed since":          {"/d/x", true, 1, 2, remove("/d"), false},
		"removed and another":    {"/d/x", true, 1, 3, remove("/d"), false},
		"removed in the future":  {"/d/x", false, 2, 1, remove("/d"), true},
		"as the hub knows":       {"/d/y", true, 3, 3, remove("/d"), true},
		"never":                  {"/d/z", false, 3, 3, remove("/d"), false},
		"from before the memory": {"/d/z", false, 0, 3, remove("/d"), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &forest{window: 100}
				ringLimit := 10
				if name == "from before the memory" {
					ringLimit = 1
				}
				h := watch.NewHub(watch.Options{
					Window: 100, RingLimit: ringLimit, History: f.History,
					Exists: func(string) (bool, tree.Index) { return tt.exists, tt.asOf },
				})
				go h.Run()
				defer h.Stop()
				events, _ := f.do(commands[:tt.told], nil)
				h.Publish(f.last, events)
				synctest.Wait()
				var s sink
				if err := h.Watch(&tree.Watch{Key: tt.key, Since: f.last + 1, Sink: &s}); err != nil {
					t.Fatal(err)
				}
				events, _ = f.do([]tree.Command{tt.then}, nil)
				if len(events) == 0 {
					events, _ = f.do([]tree.Command{mkdir("/d"), tt.then}, nil)
				}
				h.Publish(f.last, events)
				synctest.Wait()
				if got, _ := s.got(); (len(got) == 1) != tt.wakes {
					t.Errorf("got %v, want woken: %v", got, tt.wakes)
				}
			})
		})
	}
}

// The hub's own knowledge about a key overrides a guess.
func TestHubKeepsWhatItKnowsOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forest{window: 100}
		f.do([]tree.Command{mkdir("/d")}, nil)
		asOf := f.last + 2
		h := watch.NewHub(watch.Options{
			First: f.last, Window: f.window, History: f.History,
			Exists: func(string) (bool, tree.Index) { return false, asOf },
		})
		go h.Run()
		defer h.Stop()
		h.Publish(asOf, f.put("/other")) // the index may lie above the last event's
		f.last = asOf
		synctest.Wait()
		var first, second sink
		for _, s := range []*sink{&first, &second} {
			if err := h.Watch(&tree.Watch{Key: "/d/x", Since: asOf + 1, Sink: s}); err != nil {
				t.Fatal(err)
			}
			asOf += 100 // ahead of the hub
		}
		events, _ := f.do([]tree.Command{remove("/d")}, nil)
		h.Publish(f.last, events)
		synctest.Wait()
		for _, s := range []*sink{&first, &second} {
			if got, _ := s.got(); len(got) != 0 {
				t.Errorf("got %v, want nothing of a key that was never there", got)
			}
		}
	})
}

func TestHubManyKeysInOneDirectory(t *testing.T) {
	const keys = 100
	f := &forest{window: 1000}
	for i := range keys {
		f.put(fmt.Sprintf("/d/%d", i))
	}
	bubble(t, f, watch.Options{}, func(t *testing.T, h *watch.Hub) {
		sinks := make([]sink, keys)
		watches := make([]*tree.Watch, keys)
		for i := range keys {
			watches[i] = &tree.Watch{Key: fmt.Sprintf("/d/%d", i), Since: f.last + 1, Sink: &sinks[i]}
			if err := h.Watch(watches[i]); err != nil {
				t.Fatal(err)
			}
		}
		for i := range keys {
			if i%3 == 0 {
				f.publish(h, watches[i].Key)
			}
		}
		for i := range keys {
			if i%3 == 1 {
				h.Unwatch(watches[i])
			}
		}
		synctest.Wait()
		if got := h.Watchers(); got != keys/3 {
			t.Errorf("got %d watchers, want %d", got, keys/3)
		}
		events, _ := f.do([]tree.Command{remove("/d")}, nil)
		h.Publish(f.last, events)
		synctest.Wait()
		for i := range keys {
			want := []int{1, 0, 1}[i%3]
			if got, _ := sinks[i].got(); len(got) != want {
				t.Errorf("watcher %d: got %v, want %d events", i, got, want)
			}
		}
		if got := h.Watchers(); got != 0 {
			t.Errorf("got %d watchers, want none", got)
		}
	})
}

func TestWatchThatReadsTheDiskMeetsTrouble(t *testing.T) {
	cause := errors.New("bad block")
	tests := map[string]struct {
		stream  bool
		page    func(f *forest, call int) ([]tree.EncodedEvent, tree.Index, error)
		stop    bool // before the second page
		want    []tree.Index
		ends    int
		refused tree.Code
	}{
		"unreadable at once": {
			page:    func(*forest, int) ([]tree.EncodedEvent, tree.Index, error) { return nil, 1, cause },
			refused: tree.CodeRaftInternal,
		},
		"unreadable later": {
			stream: true,
			page: func(f *forest, call int) ([]tree.EncodedEvent, tree.Index, error) {
				if call > 1 {
					return nil, 1, cause
				}
				return f.events[:2], 1, nil
			},
			want: []tree.Index{1, 2}, ends: 1,
		},
		"the window moves on": {
			stream: true,
			page: func(f *forest, call int) ([]tree.EncodedEvent, tree.Index, error) {
				if call > 1 {
					return f.events[6:7], 7, nil
				}
				return f.events[:2], 1, nil
			},
			want: []tree.Index{1, 2}, ends: 1,
		},
		"the window has moved on": {
			page: func(f *forest, call int) ([]tree.EncodedEvent, tree.Index, error) {
				return f.events[6:7], 7, nil
			},
			refused: tree.CodeEventIndexClosed,
		},
		"the hub stops": {
			stream: true,
			page: func(f *forest, call int) ([]tree.EncodedEvent, tree.Index, error) {
				return f.events[:2], 1, nil
			},
			stop: true,
			want: []tree.Index{1, 2}, ends: 1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := &forest{window: 100}
			for range 8 {
				f.put("/a")
			}
			var h *watch.Hub
			calls := 0
			h = watch.NewHub(watch.Options{
				Window: 100, First: 8,
				History: func(key string, from tree.Index, limit int) ([]tree.EncodedEvent, tree.Index, error) {
					calls++
					if tt.stop {
						h.Stop()
					}
					return tt.page(f, calls)
				},
			})
			ran := make(chan error, 1)
			go func() { ran <- h.Run() }()
			var s sink
			err := h.Watch(&tree.Watch{Key: "/a", Stream: tt.stream, Since: 1, Sink: &s})
			if err != nil && err.Code != tt.refused || err == nil && tt.refused != 0 {
				t.Errorf("got error %v, want code %d", err, tt.refused)
			}
			if got, ends := s.got(); !slices.Equal(got, tt.want) || ends != tt.ends {
				t.Errorf("got %v and %d ends, want %v and %d", got, ends, tt.want, tt.ends)
			}
			h.Stop()
			if err := <-ran; err != nil {
				t.Errorf("Run: got %v, want no error", err)
			}
		})
	}
}

// TestTheWeightOfALargeEvent: who keeps an event whose JSON is made late may have to keep both that and the values.
func TestTheWeightOfALargeEvent(t *testing.T) {
	e := tree.Event{Action: tree.ActionSet, Node: tree.Node{Key: "/a", Value: make([]byte, 100<<10)}, HasPrev: true, Prev: tree.Node{Key: "/a", Value: make([]byte, 50<<10)}}
	json := tree.AppendEvent(nil, &e)
	early, late := e.Encoded(json), e.Late(nil)
	weight := watch.Weight(&late)
	if want := watch.Weight(&early) + len(e.Node.Value) + len(e.Prev.Value); weight != want {
		t.Errorf("it weighs %d, want %d", weight, want)
	}
	if late.Text(); watch.Weight(&late) != weight {
		t.Errorf("it weighs %d once it is printed, and weighed %d", watch.Weight(&late), weight)
	}
}

// TestEventsThatAreLeftToTheWindow: the hub doesn't keep them, and reads those that somebody waits for. If one of these
// is gone, these watchers end, and get 401 when they come back. Others have missed nothing.
func TestEventsThatAreLeftToTheWindow(t *testing.T) {
	for _, gone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := &forest{window: 100}
			h := watch.NewHub(watch.Options{Window: f.window, History: f.History})
			go h.Run()
			defer h.Stop()
			var reads int
			publish := func(key string) {
				events, _ := f.do([]tree.Command{set(key)}, nil)
				whole := events[0]
				left := whole.Left(func(*tree.Event) (tree.EncodedEvent, bool) {
					reads++
					return whole, !gone || key != "/a"
				})
				h.Publish(f.last, []tree.EncodedEvent{left})
				synctest.Wait()
			}
			var stream, other, several, past sink
			for _, w := range []*tree.Watch{{Key: "/a", Sink: &stream}, {Key: "/b", Sink: &other}, {Key: "/b", Also: &[]string{"/a"}, Sink: &several}} {
				if w.Stream, w.Since = true, 1; h.Watch(w) != nil {
					t.Fatalf("no watch of %s", w.Key)
				}
			}
			publish("/c")
			if _, ends := other.got(); reads != 0 || ends != 0 {
				t.Errorf("nobody waits for an event, which is read %d times, and %d watches end", reads, ends)
			}
			publish("/a")
			for _, s := range []*sink{&stream, &several} {
				got, ends := s.got()
				if want := map[bool]int{false: 1}[gone]; len(got) != want || ends != 1-want || reads != 1 {
					t.Errorf("gone: %v; %v delivered, %d ends, read %d times", gone, got, ends, reads)
				}
			}
			publish("/b")
			if got, ends := other.got(); !slices.Equal(got, []tree.Index{3}) || ends != 0 {
				t.Errorf("gone: %v; the watch of another key is given %v, and ends %d times", gone, got, ends)
			}
			if _, ends := several.got(); ends != map[bool]int{true: 1}[gone] {
				t.Errorf("gone: %v; the watch of both ends %d times", gone, ends)
			}
			if err := h.Watch(&tree.Watch{Key: "/c", Since: 1, Sink: &past}); err != nil {
				t.Fatal(err)
			}
			if got, _ := past.got(); !slices.Equal(got, []tree.Index{1}) {
				t.Errorf("later, %v is delivered from the window", got)
			}
		})
	}
}

// TestOthersThanWhatIsLeftStayInMemory: who wants an event that is left reads the window, and nobody else.
func TestOthersThanWhatIsLeftStayInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forest{window: 100}
		reads := 0
		h := watch.NewHub(watch.Options{Window: f.window, History: func(name string, from tree.Index, limit int) ([]tree.EncodedEvent, tree.Index, error) {
			reads++
			return f.History(name, from, limit)
		}})
		go h.Run()
		defer h.Stop()
		for _, key := range []string{"/b", "/a", "/b", "/c"} {
			events, _ := f.do([]tree.Command{set(key)}, nil)
			if key == "/a" {
				events[0] = events[0].Left(nil)
			}
			h.Publish(f.last, events)
			synctest.Wait()
		}
		for _, w := range []struct {
			key    string
			stream bool
			want   []tree.Index
			reads  int
		}{{"/b", true, []tree.Index{1, 3}, 0}, {"/c", false, []tree.Index{4}, 0}, {"/a", false, []tree.Index{2}, 1}, {"/", false, []tree.Index{1}, 0}, {"/", true, []tree.Index{1, 2, 3, 4}, 1}} {
			reads = 0
			var s sink
			if err := h.Watch(&tree.Watch{Key: w.key, Recursive: true, Stream: w.stream, Since: 1, Sink: &s}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got, _ := s.got(); !slices.Equal(got, w.want) || reads != w.reads {
				t.Errorf("%s, as a stream %v: %v after %d reads of the window, want %v after %d", w.key, w.stream, got, reads, w.want, w.reads)
			}
		}
	})
}

// TestWhatIsToldKeepsNoJSON: of a batch, or a page of the past, one event at a time is printed, and its JSON is garbage
// before the next one's is made, unless it is kept in memory for watches that come later.
func TestWhatIsToldKeepsNoJSON(t *testing.T) {
	var events []tree.EncodedEvent
	for i := range 6 {
		e := tree.Event{Action: tree.ActionSet, Node: tree.Node{Key: "/a", Value: make([]byte, 100<<10), Modified: tree.Index(i + 1)}}
		n := e.Late(func(*tree.Event) (tree.EncodedEvent, bool) { return e.Late(nil), true })
		if i%2 == 1 {
			n = n.Left(nil)
		}
		events = append(events, n)
	}
	synctest.Test(t, func(t *testing.T) {
		h := watch.NewHub(watch.Options{RingBytesLimit: 1, History: func(_ string, from tree.Index, _ int) ([]tree.EncodedEvent, tree.Index, error) {
			return events[from-1:], 1, nil
		}})
		go h.Run()
		defer h.Stop()
		var told, past garbageSink
		for _, s := range []*garbageSink{&told, &past} {
			if err := h.Watch(&tree.Watch{Key: "/a", Stream: true, Since: 1, Sink: s}); err != nil {
				t.Fatal(err)
			}
			if s == &told {
				h.Publish(6, events)
				synctest.Wait()
			}
			if s.delivered != len(events) || s.kept != 0 {
				t.Errorf("past: %v; of %d events %d are still in memory at the next one", s == &past, s.delivered, s.kept)
			}
		}
	})
	runtime.KeepAlive(events)
}

// garbageSink counts the events whose JSON is still in memory when the next one is delivered.
type garbageSink struct {
	before          weak.Pointer[byte]
	delivered, kept int
}

func (s *garbageSink) Deliver(n *tree.EncodedEvent) {
	if runtime.GC(); s.before.Value() != nil {
		s.kept++
	}
	s.before = weak.Make(&n.Text()[0])
	s.delivered++
}

func (s *garbageSink) End() {}
