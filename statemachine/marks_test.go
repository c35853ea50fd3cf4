package statemachine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

// held is what a client has of a listing or a file: a tag, and the text that came with it.
type held struct {
	at   tree.Index
	text string
}

// tagReader is clients of several members that all hold on to what they have read.
type tagReader struct {
	of map[string][]held // by query
}

func (r *tagReader) known(name string) (k tree.Known) {
	for _, h := range r.of[name] {
		k.At = append(k.At, h.at)
	}
	return k
}

// hold keeps what was read, and fails if another text has the same tag.
func (r *tagReader) hold(t rapid.TB, name string, h held) {
	t.Helper()
	if h.at == 0 {
		t.Fatalf("%s: an answer has no tag", name)
	}
	for _, old := range r.of[name] {
		if old.at == h.at && old.text != h.text {
			t.Fatalf("%s: two answers of index %d:\n%s\n%s", name, h.at, old.text, h.text)
		}
	}
	if r.of == nil {
		r.of = map[string][]held{}
	}
	if list := r.of[name]; len(list) > 5 {
		r.of[name] = list[1:]
	}
	r.of[name] = append(r.of[name], h)
}

// check reads with all tags that clients have, and compares with a read without any. get returns
// the text, or none.
func (r *tagReader) check(t rapid.TB, name string, get func(*tree.Tag) (text string, found bool)) {
	t.Helper()
	want, found := get(nil)
	if !found {
		return
	}
	tag := &tree.Tag{Known: r.known(name)}
	text, _ := get(tag)
	if !tag.Current {
		if text != want {
			t.Fatalf("%s: got %s want %s", name, text, want)
		}
		r.hold(t, name, held{tag.At, text})
	} else if i := slices.IndexFunc(r.of[name], func(h held) bool { return h.at == tag.At }); i < 0 || r.of[name][i].text != want {
		t.Fatalf("%s: a client with the tags %+v is told that %d is current, where there is %s", name, r.of[name], tag.At, want)
	}
	// What was read just now is current, by its tag alone and by any.
	for _, k := range []tree.Known{{At: []tree.Index{1 << 60, tag.At, 0}}, {Any: true}} {
		again := &tree.Tag{Known: k}
		if get(again); !again.Current || !k.Any && again.At != tag.At {
			t.Fatalf("%s: %+v after %+v", name, again, tag)
		}
	}
}

var tagQueries = append([]tree.Query{
	{Key: "/a", Page: tree.Page{Hidden: true}}, {Key: "/", Page: tree.Page{Depth: 2}}, {Key: "/", Recursive: true, Page: tree.Page{Depth: 1}},
	{Key: "/a", Recursive: true, Page: tree.Page{Count: true}}, {Key: "/a/b", Page: tree.Page{KeysOnly: true}},
}, modelQueries...)

func TestATagIsCurrentIfTheAnswerIsTheSame(t *testing.T) {
	options := plainOptions()
	options.Nodes, options.Lists = 16<<10, 64<<10
	rapid.Check(t, func(rt *rapid.T) {
		entries := raftLog(rt, commands().Draw(rt, "commands"))
		members := []*statemachine.Machine{mustOpen(rt, options, "/one", vfs.NewMem()), mustOpen(rt, options, "/two", vfs.NewMem())}
		left := [][]sm.Entry{entries, entries}
		defer func() {
			for _, m := range members {
				mustClose(rt, m)
			}
		}()
		r := &tagReader{}
		for len(left[0]) > 0 || len(left[1]) > 0 {
			i := rapid.IntRange(0, 1).Draw(rt, "member")
			m := members[i]
			switch n := rapid.IntRange(0, min(3, len(left[i]))).Draw(rt, "entries"); {
			case n > 0:
				if _, err := m.Update(slices.Clone(left[i][:n])); err != nil {
					rt.Fatal(err)
				}
				left[i] = left[i][n:]
			case len(left[1-i]) < len(left[i]) && rapid.IntRange(0, 9).Draw(rt, "snapshot") == 0:
				if err := m.RecoverFromSnapshot(bytes.NewReader(dump(rt, members[1-i])), nil); err != nil {
					rt.Fatal(err)
				}
				left[i] = left[1-i]
			}
			if m.Index() == 0 {
				continue // there is nothing that a tag could tell
			}
			for range 3 {
				q := rapid.SampledFrom(tagQueries).Draw(rt, "query")
				name := fmt.Sprint(q)
				q.RestFrom = rapid.SampledFrom([]int{0, 1, 500}).Draw(rt, "rest from")
				r.check(rt, name, func(tag *tree.Tag) (string, bool) {
					q.Tag = tag
					if q.Plain() {
						out, rest, err, fail := m.Get(nil, &q, at(modelNow))
						text, _ := whole(rt, out, rest, fail)
						return string(text), err == nil
					}
					out, rest, err, fail := statemachine.GetPage([]*statemachine.Machine{m}, nil, &q, statemachine.PageOptions{}, at(modelNow))
					text, _ := whole(rt, out, rest, fail)
					return withoutIndex(text), err == nil
				})
			}
		}
	})
}

