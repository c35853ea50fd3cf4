package actors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"copse/actors"
	"copse/statemachine/tree"

	"github.com/goccy/go-json"
)

// Whoever watches a quiet name goes on where it was, on any member and after a restart, whatever has
// happened below other names; a watch of the root doesn't.
func TestOthersNoiseDoesNotEmptyTheWindowOfAName(t *testing.T) {
	for _, shards := range []int{1, 3} {
		c := foundShards(t, 3, shards, func(o *actors.MemberOptions) {
			o.Window = 20
			o.Names = actors.NameLimits{Events: 50, Bytes: 1 << 20, Names: 100, Total: 1 << 30}
		})
		var want []string
		quiet := func() {
			key := fmt.Sprintf("/quiet/%d", len(want))
			c.set(1, key, "v")
			want = append(want, key)
		}
		noise := func() {
			for i := range 130 {
				c.set(2, fmt.Sprintf("/noise%d/k", i%3), "v")
			}
		}
		quiet()
		noise()
		quiet()
		c.stop(3)
		noise()
		quiet()
		c.launch(3)
		c.join(3)
		noise()
		for id, n := range c.nodes {
			for i := range 3 {
				c.holds(id, fmt.Sprintf("/noise%d/k", i), "v")
			}
			c.holds(id, "/quiet/2", "v")
			sink := &seenSink{}
			w := &tree.Watch{Key: "/quiet", Recursive: true, Stream: true, Since: 1, Sink: sink}
			if _, err := n.Watch(w); err != nil {
				t.Fatalf("%d shards, member %d: %v", shards, id, err)
			}
			defer n.Unwatch(w)
			c.await("the events", func() bool { return len(sink.all()) >= len(want) })
			var got []string
			for _, event := range sink.all() {
				_, key, _ := strings.Cut(event, " ")
				got = append(got, key)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d shards, member %d: events %v, want %v", shards, id, got, want)
			}
			for _, key := range []string{"/", "/noise0"} {
				_, err := n.Watch(&tree.Watch{Key: key, Recursive: true, Since: 1, Sink: &seenSink{}})
				if err == nil || err.Code != tree.CodeEventIndexClosed {
					t.Errorf("%d shards, member %d: a watch of %s from the first index: %v", shards, id, key, err)
				}
			}
		}
		checkHistories(t, c, shards)
	}
}

// histories is what the test reads of /v2/copse/history.
type histories struct {
	Oldest uint64 `json:"oldestIndex"`
	Shards []struct{ Shard uint64 }
	Names  []struct {
		Key    string
		Oldest uint64 `json:"oldestIndex"`
		Events int
	}
	Next string
}

func checkHistories(t *testing.T, c *testCluster, shards int) {
	t.Helper()
	keys := []string{"/noise0", "/noise1", "/noise2", "/quiet"}
	for id, n := range c.nodes {
		var got []string
		for after := ""; ; {
			body, failed := n.Histories(after, 2, func(key string) bool { return key != "/noise1" })
			var h histories
			if err := json.Unmarshal(body, &h); failed != nil || err != nil || len(h.Shards) != shards || h.Oldest == 1 || len(h.Names) > 2 {
				t.Fatalf("%s: %v, %v", body, failed, err)
			}
			for _, name := range h.Names {
				if got = append(got, name.Key); name.Key == "/quiet" && (name.Events != 3 || name.Oldest != 1) || name.Events > 200 {
					t.Errorf("member %d: %+v", id, name)
				}
			}
			if after = h.Next; after == "" {
				break
			}
		}
		if want := slices.Delete(slices.Clone(keys), 1, 2); !slices.Equal(got, want) {
			t.Errorf("%d shards, member %d: %v, want %v", shards, id, got, want)
		}
	}
}
