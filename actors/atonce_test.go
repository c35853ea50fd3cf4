package actors_test

import (
	"fmt"
	"strings"
	"testing"

	"copse/statemachine/tree"
)

// TestWhatComesWithoutAWait has nobody wait: writes, reads that are in memory, and quorum reads.
func TestWhatComesWithoutAWait(t *testing.T) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint(shards, " shards"), func(t *testing.T) {
			c := foundShards(t, 1, shards)
			n := c.nodes[1]
			replies, confirmed := make(chan tree.Reply, 1), make(chan error, 1)
			for i, key := range []string{"/a", "/b/c", "/a"} {
				if !n.Submit(setTo(key, fmt.Sprint("v", i)), func(r tree.Reply) { replies <- r }) {
					t.Fatalf("write %d isn't taken", i)
				}
				reply := <-replies
				if reply.Err != nil || !strings.Contains(string(reply.JSON), fmt.Sprintf("%q", fmt.Sprint("v", i))) {
					t.Fatalf("write %d: %s, %v", i, reply.JSON, reply.Err)
				}
				q := tree.Query{Key: key, Quorum: true}
				want, _, _, _ := n.Get(nil, q)
				if ok := n.Confirm(&q, func(err error) { confirmed <- err }); ok != (shards == 1) {
					t.Fatalf("a quorum read of a key that has been read: %v", ok)
				} else if ok {
					if err := <-confirmed; err != nil {
						t.Error(err)
					}
				}
				if _, _, _, ok := n.GetCached(nil, &q); ok {
					t.Error("a quorum read is answered as it comes")
				}
				q.Quorum = false
				got, st, err, ok := n.GetCached(nil, &q)
				if !ok || err != nil || string(got) != string(want) || st.Index < reply.State.Index {
					t.Errorf("%s: %s, %v, %v at %d want %s", key, got, err, ok, st.Index, want)
				}
			}
			missing := tree.Query{Key: "/b/c/d"}
			if _, _, _, ok := n.GetCached(nil, &missing); ok {
				t.Error("a key that nobody has asked for is known")
			}
			_, _, _, want := n.Get(nil, missing)
			if _, _, err, ok := n.GetCached(nil, &missing); !ok || err == nil || *err != *want {
				t.Errorf("a key below a file: %v, %v want %v", err, ok, want)
			}
			for name, q := range map[string]tree.Query{"a directory": {Key: "/b"}, "an index to come": {Key: "/a", MinIndex: 1}, "bytes": {Key: "/a", Raw: new(tree.Index)}} {
				if _, _, _, ok := n.GetCached(nil, &q); ok {
					t.Errorf("%s is answered", name)
				}
			}
			if n.Submit(&tree.Command{Op: tree.OpTxn, Key: "/a"}, func(tree.Reply) {}) {
				t.Error("a transaction is taken")
			}
		})
	}
}

// TestWhatIsLoadedComesWithoutAWait has what is on disk brought into memory, as far as that helps.
func TestWhatIsLoadedComesWithoutAWait(t *testing.T) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint(shards, " shards"), func(t *testing.T) {
			c := foundShards(t, 1, shards)
			n := c.nodes[1]
			large := strings.Repeat("v", 20<<10)
			for key, value := range map[string]string{"/a": "v", "/b/c": "v", "/large": large, "/d/large": large} {
				if r := n.Do(setTo(key, value)); r.Err != nil {
					t.Fatal(r.Err)
				}
			}
			c.stop(1) // what is new is in memory
			c.launch(1)
			c.join(1)
			n = c.nodes[1]
			for _, test := range []struct {
				key           string
				loads, enough bool // Load has something to do, and GetCached can answer after it
			}{
				{"/a", true, true}, {"/a", false, true}, {"/b/c", true, true}, {"/b", true, false}, {"/b", false, false}, {"/", false, false},
				{"/large", true, false}, {"/large", false, false}, {"/large/below", false, false}, {"/large/below", false, false}, {"/d/large", true, false}, {"/d/large/below", true, false}, {"/d/large/below", false, false}, {"/none", true, true}, {"/a/below", true, true}, {"/none/below", true, true}, {"/none/below", false, true},
			} {
				q := tree.Query{Key: test.key}
				if n.Loads(&q) != test.loads {
					t.Errorf("%s: whether it is loaded should be %v", test.key, test.loads)
				}
				if n.Load(&q); test.loads && !test.enough && n.Loads(&q) != strings.HasSuffix(test.key, "/large") {
					t.Errorf("%s, loaded, is loaded again: %v", test.key, n.Loads(&q))
				}
				got, _, failed, ok := n.GetCached(nil, &q)
				if ok != test.enough {
					t.Errorf("%s, loaded, is in memory: %v", test.key, ok)
				}
				want, _, _, err := n.Get(nil, q)
				if ok && (string(got) != string(want) || (failed == nil) != (err == nil) || err != nil && *failed != *err) {
					t.Errorf("%s: %s, %v; want %s, %v", test.key, got, failed, want, err)
				}
			}
			for name, q := range map[string]tree.Query{"a quorum read": {Key: "/x", Quorum: true}, "an index to come": {Key: "/x", MinIndex: 1}, "bytes": {Key: "/x", Raw: new(tree.Index)}, "a recursive listing": {Key: "/x", Recursive: true}} {
				if n.Loads(&q) {
					t.Errorf("%s is loaded", name)
				}
			}
		})
	}
}
