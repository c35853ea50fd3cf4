package statemachine

import (
	"bytes"
	"testing"

	"copse/statemachine/tree"
)

func openKeeping(t *testing.T) *Machine {
	m, err := New(Options{Dir: t.TempDir(), Replica: 1, Window: 20, WindowBytes: 1 << 30, CacheSizes: CacheSizes{Nodes: 1 << 20, Lists: 8 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

type takes struct{ left int }

func (r *takes) Take(bytes int) bool { r.left -= bytes; return r.left >= 0 }

// readWhole reads a key as a client does, and says whether the answer was kept.
func readWhole(t *testing.T, m *Machine, q tree.Query) (text []byte, kept bool, fail error) {
	t.Helper()
	kept = m.caches.lists.get(q.Key, false).file
	text, rest, missing, fail := m.Get(nil, &q, func() int64 { return 0 })
	if missing != nil {
		t.Fatal(missing)
	}
	for more := rest != nil; more && fail == nil; {
		var part []byte
		part, more, fail = rest.Next()
		text = append(text, part...)
	}
	return text, kept, fail
}

// The printed form of a large file is kept from its second read on, and shows what the file shows.
func TestLargeFilesAreKept(t *testing.T) {
	for _, length := range []int{2 * nodeCacheRecord, listingPart - 100, 3 * listingPart} {
		m := openKeeping(t)
		value := patterned(length)
		applyAll(t, m, setK(value))
		n := tree.Node{Key: "/k", Value: value, Modified: 1, Created: 1}
		want := (&tree.Query{}).AppendFile(nil, &n, 0)
		for i := range 5 {
			tag := tree.Tag{}
			got, kept, err := readWhole(t, m, tree.Query{Key: "/k", Recursive: i%2 == 0, Tag: &tag})
			if err != nil || !bytes.Equal(got, want) || kept != (i > 1) || tag.At != 1 || tag.Weak {
				t.Errorf("%d bytes, read %d: %d of %d bytes, kept %v, tag %+v, %v", length, i, len(got), len(want), kept, tag, err)
			}
		}
		tag := tree.Tag{Known: tree.Known{At: []tree.Index{1}}}
		if got, _, err := readWhole(t, m, tree.Query{Key: "/k", Tag: &tag}); len(got) != 0 || !tag.Current || err != nil {
			t.Errorf("to a client that has it: %d bytes, %+v, %v", len(got), tag, err)
		}
		if _, _, err := readWhole(t, m, tree.Query{Key: "/k", Room: &takes{length - 1}}); err == nil {
			t.Error("it is sent without room")
		}
		if got, _, err := readWhole(t, m, tree.Query{Key: "/k", Page: tree.Page{Base64: true}}); err != nil || bytes.Equal(got, want) {
			t.Errorf("in base64: %d bytes, %v", len(got), err)
		}
		applyAll(t, m, setK(value[1:]))
		if got, kept, err := readWhole(t, m, tree.Query{Key: "/k"}); err != nil || kept || !bytes.Contains(got, value[1:]) || bytes.Contains(got, value) {
			t.Errorf("after a change: %d bytes, kept %v, %v", len(got), kept, err)
		}
	}
}

// What shows a time to live changes by itself, and a directory isn't a file.
func TestWhatIsNotKeptAsAFile(t *testing.T) {
	m := openKeeping(t)
	mortal := setK(patterned(nodeCacheRecord))
	mortal.Expires = 1 << 60
	applyAll(t, m, mortal)
	for range 5 {
		if _, kept, err := readWhole(t, m, tree.Query{Key: "/k"}); kept || err != nil {
			t.Errorf("with a time to live: kept %v, %v", kept, err)
		}
	}
	applyAll(t, m, tree.Command{Op: tree.OpDelete, Key: "/k"}, tree.Command{Op: tree.OpSet, Key: "/k/x", Value: mortal.Value})
	for range 5 {
		if _, kept, err := readWhole(t, m, tree.Query{Key: "/k"}); kept || err != nil {
			t.Errorf("a directory: kept %v, %v", kept, err)
		}
	}
}
