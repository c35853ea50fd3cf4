package watch_test

import (
	"fmt"
	"runtime"
	"testing"

	"copse/actors/watch"
	"copse/statemachine/tree"
)

// crowd starts n watchers that wait, each on its own key.
func crowd(b *testing.B, h *watch.Hub, n int, s tree.Sink, key func(i int) string) []*tree.Watch {
	watches := make([]*tree.Watch, n)
	for i := range watches {
		watches[i] = &tree.Watch{Key: key(i), Since: 1, Sink: s}
	}
	for _, w := range watches {
		if err := h.Watch(w); err != nil {
			b.Fatal(err)
		}
	}
	return watches
}

// countSink counts deliveries and signals when all have arrived.
type countSink struct {
	left int
	done chan struct{}
}

func (c *countSink) Deliver(*tree.EncodedEvent) {
	if c.left--; c.left == 0 {
		close(c.done)
	}
}
func (c *countSink) End() {}

// BenchmarkParkedWatcher reports the memory that the hub itself uses per watcher. The
// tree.Watch, with its key, belongs to the front end.
func BenchmarkParkedWatcher(b *testing.B) {
	for name, key := range map[string]func(int) string{
		"one key":              func(int) string { return "/config/key" },
		"a key each":           func(i int) string { return fmt.Sprintf("/config/key-%d", i) },
		"a directory each too": func(i int) string { return fmt.Sprintf("/config/service-%d/key", i) },
	} {
		b.Run(name, func(b *testing.B) {
			const n = 100_000
			for b.Loop() {
				h := watch.NewHub(watch.Options{})
				go h.Run()
				watches := make([]*tree.Watch, n)
				for i := range watches {
					watches[i] = &tree.Watch{Key: key(i), Since: 1, Sink: &countSink{}}
				}
				before := heap()
				for _, w := range watches {
					if err := h.Watch(w); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(heap()-before)/n, "B/watcher")
				runtime.KeepAlive(watches)
				h.Stop()
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkFire wakes 15,000 watchers of one key.
func BenchmarkFire(b *testing.B) {
	const n = 15_000
	h := watch.NewHub(watch.Options{})
	go h.Run()
	defer h.Stop()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		s := &countSink{left: n, done: make(chan struct{})}
		crowd(b, h, n, s, func(int) string { return "/key" })
		b.StartTimer()
		h.Publish(tree.Index(i+1), []tree.EncodedEvent{{Index: tree.Index(i + 1), Action: tree.ActionSet, Key: "/key"}})
		<-s.done
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/watcher")
}

// BenchmarkLeave adds 15,000 watchers of one key and removes them again.
func BenchmarkLeave(b *testing.B) {
	const n = 15_000
	h := watch.NewHub(watch.Options{})
	go h.Run()
	defer h.Stop()
	for b.Loop() {
		for _, w := range crowd(b, h, n, &countSink{}, func(int) string { return "/key" }) {
			h.Unwatch(w)
		}
		for h.Watchers() > 0 {
			runtime.Gosched()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/watcher")
}
