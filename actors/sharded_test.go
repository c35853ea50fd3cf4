package actors_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"copse/actors"
	"copse/actors/cluster"
	"copse/statemachine/tree"

	"github.com/goccy/go-json"
)

// seenSink records the indexes and keys of a watcher's events.
type seenSink struct {
	mu   sync.Mutex
	seen []string
}

func (s *seenSink) Deliver(n *tree.EncodedEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, fmt.Sprintf("%d %s", n.Index, n.Key))
}

func (s *seenSink) End() {}

func (s *seenSink) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Watchers of / on every member see the events of all shards in one order, and so does
// a late one; a read of / shows all keys.
func TestWhatSpansTheShardsIsOneEverywhere(t *testing.T) {
	c := foundShards(t, 3, 4)
	sinks := map[uint64]*seenSink{}
	for id, n := range c.nodes {
		sinks[id] = &seenSink{}
		w := &tree.Watch{Key: "/", Recursive: true, Stream: true, Sink: sinks[id]}
		if _, err := n.Watch(w); err != nil {
			t.Fatal(err)
		}
		defer n.Unwatch(w)
	}
	const writers, writes = 4, 20
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for j := range writes {
				c.set(uint64(1+i%3), fmt.Sprintf("/k%d-%d/x", i, j), "v")
			}
		})
	}
	all.Wait()
	for id, sink := range sinks {
		c.await(fmt.Sprintf("all events on member %d", id), func() bool { return len(sink.all()) >= writers*writes })
	}
	for id, sink := range sinks {
		if got, want := sink.all(), sinks[1].all(); !slices.Equal(got, want) {
			t.Errorf("member %d sees\n%v, member 1\n%v", id, got, want)
		}
	}
	want := sinks[1].all()
	if len(want) != writers*writes {
		t.Fatalf("there were %d events, want %d", len(want), writers*writes)
	}
	late := &seenSink{}
	w := &tree.Watch{Key: "/", Recursive: true, Stream: true, Since: 1, Sink: late}
	if _, err := c.nodes[2].Watch(w); err != nil {
		t.Fatal(err)
	}
	defer c.nodes[2].Unwatch(w)
	c.await("the events of the past", func() bool { return len(late.all()) >= len(want) })
	if got := late.all(); !slices.Equal(got, want) {
		t.Errorf("from the past come\n%v, want\n%v", got, want)
	}
	for id, n := range c.nodes {
		out, rest, st, err := n.Get(nil, tree.Query{Key: "/", Recursive: true, Quorum: true})
		if err != nil || rest != nil {
			t.Fatalf("member %d: %v, %v", id, rest, err)
		}
		if got := strings.Count(string(out), `/x"`); got != writers*writes {
			t.Errorf("member %d lists %d keys", id, got)
		}
		var last tree.Index
		_, _ = fmt.Sscan(want[len(want)-1], &last)
		if st.Index < last {
			t.Errorf("member %d promises index %d, and shows %d", id, st.Index, last)
		}
	}
}

// The root of several shards comes in pages of one index, on each member.
func TestPagesOfSeveralShards(t *testing.T) {
	c := foundShards(t, 3, 3)
	for i := range 30 {
		c.set(1, fmt.Sprintf("/k%02d/x", i), "v")
	}
	names := 30
	for id, n := range c.nodes {
		q := tree.Query{Key: "/", Quorum: true, Page: tree.Page{Limit: 7}}
		var keys []string
		before := names
		for {
			out, rest, _, err := n.Get(nil, q)
			if err != nil || rest != nil {
				t.Fatalf("member %d: %v, %v", id, rest, err)
			}
			var page struct {
				Node    struct{ Nodes []struct{ Key string } }
				AtIndex tree.Index
				After   string
			}
			if err := json.Unmarshal(out, &page); err != nil {
				t.Fatal(err)
			}
			for _, below := range page.Node.Nodes {
				keys = append(keys, below.Key)
			}
			if q.Page.At != 0 && page.AtIndex != q.Page.At {
				t.Fatalf("member %d: a page at index %d after one at %d", id, page.AtIndex, q.Page.At)
			}
			if page.After == "" {
				break
			}
			q.Page.After, q.Page.At = page.After, page.AtIndex
			c.set(1, fmt.Sprintf("/k%02d-meanwhile-%d", len(keys), id), "v")
			names++
		}
		if len(keys) != before {
			t.Errorf("member %d shows %d names, want %d: %q", id, len(keys), before, keys)
		}
		for other, m := range c.nodes {
			if _, _, _, err := m.Get(nil, q); other != id && (err == nil || err.Code != tree.CodeEventIndexClosed) {
				t.Errorf("member %d knows the page of member %d: %v", other, id, err)
			}
		}
	}
}