// withoutIndex is a page without the index that it is of, which grows without a change.
func withoutIndex(page []byte) string {
	text, _, _ := bytes.Cut(page, []byte(`,"atIndex":`))
	return string(text)
}

func TestATagOfTheRootOfSeveral(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSeveral(rt, func() vfs.FS { return vfs.NewMem() })
		defer s.close(rt)
		r := &tagReader{}
		for _, c := range commands().Draw(rt, "commands") {
			if c.Op.Membership() || c.Op == tree.OpExpire || c.Op == tree.OpCreateInOrder && c.Key == "/" {
				continue
			}
			if rapid.Bool().Draw(rt, "write") {
				s.do(rt, c)
			}
			if s.last == 0 {
				continue
			}
			q := tree.Query{Key: "/", Recursive: rapid.Bool().Draw(rt, "recursive")}
			r.check(rt, fmt.Sprint(q), func(tag *tree.Tag) (string, bool) {
				q.Tag = tag
				out, rest, fail := statemachine.GetAcross(s.machines, nil, &q, s.last, modelNow)
				text, _ := whole(rt, out, rest, fail)
				return string(text), true
			})
			// Where changes below the closed index may be missing, nothing can be told.
			at := s.last
			q.Tag = &tree.Tag{}
			out, rest, fail := statemachine.GetAcross(s.machines, nil, &q, 0, modelNow)
			if whole(rt, out, rest, fail); q.Tag.At != 0 {
				rt.Fatalf("a tag %d above the closed index", q.Tag.At)
			}
			q.Tag = &tree.Tag{Known: tree.Known{At: []tree.Index{at}}}
			out, rest, fail = statemachine.GetAcross(s.machines, nil, &q, at-1, modelNow)
			if whole(rt, out, rest, fail); q.Tag.Current {
				rt.Fatalf("%d is current, and the closed index below it", at)
			}
		}
	})
}

func TestAPageOfAnIndexIsCurrentForItsOwnTag(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	machines, raft := []*statemachine.Machine{m}, uint64(0)
	put := func(key string) {
		raft++
		c := tree.Command{Op: tree.OpSet, Key: key, Value: []byte("x"), Now: 1}
		if _, err := m.Update([]sm.Entry{{Index: raft, Cmd: tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)}}); err != nil {
			t.Fatal(err)
		}
	}
	get := func(p tree.Page, known ...tree.Index) *tree.Tag {
		q := &tree.Query{Key: "/d", Page: p, Tag: &tree.Tag{Known: tree.Known{At: known}}}
		out, rest, err, fail := statemachine.GetPage(machines, nil, q, statemachine.PageOptions{}, at(modelNow))
		if whole(t, out, rest, fail); err != nil {
			t.Fatal(err)
		}
		return q.Tag
	}
	put("/d/a")
	put("/d/b")
	first := get(tree.Page{Limit: 1})
	put("/d/c")
	if tag := get(tree.Page{Limit: 1, At: first.At, After: "/d/a"}); tag.At != first.At {
		t.Errorf("the second page is of %d, the first of %d", tag.At, first.At)
	}
	if tag := get(tree.Page{Limit: 1, At: first.At, After: "/d/a"}, first.At); !tag.Current {
		t.Error("the page of an index has changed")
	}
	if tag := get(tree.Page{Limit: 1, At: first.At, After: "/d/a"}, m.Index()); tag.Current {
		t.Error("the page of an index is that of another")
	}
	if tag := get(tree.Page{Limit: 1}, first.At); tag.Current {
		t.Error("a page is current after a change")
	}
}

