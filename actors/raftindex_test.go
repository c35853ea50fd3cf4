package actors_test

import (
	"fmt"
	"sync"
	"testing"

	"copse/actors"
	"copse/statemachine/tree"
)

// raftWalk is a client of one member, which must not see X-Raft-Index fall.
type raftWalk struct {
	t    *testing.T
	n    node
	seen uint64
}

func (w *raftWalk) shown(what, key string, st tree.State, err *tree.Error) {
	w.t.Helper()
	if err != nil {
		w.t.Errorf("%s of %s: %v", what, key, err)
	} else if st.RaftIndex < w.seen {
		w.t.Errorf("%s of %s shows %d, after %d", what, key, st.RaftIndex, w.seen)
	}
	w.seen = max(w.seen, st.RaftIndex)
}

// visit asks for key in every way that shows where raft is.
func (w *raftWalk) visit(key string) {
	w.t.Helper()
	written := w.n.Do(setTo(key, "v"))
	w.shown("a write", key, written.State, written.Err)
	replies := make(chan tree.Reply, 1)
	if w.n.Submit(setTo(key, "w"), func(r tree.Reply) { replies <- r }) {
		r := <-replies
		w.shown("a write that nobody waits for", key, r.State, r.Err)
	}
	for _, q := range []tree.Query{{Key: key}, {Key: key, Quorum: true}, {Key: "/", Recursive: true}, {Key: "/", Quorum: true}} {
		_, _, st, err := w.n.Get(nil, q)
		w.shown("a read", q.Key, st, err)
	}
	if _, st, err, ok := w.n.GetCached(nil, &tree.Query{Key: key}); ok {
		w.shown("a read from memory", key, st, err)
	}
	for _, key := range []string{key, "/"} {
		watch := &tree.Watch{Key: key, Recursive: true, Stream: true, Sink: &seenSink{}}
		st, err := w.n.Watch(watch)
		w.shown("a watch", key, st, err)
		w.n.Unwatch(watch)
	}
	w.shown("the member", key, w.n.State(), nil)
}

// A client that goes from key to key never sees X-Raft-Index fall, though shards have taken different
// numbers of raft entries; through restarts neither.
func TestRaftsIndexNeverFalls(t *testing.T) {
	for _, members := range []int{1, 3} {
		t.Run(fmt.Sprint(members, " members"), func(t *testing.T) {
			c := foundShards(t, members, 4, func(o *actors.MemberOptions) { o.Host.ExecShards = 2 })
			for range 20 {
				c.set(1, "/busy", "v")
			}
			begin := uint64(0)
			for range 2 {
				var all sync.WaitGroup
				walks := make([]*raftWalk, 4)
				for i := range walks {
					walks[i] = &raftWalk{t: t, n: c.nodes[1], seen: begin}
					all.Go(func() {
						for round := range 8 {
							walks[i].visit(fmt.Sprintf("/k%d", i+round))
							walks[i].visit("/busy")
						}
					})
				}
				all.Wait()
				for _, w := range walks {
					begin = max(begin, w.seen)
				}
				c.stop(1)
				c.launch(1)
				c.join(1)
			}
		})
	}
}
