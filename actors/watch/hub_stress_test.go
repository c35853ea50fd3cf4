package watch_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"copse/actors/watch"
	"copse/statemachine/tree"
)

// orderSink checks the order of its events and how it ends.
type orderSink struct {
	t     *testing.T
	watch *tree.Watch
	mu    sync.Mutex
	last  tree.Index
	count int
	ends  int
}

func (s *orderSink) Deliver(n *tree.EncodedEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case n.Index <= s.last || n.Index < s.watch.Since:
		s.t.Errorf("watch since %d: got %d after %d", s.watch.Since, n.Index, s.last)
	case s.ends > 0 || s.count > 0 && !s.watch.Stream:
		s.t.Errorf("got %d after the last call", n.Index)
	case s.watch.Stream && s.watch.Recursive && s.watch.Key == "/" && s.last != 0 && n.Index != s.last+1:
		s.t.Errorf("stream of all: got %d after %d", n.Index, s.last)
	}
	s.last = n.Index
	s.count++
}

func (s *orderSink) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends++
	if s.ends > 1 {
		s.t.Error("ended twice")
	}
}

// Everything at once: one goroutine publishes, others watch and leave, and the hub is
// stopped in the middle of it, again and again.
func TestHubStartStopUnderLoad(t *testing.T) {
	for round := range 30 {
		f := &forest{window: 50, page: 7, apart: round % 3 * 40}
		h := f.hub(watch.Options{RingLimit: 1 + round, MailboxLimit: 1 + round%3})
		ran := make(chan error, 1)
		go func() { ran <- h.Run() }()
		var load sync.WaitGroup
		load.Go(func() {
			for i := range 500 {
				f.publish(h, fmt.Sprintf("/d/%d", i%7))
			}
		})
		for worker := range 4 {
			random := rand.New(rand.NewPCG(uint64(round), uint64(worker)))
			load.Go(func() {
				for range 100 {
					watchAtRandom(t, random, f, h)
				}
			})
		}
		if round%2 == 0 {
			load.Wait()
		}
		h.Stop()
		load.Wait()
		if err := <-ran; err != nil {
			t.Fatal(err)
		}
		if got := h.Watchers(); got != 0 {
			t.Errorf("got %d watchers after Stop", got)
		}
	}
}

func watchAtRandom(t *testing.T, random *rand.Rand, f *forest, h *watch.Hub) {
	_, last := f.Exists("/")
	s := &orderSink{t: t}
	s.watch = &tree.Watch{
		Key:       []string{"/", "/d", "/d/3", "/e"}[random.IntN(4)],
		Recursive: random.IntN(2) == 0,
		Stream:    random.IntN(2) == 0,
		Since:     max(1, last+3-min(last, tree.Index(random.IntN(40)))),
		Sink:      s,
	}
	if err := h.Watch(s.watch); err != nil && err.Code != tree.CodeEventIndexClosed {
		t.Error(err)
	}
	if random.IntN(2) == 0 {
		h.Unwatch(s.watch)
	}
}