// Leaders spread over the members, move when a member stops, and return with it.
func TestLeadersAreSpread(t *testing.T) {
	c := foundShards(t, 3, 4)
	spread := func() bool {
		for _, n := range c.nodes {
			if !slices.Equal(n.node.ShardLeaders(), []uint64{1, 2, 3, 1}) {
				return false
			}
		}
		return true
	}
	c.await("leaders to be spread", spread)
	c.stop(2)
	c.await("a leader for all shards", func() bool {
		for _, n := range c.nodes {
			if slices.ContainsFunc(n.node.ShardLeaders(), func(id uint64) bool { return id == 0 || id == 2 }) {
				return false
			}
		}
		return true
	})
	for i := range 20 {
		c.set(1, fmt.Sprintf("/w%d", i), "v")
	}
	c.launch(2)
	c.join(2)
	c.await("leaders to be spread again", spread)
	for i := range 20 {
		c.holds(2, fmt.Sprintf("/w%d", i), "v")
	}
}

// A member started with another number of shards is told so, whether it founds the
// cluster or joins it.
func TestMembersAgreeOnTheNumberOfShards(t *testing.T) {
	c := foundShards(t, 1, 2)
	peer := freeAddress(t)
	m, err := c.nodes[1].AddMember([]string{"http://" + peer})
	if err != nil {
		t.Fatal(err)
	}
	c.peers[m.ID] = peer
	f := c.fresh(m.ID)
	f.Peers.Ask = askPeer
	f.Wanted.Shards = 1
	if _, _, err := cluster.Identify(t.Context(), f); !errors.Is(err, cluster.ErrShards) || actors.ReasonOf(err) != actors.Contradicted {
		t.Errorf("a founder of another number: %v", err)
	}
	f.Existing, f.Shards = true, 3
	if _, _, err := cluster.Identify(t.Context(), f); !errors.Is(err, cluster.ErrShards) || actors.ReasonOf(err) != actors.Contradicted {
		t.Errorf("one that joins with another number: %v", err)
	}
	f.Shards = 0
	if id, _, err := cluster.Identify(t.Context(), f); err != nil || id.Shards != 2 {
		t.Errorf("one that joins without a number: %d shards, %v", id.Shards, err)
	}
}

func TestShardsTellWhatTheyHold(t *testing.T) {
	for _, shards := range []int{1, 3} {
		c := foundShards(t, 1, shards)
		const writes = 10
		for i := range writes {
			c.set(1, fmt.Sprintf("/k%d", i), "v")
		}
		var got tree.ShardsStatus
		c.await("all to be closed", func() bool {
			got = c.nodes[1].Shards()
			return got.Order == nil || got.Closed == got.Order.Index
		})
		if len(got.Data) != shards || (got.Order != nil) != (shards > 1) {
			t.Fatalf("of %d shards it tells %+v", shards, got)
		}
		nodes := uint64(0)
		for slot, s := range got.Data {
			nodes += s.Nodes
			if s.Slot != slot || s.Leader != 1 || s.Term == 0 || s.Applied == 0 || s.Bytes == 0 || !slices.Equal(s.Members, []uint64{1}) {
				t.Errorf("slot %d of %d: %+v", slot, shards, s)
			}
		}
		if nodes != writes {
			t.Errorf("%d shards hold %d nodes, want %d", shards, nodes, writes)
		}
	}
}
