package statemachine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/goccy/go-json"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

// answered is the answer to a read that isn't plain.
type answered struct {
	Node    shownNode
	Count   *int
	AtIndex tree.Index
	After   *string
}

type shownNode struct {
	Key           string
	Dir           bool
	Value         *string
	CreatedIndex  tree.Index
	ModifiedIndex tree.Index
	Nodes         []shownNode
}

// flat are the nodes below n, in their order.
func (n *shownNode) flat() (list []string) {
	for i := range n.Nodes {
		below := &n.Nodes[i]
		value := "-"
		if below.Value != nil {
			value = *below.Value
		}
		list = append(list, fmt.Sprintf("%s %v %s %d %d", below.Key, below.Dir, value, below.CreatedIndex, below.ModifiedIndex))
		list = append(list, below.flat()...)
	}
	return list
}

// page reads a page as a client gets it, in the end.
func (s *several) page(t rapid.TB, q tree.Query) (a answered, err *tree.Error) {
	t.Helper()
	machines := s.machines
	if q.Key != "/" {
		machines = machines[tree.Slot(q.Key, slots):][:1]
	}
	o := statemachine.PageOptions{CutOptions: statemachine.CutOptions{
		Counter: func() tree.Index { return s.last },
		Closed:  func(tree.Index) error { return nil },
	}}
	out, rest, err, fail := statemachine.GetPage(machines, nil, &q, o, func() int64 { return modelNow })
	out, _ = whole(t, out, rest, fail)
	if err == nil {
		if err := json.Unmarshal(out, &a); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return a, err
}

// wanted are the nodes that a listing shows, of the whole tree of the model.
func (s *several) wanted(q *tree.Query) (list []string) {
	depth := q.Page.Depth
	if depth == 0 && !q.Recursive {
		depth = 1
	}
	for _, n := range s.whole.Below(q.Key) {
		below := strings.TrimPrefix(strings.TrimPrefix(n.Key, q.Key), "/")
		hidden := strings.HasPrefix(below, "_") || strings.Contains(below, "/_")
		if hidden && !q.Page.Hidden || depth != 0 && strings.Count(below, "/") >= depth {
			continue
		}
		value := "-"
		if !n.Dir && !q.Page.KeysOnly {
			value = string(n.Value)
		}
		list = append(list, fmt.Sprintf("%s %v %s %d %d", n.Key, n.Dir, value, n.Created, n.Modified))
	}
	return list
}

func keyOf(shown string) string { return strings.SplitN(shown, " ", 2)[0] }

// A listing in pages is the listing of one moment, whatever changes between them.
func TestPages(t *testing.T) {
	name := rapid.SampledFrom([]string{"a", "a!", "b", "_h", "c"})
	key := rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(name, 1, 4).Draw(t, "names"), "/")
	})
	rapid.Check(t, func(rt *rapid.T) {
		s := newSeveral(rt, func() vfs.FS { return vfs.NewMem() })
		defer s.close(rt)
		change := func(most int) {
			for range rapid.IntRange(0, most).Draw(rt, "changes") {
				c := tree.Command{Op: tree.OpSet, Key: key.Draw(rt, "key"), Now: 1}
				switch rapid.IntRange(0, 5).Draw(rt, "kind") {
				case 0:
					c.Op, c.Recursive, c.Dir = tree.OpDelete, true, true
				case 1:
					c.Value = []byte(strings.Repeat("large", 300))
				default:
					c.Value = []byte(c.Key)
				}
				s.do(rt, c)
			}
		}
		change(40)
		q := tree.Query{Key: rapid.OneOf(rapid.Just("/"), key).Draw(rt, "listed"), Recursive: rapid.Bool().Draw(rt, "recursive")}
		q.Page = tree.Page{
			Limit:    rapid.IntRange(1, 5).Draw(rt, "limit"),
			Depth:    rapid.IntRange(0, 3).Draw(rt, "depth"),
			KeysOnly: rapid.Bool().Draw(rt, "keys only"),
			Hidden:   rapid.Bool().Draw(rt, "hidden"),
		}
		want, count := s.wanted(&q), q
		count.Page.Limit, count.Page.Count = 0, true
		a, err := s.page(rt, count)
		if n, missing := tree.Find(&s.whole, q.Key); missing != nil || !n.Dir {
			if (err == nil) != (missing == nil) || err != nil && (err.Code != missing.Code || err.Cause != missing.Cause) {
				rt.Fatalf("%+v, want %+v", err, missing)
			}
			return
		}
		if err != nil || *a.Count != len(want) || a.Node.Nodes != nil {
			rt.Fatalf("count %+v, %+v, want %d", a, err, len(want))
		}
		var got []string
		for {
			a, err := s.page(rt, q)
			if err != nil {
				rt.Fatalf("%+v: %v", q, err)
			}
			if q.Page.At != 0 && a.AtIndex != q.Page.At {
				rt.Fatalf("a page at index %d after one at %d", a.AtIndex, q.Page.At)
			}
			// Behind directories that are open, only nodes that no page has shown.
			page := a.Node.flat()
			for len(page) > 0 && len(got) > 0 && slices.Contains(got, page[0]) {
				page = page[1:]
			}
			if len(page) > q.Page.Limit || a.After != nil && len(page) != q.Page.Limit {
				rt.Fatalf("%d nodes with a limit of %d", len(page), q.Page.Limit)
			}
			if got = append(got, page...); a.After == nil {
				break
			}
			if *a.After != keyOf(got[len(got)-1]) {
				rt.Fatalf("after %s, but the last node is %s", *a.After, got[len(got)-1])
			}
			q.Page.After, q.Page.At = *a.After, a.AtIndex
			change(5)
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("%+v:\n got %q\nwant %q", q, got, want)
		}
	})
}

