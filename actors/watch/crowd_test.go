package watch_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"copse/actors/loop/looptest"
	"copse/actors/watch"
	"copse/statemachine/tree"
)

func TestTheHubStartsAndStops(t *testing.T) {
	looptest.StartStop(t, func() looptest.Actor { return watch.NewHub(watch.Options{}) })
}

// Many watchers of one key are woken a little after the write, so that its answer goes
// out first. Meanwhile the hub keeps working, and later events don't overtake.
func TestACrowdIsWokenInOrderWhileTheHubGoesOn(t *testing.T) {
	tests := map[string]struct {
		wakes func(f *forest) []tree.EncodedEvent
		key   string
	}{
		"the key changes": {
			func(f *forest) []tree.EncodedEvent { return f.put("/d/k") },
			"/d/k",
		},
		"a key below changes": {
			func(f *forest) []tree.EncodedEvent { return f.put("/d/k") },
			"/d",
		},
		"its directory goes": {
			func(f *forest) []tree.EncodedEvent {
				events, _ := f.do([]tree.Command{remove("/d")}, nil)
				return events
			},
			"/d/k",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := &forest{window: 100}
			f.do([]tree.Command{set("/d/k")}, nil)
			bubble(t, f, watch.Options{}, func(t *testing.T, h *watch.Hub) {
				sinks := make([]*sink, 1000)
				for i := range sinks {
					sinks[i] = &sink{}
					w := &tree.Watch{Key: tt.key, Recursive: true, Stream: true, Since: 2, Sink: sinks[i]}
					if err := h.Watch(w); err != nil {
						t.Fatal(err)
					}
				}
				events := tt.wakes(f)
				h.Publish(f.last, events)
				f.publish(h, "/d/k")
				synctest.Wait()
				if got, _ := sinks[0].got(); len(got) != 0 {
					t.Errorf("got %v before the head start is over", got)
				}
				late := &sink{}
				if err := h.Watch(&tree.Watch{Key: "/d/k", Stream: true, Since: 2, Sink: late}); err != nil {
					t.Fatal(err) // the hub answers although the bubble's clock stands still
				}
				time.Sleep(time.Second)
				synctest.Wait()
				for i, s := range append(sinks, late) {
					if got, ends := s.got(); !slices.Equal(got, []tree.Index{2, 3}) || ends != 0 {
						t.Fatalf("watcher %d: got %v and %d ends", i, got, ends)
					}
				}
			})
		})
	}
}

// Many watchers of unchanged keys don't delay others.
func TestOthersAreToldAtOnce(t *testing.T) {
	f := &forest{window: 100}
	bubble(t, f, watch.Options{}, func(t *testing.T, h *watch.Hub) {
		for i := range 1001 {
			if err := h.Watch(&tree.Watch{Key: fmt.Sprintf("/other/%d", i), Since: 1, Sink: &sink{}}); err != nil {
				t.Fatal(err)
			}
		}
		s := &sink{}
		if err := h.Watch(&tree.Watch{Key: "/k", Since: 1, Sink: s}); err != nil {
			t.Fatal(err)
		}
		f.publish(h, "/k")
		synctest.Wait()
		if got, _ := s.got(); !slices.Equal(got, []tree.Index{1}) {
			t.Errorf("got %v, want [1]", got)
		}
	})
}
