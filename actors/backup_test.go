package actors_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"

	"copse/statemachine/portable"
	"copse/statemachine/tree"
)

// eventSink keeps a watcher's events.
type eventSink struct {
	mu     sync.Mutex
	events []*tree.EncodedEvent
}

func (s *eventSink) Deliver(n *tree.EncodedEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, n)
}

func (s *eventSink) End() {}

func (s *eventSink) last() tree.Index {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) == 0 {
		return 0
	}
	return s.events[len(s.events)-1].Index
}

// filesAt are the files, with their indexes, that there are after the events up to at.
func (s *eventSink) filesAt(at tree.Index) map[string]tree.Index {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := map[string]tree.Index{}
	for _, e := range s.events {
		switch {
		case e.Index > at:
			return files
		case e.Action.Removes():
			maps.DeleteFunc(files, func(key string, _ tree.Index) bool { return key == e.Key || tree.Within(e.Key, key) })
		default:
			files[e.Key] = e.Index
		}
	}
	return files
}

func filesOf(t *testing.T, file []byte) (h portable.Header, files map[string]tree.Index) {
	t.Helper()
	r, err := portable.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]tree.Index{}
	for {
		it, err := r.Next()
		if err == io.EOF {
			return r.Header(), files
		} else if err != nil {
			t.Fatal(err)
		}
		if it.Node != nil && !it.Node.Dir {
			files[it.Node.Key] = it.Node.Modified
		}
	}
}

// whole reads a backup to its end, and closes it: the stores can't be closed before.
func whole(rest tree.Rest) (file []byte, err error) {
	defer rest.Close()
	for more := true; more; {
		var part []byte
		if part, more, err = rest.Next(); err != nil {
			return nil, err
		}
		file = append(file, part...)
	}
	return file, nil
}

// A backup that is taken while others write is the tree at its index, exactly: it has what
// the events up to there say, and nothing of those above.
func TestABackupUnderLoadIsTheTreeAtOneIndex(t *testing.T) {
	for _, shards := range []int{1, 4} {
		t.Run(fmt.Sprint(shards, " shards"), func(t *testing.T) {
			c := foundShards(t, 3, shards)
			sink := &eventSink{}
			w := &tree.Watch{Key: "/", Recursive: true, Stream: true, Sink: sink}
			if _, err := c.nodes[1].Watch(w); err != nil {
				t.Fatal(err)
			}
			defer c.nodes[1].Unwatch(w)
			stop := make(chan struct{})
			var writers sync.WaitGroup
			for i := range 4 {
				writers.Go(func() {
					for j := 0; ; j++ {
						select {
						case <-stop:
							return
						default:
						}
						dir := fmt.Sprintf("/d%d-%d", i, j%5)
						if j%7 == 6 {
							c.nodes[uint64(1+i%3)].Do(&tree.Command{Op: tree.OpDelete, Key: dir, Dir: true, Recursive: true})
							continue
						}
						c.set(uint64(1+i%3), fmt.Sprintf("%s/k%d", dir, j%3), fmt.Sprint(j))
					}
				})
			}
			files := map[uint64][][]byte{}
			for round := range 5 {
				for id, n := range c.nodes {
					before := c.set(1, "/before", fmt.Sprint(round)).State.Index
					rest, st, err := n.Backup(false)
					if err != nil {
						t.Error(err)
						continue
					}
					if st.Index < before {
						t.Errorf("a backup at %d lacks the write at %d, which was acknowledged", st.Index, before)
					}
					file, fail := whole(rest)
					if fail != nil {
						t.Errorf("at %d: %v", st.Index, fail)
						continue
					}
					files[id] = append(files[id], file)
				}
			}
			close(stop)
			writers.Wait()
			last := c.set(1, "/after", "").State.Index
			c.await("all events", func() bool { return sink.last() >= last })
			grown := false
			for id, list := range files {
				for _, file := range list {
					h, got := filesOf(t, file)
					want := sink.filesAt(h.Index)
					grown = grown || len(want) > 1
					if !maps.Equal(got, want) {
						t.Errorf("member %d at %d: got %v\nwant %v", id, h.Index, got, want)
					}
					if h.Shards != shards {
						t.Errorf("%d shards", h.Shards)
					}
				}
			}
			if !grown {
				t.Error("nothing was written meanwhile")
			}
		})
	}
}

// Without a leader, a backup is refused, but for one of what the member has.
func TestAStaleBackupNeedsNoLeader(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 2} {
		c := foundShards(t, 3, shards)
		c.set(1, "/k", "v")
		for _, id := range c.ids()[1:] {
			c.stop(id)
		}
		survivor := c.ids()[0]
		if _, _, err := c.nodes[survivor].Backup(false); err == nil || err.Code != tree.CodeRaftInternal {
			t.Errorf("without a quorum: %v", err)
		}
		rest, _, err := c.nodes[survivor].Backup(true)
		if err != nil {
			t.Fatal(err)
		}
		rest.Close()
	}
}