// Pages that can't be had of the moment of the first are refused.
func TestAPageOfAMomentThatIsGone(t *testing.T) {
	s := newSeveral(t, func() vfs.FS { return vfs.NewMem() })
	defer s.close(t)
	for i := range 100 {
		s.do(t, tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/d/%d", i), Now: 1})
	}
	q := tree.Query{Key: "/d", Page: tree.Page{Limit: 10}}
	first, err := s.page(t, q)
	if err != nil {
		t.Fatal(err)
	}
	next := q
	next.Page.After, next.Page.At = *first.After, first.AtIndex
	for i := range statemachine.MaxMoments - 1 { // with the first, as many as are kept
		s.do(t, tree.Command{Op: tree.OpSet, Key: "/d/more", Now: 1})
		if i == statemachine.MaxMoments/2 {
			if _, err := s.page(t, next); err != nil {
				t.Fatalf("a page of what is kept: %v", err)
			}
		}
		if _, err := s.page(t, q); err != nil {
			t.Fatal(err)
		}
	}
	for range statemachine.MaxMoments - 1 {
		s.do(t, tree.Command{Op: tree.OpSet, Key: "/d/more", Now: 1})
		if _, err := s.page(t, q); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.page(t, next); err == nil || err.Code != tree.CodeEventIndexClosed {
		t.Fatalf("a page of a moment that is gone: %v", err)
	}
	// The index of now needs nothing that is kept.
	next.Page.At = s.last
	if _, err := s.page(t, next); err != nil {
		t.Fatal(err)
	}
}

// A page that is read slowly doesn't let more be kept than may be, and counts as used until its end.
func TestASlowPageIsKeptInPlaceOfAnother(t *testing.T) {
	s := newSeveral(t, func() vfs.FS { return vfs.NewMem() })
	defer s.close(t)
	for i := range 100 {
		s.do(t, tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/d/%02d", i), Value: []byte(strings.Repeat("v", 4<<10)), Now: 1})
	}
	m := s.machines[tree.Slot("/d", slots)]
	slow := tree.Query{Key: "/d", Page: tree.Page{Limit: 90}}
	at := s.last
	_, rest, refused, err := statemachine.GetPage([]*statemachine.Machine{m}, nil, &slow, statemachine.PageOptions{}, func() int64 { return modelNow })
	if refused != nil || err != nil || rest == nil {
		t.Fatal(rest, refused, err)
	}
	for range statemachine.MaxMoments {
		s.do(t, tree.Command{Op: tree.OpSet, Key: "/d/more", Now: 1})
		if _, err := s.page(t, tree.Query{Key: "/d", Page: tree.Page{Limit: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	for more := true; more; {
		if _, more, err = rest.Next(); err != nil {
			t.Fatal(err)
		}
	}
	rest.Close()
	if n := m.Moments(); n != statemachine.MaxMoments {
		t.Errorf("%d moments are kept, want %d", n, statemachine.MaxMoments)
	}
	slow.Page.After, slow.Page.At = "/d/89", at
	if _, err := s.page(t, slow); err != nil {
		t.Errorf("the page behind the slow one: %v", err)
	}
}

// A page doesn't end with a key that isn't UTF-8: JSON would name another one to go on behind.
func TestPagesOfKeysThatAreNotUTF8(t *testing.T) {
	s := newSeveral(t, func() vfs.FS { return vfs.NewMem() })
	defer s.close(t)
	for _, name := range []string{"a", "b\x80", "b\xff", "b\xff/c", "d", "e\x00\x01", "f", "\xff", "\xfe"} {
		s.do(t, tree.Command{Op: tree.OpSet, Key: "/u/" + name, Dir: name == "b\xff", Now: 1})
	}
	q := tree.Query{Key: "/u", Recursive: true, Page: tree.Page{Limit: 1}}
	var got []string
	for range 20 {
		a, err := s.page(t, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range a.Node.flat() {
			got = append(got, keyOf(n))
		}
		if a.After == nil {
			break
		}
		q.Page.After, q.Page.At = *a.After, a.AtIndex
		got = append(got, "|")
	}
	want := []string{"/u/a", "|", "/u/b\ufffd", "/u/b\ufffd", "/u/b\ufffd/c", "/u/d", "|", "/u/e\x00\x01", "|", "/u/f", "|", "/u/\ufffd", "/u/\ufffd"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// When a key expires is told by the time of now, on a page of an older moment too.
func TestAPageAfterTheTimeStoodStill(t *testing.T) {
	s := newSeveral(t, func() vfs.FS { return vfs.NewMem() })
	defer s.close(t)
	m := s.machines[tree.Slot("/d", slots)]
	set := func(key string, clock tree.Clock) {
		s.last++
		c := tree.Command{Op: tree.OpSet, Key: key, Now: 1, Expires: 1 + int64(100*time.Second)}
		b := orderedBatch{r: tree.Range{First: s.last, Last: s.last}, clock: clock, list: []tree.Command{c}}
		if _, err := m.Update([]sm.Entry{b.entry(uint64(s.last))}); err != nil {
			t.Fatal(err)
		}
	}
	const began = int64(1_000_000 * time.Second)
	set("/d/a", tree.Clock{Time: began})
	set("/d/b", tree.Clock{Time: began})
	q := tree.Query{Key: "/d", Page: tree.Page{Limit: 1}}
	first, err := s.page(t, q)
	if err != nil {
		t.Fatal(err)
	}
	set("/d/c", tree.Clock{Time: began, Shift: int64(time.Hour)})
	q.Page.After, q.Page.At = *first.After, first.AtIndex
	out, _, refused, fail := statemachine.GetPage([]*statemachine.Machine{m}, nil, &q, statemachine.PageOptions{}, func() int64 { return modelNow })
	if refused != nil || fail != nil {
		t.Fatal(refused, fail)
	}
	want := `{"key":"/d/b","value":"","expiration":"` + time.Unix(0, began).Add(time.Hour+100*time.Second).UTC().Format(time.RFC3339Nano) + `","ttl":`
	if !strings.Contains(string(out), want) {
		t.Errorf("got %s, want %s", out, want)
	}
}

// The text of pages: directories that a page is within are there again, and what is hidden
// between two pages changes nothing.
func TestPagesAsText(t *testing.T) {
	s := newSeveral(t, func() vfs.FS { return vfs.NewMem() })
	defer s.close(t)
	for _, key := range []string{"/d/a/b", "/d/a/_h/x", "/d/a/c/e", "/d/f"} {
		s.do(t, tree.Command{Op: tree.OpSet, Key: key, Value: []byte("v"), Now: 1})
	}
	text := func(q tree.Query) string {
		o := statemachine.PageOptions{}
		out, _, err, fail := statemachine.GetPage(s.machines[tree.Slot("/d", slots):][:1], nil, &q, o, func() int64 { return modelNow })
		if fail != nil {
			t.Fatal(fail)
		}
		if err != nil {
			out = tree.AppendError(nil, err)
		}
		return string(out)
	}
	const (
		head = `{"action":"get","node":{"key":"/d","dir":true,"nodes":[`
		tail = `],"modifiedIndex":1,"createdIndex":1}`
		a    = `{"key":"/d/a","dir":true,"nodes":[`
		aEnd = `],"modifiedIndex":1,"createdIndex":1}`
		b    = `{"key":"/d/a/b","value":"v","modifiedIndex":1,"createdIndex":1}`
		e    = `{"key":"/d/a/c","dir":true,"nodes":[{"key":"/d/a/c/e","value":"v","modifiedIndex":3,"createdIndex":3}],"modifiedIndex":3,"createdIndex":3}`
		f    = `{"key":"/d/f","value":"v","modifiedIndex":4,"createdIndex":4}`
	)
	all := tree.Query{Key: "/d", Recursive: true}
	for _, c := range []struct {
		key  string
		page tree.Page
		want string
	}{
		{"/d", tree.Page{Limit: 2}, head + a + b + aEnd + tail + `,"after":"/d/a/b","atIndex":4}`},
		{"/d", tree.Page{Limit: 2, After: "/d/a/b"}, head + a + e + aEnd + tail + `,"after":"/d/a/c/e","atIndex":4}`},
		{"/d", tree.Page{Limit: 2, After: "/d/a/c/e", At: 4}, head + f + tail + `,"atIndex":4}`},
		{"/d", tree.Page{Limit: 3, Depth: 1}, head + `{"key":"/d/a","dir":true,"modifiedIndex":1,"createdIndex":1},` + f + tail + `,"atIndex":4}`},
		{"/d", tree.Page{After: "/d/a/c/e", Depth: 1}, head + f + tail + `,"atIndex":4}`},
		{"/d", tree.Page{After: "/d/g"}, `{"action":"get","node":{"key":"/d","dir":true,"modifiedIndex":1,"createdIndex":1},"atIndex":4}`},
		{"/d", tree.Page{Count: true}, `{"action":"get","node":{"key":"/d","dir":true,"modifiedIndex":1,"createdIndex":1},"count":5,"atIndex":4}`},
		{"/d", tree.Page{Count: true, Hidden: true}, `{"action":"get","node":{"key":"/d","dir":true,"modifiedIndex":1,"createdIndex":1},"count":7,"atIndex":4}`},
		{"/d/a/_h", tree.Page{KeysOnly: true}, `{"action":"get","node":{"key":"/d/a/_h","dir":true,"nodes":[{"key":"/d/a/_h/x","modifiedIndex":2,"createdIndex":2}],"modifiedIndex":2,"createdIndex":2},"atIndex":4}`},
		{"/d/f", tree.Page{KeysOnly: true}, `{"action":"get","node":{"key":"/d/f","modifiedIndex":4,"createdIndex":4},"atIndex":4}`},
		{"/d/f", tree.Page{Hidden: true}, `{"action":"get","node":` + f + `,"atIndex":4}`},
		{"/d/g", tree.Page{Hidden: true}, `{"errorCode":100,"message":"Key not found","cause":"/d/g","index":4}`},
		{"/d", tree.Page{Limit: 1, At: 3}, `{"errorCode":401,"message":"The event in requested index is outdated and cleared",` +
			`"cause":"the listing at index 3 can't be had any more: begin with its first page","index":4}`},
	} {
		q := all
		q.Key, q.Page = c.key, c.page
		if got := strings.TrimSuffix(text(q), "\n"); got != c.want {
			t.Errorf("%s %+v:\n got %s\nwant %s", c.key, c.page, got, c.want)
		}
	}
}
