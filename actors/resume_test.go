package actors_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"copse/statemachine/tree"
)

// resumed is a stream of server-sent events as its client sees it: what came, and the id to
// go on from. It is the Sink of one watch after the other.
type resumed struct {
	mu   sync.Mutex
	seen []string
	last tree.Index
}

// stretch is the part of a stream between two cuts; what comes after the second is lost.
type stretch struct {
	of   *resumed
	over bool
}

func (s *stretch) Deliver(n *tree.EncodedEvent) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if !s.over {
		s.of.seen = append(s.of.seen, fmt.Sprintf("%d %s", n.Index, n.Key))
		s.of.last = n.Index
	}
}

func (s *stretch) End() {}

// beat takes over what the member says it has told, as a heartbeat does.
func (s *stretch) beat(told tree.Index) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.last = max(s.of.last, told)
}

func (s *stretch) cut() tree.Index {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.over = true
	return s.of.last
}

// Streams that are cut at random moments and go on at random members, while leaders come and
// go, have each event once and in order; one key, the root, and keys of several shards.
func TestStreamsGoOnAtAnyMember(t *testing.T) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint(shards, " shards"), func(t *testing.T) {
			c := foundShards(t, 3, shards)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			var mu sync.Mutex // of nodes, and of what was written
			nodes := []node{c.nodes[1], c.nodes[2], c.nodes[3]}
			member := func(r *rand.Rand, most int) node {
				mu.Lock()
				defer mu.Unlock()
				return nodes[r.IntN(min(most, len(nodes)))]
			}
			start := c.set(1, "/start", "v").State.Index
			for id := range c.nodes {
				if _, _, _, err := c.nodes[id].Get(nil, tree.Query{Key: "/", MinIndex: start}); err != nil {
					t.Fatal(err)
				}
			}
			kinds := []tree.Watch{
				{Key: "/a", Recursive: true},
				{Key: "/", Recursive: true},
				{Key: "/a", Recursive: true, Also: &[]string{"/a/x", "/b", "/c/y"}},
				{Key: "/quiet"},
			}
			streams := make([]*resumed, len(kinds))
			done := make(chan struct{})
			var readers sync.WaitGroup
			for i := range kinds {
				streams[i] = &resumed{last: start}
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				readers.Go(func() {
					for over := false; !over; {
						select {
						case <-done:
							over = true // one more stretch, to the end
						default:
						}
						n, w, s := member(r, 3), kinds[i], &stretch{of: streams[i]}
						w.Stream, w.Sink, w.Since = true, s, s.cut()+1
						s.over = false
						if _, err := n.Watch(&w); err != nil {
							t.Errorf("stream %d from %d: %+v", i, w.Since, err)
							return
						}
						for range 1 + r.IntN(4) {
							time.Sleep(time.Duration(r.IntN(10)) * time.Millisecond)
							s.beat(n.Told(nil)[w.Hub])
						}
						if !over {
							s.cut()
							n.Unwatch(&w)
						}
					}
				})
			}
			var all []string
			var writers sync.WaitGroup
			for i := range uint64(3) {
				r := rand.New(rand.NewPCG(seed, 100+i))
				writers.Go(func() {
					for j := range 200 {
						time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond) // there is time for all that happens
						key := fmt.Sprintf("/%c/%c%d", "abcd"[r.IntN(4)], "xyz"[r.IntN(3)], j)
						reply := member(r, 2).Do(setTo(key, "v"))
						if reply.Err != nil {
							t.Errorf("a write: %+v", reply.Err)
							return
						}
						mu.Lock()
						all = append(all, fmt.Sprintf("%d %s", reply.State.Index, key))
						mu.Unlock()
					}
				})
			}
			for range 2 { // the third member leaves, with what it leads, and comes back
				mu.Lock()
				nodes = nodes[:2]
				mu.Unlock()
				c.stop(3)
				c.launch(3)
				c.join(3)
				mu.Lock()
				nodes = append(nodes, c.nodes[3])
				mu.Unlock()
			}
			writers.Wait()
			close(done)
			readers.Wait()
			for i, stream := range streams {
				var want []string
				for _, line := range all {
					var at tree.Index
					var key string
					_, _ = fmt.Sscan(line, &at, &key)
					if kinds[i].Wants(&tree.EncodedEvent{Index: at, Key: key, Action: tree.ActionSet}) {
						want = append(want, line)
					}
				}
				byIndex(want)
				got := func() []string {
					stream.mu.Lock()
					defer stream.mu.Unlock()
					return slices.Clone(stream.seen)
				}
				c.await(fmt.Sprintf("all events of stream %d", i), func() bool { return len(got()) >= len(want) })
				if got := got(); !slices.Equal(got, want) {
					t.Errorf("stream %d has\n%v, want\n%v", i, got, want)
				}
			}
		})
	}
}

// byIndex sorts lines that begin with an index.
func byIndex(lines []string) {
	index := func(line string) (at tree.Index) {
		_, _ = fmt.Sscan(line, &at)
		return at
	}
	slices.SortFunc(lines, func(a, b string) int { return int(index(a)) - int(index(b)) })
}