func TestRawBytesOfAFile(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	for i, value := range []string{"", "text", "\x00\xff\xfe", large + "\xff"} {
		key := fmt.Sprintf("/d/%d", i)
		c := tree.Command{Op: tree.OpSet, Key: key, Value: []byte(value), Now: 1, Expires: modelNow * 2}
		if _, err := m.Update([]sm.Entry{{Index: uint64(i + 1), Cmd: tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)}}); err != nil {
			t.Fatal(err)
		}
		modified := tree.Index(0)
		q := &tree.Query{Key: key, Raw: &modified, Tag: &tree.Tag{}}
		out, rest, err, fail := m.Get([]byte("before "), q, at(modelNow))
		if string(out) != "before "+value || rest != nil || err != nil || fail != nil || modified != m.Index() || q.Tag.At != modified || q.Tag.Weak {
			t.Errorf("%q: got %q of %d, %+v, %v, %v", value, out, modified, q.Tag, err, fail)
		}
		q.Tag = &tree.Tag{Known: tree.Known{At: []tree.Index{modified}}}
		if out, _, _, _ := m.Get(nil, q, at(modelNow)); len(out) != 0 || !q.Tag.Current {
			t.Errorf("%q is sent to a client that has it", value)
		}
	}
	for _, key := range []string{"/d", "/"} {
		_, _, err, _ := m.Get(nil, &tree.Query{Key: key, Raw: new(tree.Index)}, at(modelNow))
		if err == nil || err.Code != tree.CodeNotFile || err.Cause != key || err.Index != m.Index() {
			t.Errorf("%s: got %+v", key, err)
		}
	}
}

// tagHistory is a log, and what each query shows at each index.
type tagHistory struct {
	queries []tree.Query
	entries []sm.Entry
	texts   []map[tree.Index]string // of each query
}

func newTagHistory(writes int) *tagHistory {
	h := &tagHistory{queries: []tree.Query{{Key: "/"}, {Key: "/", Recursive: true}, {Key: "/d"}, {Key: "/d", Recursive: true}, {Key: "/d/e", Recursive: true}, {Key: "/d/f"}}}
	for range h.queries {
		h.texts = append(h.texts, map[tree.Index]string{})
	}
	rng := rand.New(rand.NewPCG(18, 5))
	want := &model{}
	for i := range writes {
		c := tree.Command{Op: tree.OpSet, Key: []string{"/d/f", "/d/e/a", "/d/e/b", "/x", "/d/a"}[rng.IntN(5)], Value: fmt.Append(nil, i), Now: 1}
		switch at := i % 250; {
		case at == 220 || rng.IntN(20) == 0 && at < 150:
			c = tree.Command{Op: tree.OpDelete, Key: "/d/e", Recursive: true}
		case at >= 150 && at < 220:
			c.Key = fmt.Sprintf("/d/e/many/%d", i) // so many that their directory goes at once
		}
		want.apply(&c)
		h.entries = append(h.entries, sm.Entry{Index: uint64(i + 1), Cmd: tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)})
		for i := range h.queries {
			h.texts[i][want.last] = want.get(&h.queries[i], modelNow)
		}
	}
	return h
}

// shows reports whether the query shows the text at any index from one to another.
func (h *tagHistory) shows(query int, text string, from, to tree.Index) bool {
	for at := from; at <= to; at++ {
		if h.texts[query][at] == text {
			return true
		}
	}
	return false
}

// Readers beside a writer never get a tag for another text than that of its index, and are never
// told that what they have is current when it has been replaced before they asked.
func TestTagsBesideAWriter(t *testing.T) {
	h := newTagHistory(3000)
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	if _, err := m.Update(slices.Clone(h.entries[:1])); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for reader := range 4 {
		readers.Go(func() {
			rng, has := rand.New(rand.NewPCG(uint64(reader), 1)), make([]held, len(h.queries))
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true // and once more
				default:
				}
				i := rng.IntN(len(h.queries))
				q := h.queries[i]
				q.Tag = &tree.Tag{}
				if has[i].at != 0 {
					q.Tag.Known.At = []tree.Index{has[i].at}
				}
				before := m.Index()
				text, err := readAll(m, &q, modelNow)
				after := m.Index() + 8 // what is being applied may be seen before its index
				switch {
				case err != nil:
					t.Error(err)
				case q.Tag.Current:
					if !h.shows(i, has[i].text, before, after) {
						t.Errorf("%+v: what a client has of %d is current, between %d and %d: %s", q, has[i].at, before, after, has[i].text)
					}
				case q.Tag.At == 0: // there is no such node
				case h.texts[i][q.Tag.At] != text:
					t.Errorf("%+v: %d is said to show %s, and showed %s", q, q.Tag.At, text, h.texts[i][q.Tag.At])
				default:
					has[i] = held{q.Tag.At, text}
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for left := h.entries[1:]; len(left) > 0; {
		n := min(len(left), 1+rng.IntN(4))
		if _, err := m.Update(slices.Clone(left[:n])); err != nil {
			t.Error(err)
			break
		}
		left = left[n:]
	}
	close(done)
	readers.Wait()
}
