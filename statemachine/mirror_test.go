package statemachine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/mirror"
	"copse/statemachine/tree"
)

func mirrored(c mirror.Change) tree.Command {
	return tree.Command{Op: tree.OpMirror, Key: "/", Value: c.Append(nil)}
}

// newMirror is a mirror that has read its source up to the index.
func newMirror(t *testing.T, at tree.Index) *statemachine.Machine {
	t.Helper()
	m := mustNew(t, t.TempDir())
	c := founding(3, 1)
	c.PrevValue = string((&mirror.Change{Kind: mirror.Begin, Sources: []string{"http://a:1", "http://b:1"}}).Append(nil))
	do(t, m, 1, c)
	if s := m.Mirror(); !s.On || s.Fill == 0 || len(s.Sources) != 2 {
		t.Fatalf("the mirror begins as %+v", s)
	}
	fine(t, do(t, m, 2, mirrored(mirror.Change{Kind: mirror.Fill, ID: 9, From: m.Index(), To: at, Term: 4, Now: 1, Part: mirror.Part{First: true, Last: true, Hole: true}})))
	if s := m.Mirror(); s.Fill != 0 || s.Term != 4 || m.Index() != at {
		t.Fatalf("after the first read, at %d: %+v", m.Index(), s)
	}
	return m
}

func fine(t *testing.T, replies []tree.Reply) {
	t.Helper()
	for _, r := range replies {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// nodesOf prints all nodes of a store.
func nodesOf(t *testing.T, m *statemachine.Machine) string {
	t.Helper()
	var b strings.Builder
	_, err := m.Walk(func(n *tree.Node) error {
		fmt.Fprintf(&b, "%s %v %.1s×%d %d %d %d\n", n.Key, n.Dir, n.Value, len(n.Value), n.Expires, n.Modified, n.Created)
		return nil
	})
	must(t, err)
	return b.String()
}

// eventsOf are the events of a store's window, which begins at oldest.
func eventsOf(t *testing.T, m *statemachine.Machine) (all []tree.EncodedEvent, oldest tree.Index) {
	t.Helper()
	for from := tree.Index(1); ; {
		page, floor, err := m.History(from, 100)
		must(t, err)
		if oldest = floor; len(page) == 0 {
			return all, oldest
		}
		all = append(all, page...)
		from = page[len(page)-1].Index + 1
	}
}

// origin is an ordinary store in the source's part, which tells of its events as etcd does.
type origin struct {
	m      *statemachine.Machine
	raft   uint64
	events []tree.Event
}

// write has the source carry out c, and notes the event, for which it looks at the node before.
func (o *origin) write(t *testing.T, c tree.Command) {
	t.Helper()
	before := map[string]tree.Node{}
	_, err := o.m.Walk(func(n *tree.Node) error { before[n.Key] = *n; return nil })
	must(t, err)
	o.raft++
	r := do(t, o.m, o.raft, c)[0]
	if r.Err != nil || r.JSON == nil {
		return
	}
	key := c.Key
	if c.Op == tree.OpCreateInOrder {
		key += "/" + tree.InOrderName(r.State.Index)
	}
	e := tree.Event{Action: r.Action, Refresh: c.Refresh, Now: c.Now}
	e.Prev, e.HasPrev = before[key], false
	if _, ok := before[key]; ok {
		e.HasPrev = true
	}
	e.Node = tree.Node{Key: key, Dir: c.Dir || e.Prev.Dir, Value: c.Value, Expires: c.Expires, Modified: r.State.Index, Created: r.State.Index}
	if r.Action.Removes() {
		e.Node = tree.Node{Key: key, Dir: e.Prev.Dir, Modified: r.State.Index, Created: e.Prev.Created}
	} else if r.Action == tree.ActionUpdate || r.Action == tree.ActionCompareAndSwap {
		e.Node.Created, e.Node.Dir = e.Prev.Created, e.Prev.Dir
	}
	if e.Refresh {
		e.Node.Value = e.Prev.Value
	}
	if got := tree.AppendEvent(nil, &e); !bytes.Equal(got, r.JSON) {
		t.Fatalf("the test tells of\n%s, the source of\n%s", got, r.JSON)
	}
	o.events = append(o.events, e)
}

func randomWrite(r *rand.Rand) tree.Command {
	keys := []string{"/a", "/b", "/d", "/d/x", "/d/_h", "/d/_h/y", "/_s", "/_s/z", "/e"}
	c := tree.Command{Key: keys[r.IntN(len(keys))], Value: bytes.Repeat([]byte{byte('a' + r.IntN(20))}, []int{1, 40, 1100, 1200}[r.IntN(4)]), Now: time.Unix(1e9, 0).UnixNano()}
	switch r.IntN(10) {
	case 0, 1, 2:
		c.Op = tree.OpSet
	case 3:
		c.Op, c.Value = tree.OpDelete, nil
		c.Recursive, c.Dir = true, true
	case 4:
		c.Op, c.Dir, c.Value = tree.OpCreate, true, nil
	case 5:
		c.Op = tree.OpCreate
	case 6:
		c.Op, c.Key = tree.OpCreateInOrder, "/d"
	case 7:
		c.Op = tree.OpUpdate
	case 8:
		c.Op, c.Refresh, c.Value, c.Expires = []tree.Op{tree.OpUpdate, tree.OpSet}[r.IntN(2)], true, nil, c.Now+r.Int64N(1e12)
	case 9:
		c.Op, c.Key, c.Value, c.Dir, c.Expires = tree.OpUpdate, "/d", nil, true, c.Now+r.Int64N(1e12)
	}
	return c
}

// TestAMirrorIsItsSource feeds a mirror with what a source tells, in batches that overlap as
// after a change of the leader, and refreshes when the client that made them reports them: in order, or late.
func TestAMirrorIsItsSource(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	for round := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, round))
		o := &origin{m: mustNew(t, t.TempDir()), raft: 1}
		do(t, o.m, 1, founding(3, 1))
		m := newMirror(t, 3)
		raft := uint64(2)
		change := func(c mirror.Change) tree.Reply {
			raft++
			return do(t, m, raft, mirrored(c))[0]
		}
		told := 0
		for range 25 {
			for range r.IntN(12) {
				o.write(t, randomWrite(r))
			}
			var late []tree.Event
			c := mirror.Change{Kind: mirror.Follow, From: m.Index(), To: o.m.Index(), Term: 4}
			for i := max(0, told-r.IntN(4)); i < len(o.events); i++ {
				e := o.events[i]
				if !e.Refresh {
					c.Events = append(c.Events, e)
				} else if i >= told {
					late = append(late, e)
				}
			}
			told = len(o.events)
			if len(late) > 0 && r.IntN(2) == 0 && late[0].Index() == m.Index()+1 { // the client was faster
				if got := change(mirror.Change{Kind: mirror.Refresh, Events: late[:1]}); got.Err != nil {
					t.Fatal(got.Err)
				}
				c.From, late = m.Index(), late[1:]
			}
			if len(late) > 0 && late[0].Index() > m.Index()+1 {
				if got := change(mirror.Change{Kind: mirror.Refresh, Events: late[:1]}); got.Err == nil {
					t.Fatal("a refresh was taken over before what came before it")
				}
			}
			if got := change(c); got.Err != nil {
				t.Fatal(got.Err)
			}
			for _, e := range late {
				if got := change(mirror.Change{Kind: mirror.Refresh, Events: []tree.Event{e}}); got.Err != nil {
					t.Fatal(got.Err)
				}
			}
			if got, want := nodesOf(t, m), nodesOf(t, o.m); got != want || m.Index() != o.m.Index() {
				t.Fatalf("round %d: at %d the mirror has\n%.2000s\nthe source at %d\n%.2000s", round, m.Index(), got, o.m.Index(), want)
			}
		}
		compareWindows(t, m, o)
		mustClose(t, m)
		mustClose(t, o.m)
	}
}

func compareWindows(t *testing.T, m *statemachine.Machine, o *origin) {
	t.Helper()
	got, _ := eventsOf(t, m)
	at := 0
	for i := range o.events {
		e := &o.events[i]
		if e.Refresh {
			continue // watchers see none
		}
		if at == len(got) || got[at].Index != e.Index() || !bytes.Equal(got[at].JSON, tree.AppendEvent(nil, e)) {
			t.Fatalf("event %d of %d isn't %s", at, len(got), tree.AppendEvent(nil, e))
		}
		at++
	}
	if at != len(got) {
		t.Fatalf("%d events, want %d", len(got), at)
	}
}

func TestAMirrorTakesNoWrites(t *testing.T) {
	m := newMirror(t, 3)
	defer mustClose(t, m)
	before := nodesOf(t, m)
	for i, c := range []tree.Command{
		{Op: tree.OpSet, Key: "/a", Value: []byte("v")}, {Op: tree.OpDelete, Key: "/a"}, {Op: tree.OpExpire, Key: "/", Now: 1 << 62, Limit: 9},
	} {
		if r := do(t, m, uint64(3+i), c)[0]; r.Err == nil || r.Err.Code != tree.CodeRaftInternal {
			t.Errorf("%d: %+v", c.Op, r)
		}
	}
	if nodesOf(t, m) != before || m.Index() != 3 {
		t.Errorf("the tree has changed: index %d", m.Index())
	}
	if r := do(t, m, 9, mirrored(mirror.Change{Kind: mirror.Follow, From: 8, To: 9}))[0]; r.Err == nil || m.Index() != 3 {
		t.Error("events behind a gap were taken over")
	}
}

func TestAHoleEmptiesTheWindowAndTheReadCorrects(t *testing.T) {
	m := newMirror(t, 3)
	defer mustClose(t, m)
	file := func(key, value string, at tree.Index) tree.Node {
		return tree.Node{Key: key, Value: []byte(value), Modified: at, Created: at}
	}
	large := strings.Repeat("L", 3000)
	fine(t, do(t, m, 3, mirrored(mirror.Change{Kind: mirror.Follow, From: 3, To: 6, Events: []tree.Event{
		{Action: tree.ActionSet, Node: file("/a", large, 4)}, {Action: tree.ActionSet, Node: file("/b", "b", 5)}, {Action: tree.ActionSet, Node: file("/_h", large, 6)},
	}})))
	// Two parts: meanwhile nothing may be followed, and another read's part is refused.
	fine(t, do(t, m, 4, mirrored(mirror.Change{Kind: mirror.Fill, ID: 21, From: 6, To: 40, Part: mirror.Part{First: true, Hole: true, Removes: []string{"/b"}}})))
	if m.Mirror().Fill != 21 || m.Index() != 6 {
		t.Fatalf("in the middle: %+v at %d", m.Mirror(), m.Index())
	}
	for i, c := range []mirror.Change{{Kind: mirror.Follow, From: 6, To: 7}, {Kind: mirror.Fill, ID: 22, From: 6, To: 41, Part: mirror.Part{Last: true}}} {
		if r := do(t, m, uint64(5+i), mirrored(c))[0]; r.Err == nil {
			t.Errorf("in the middle, %+v was taken over", c)
		}
	}
	fine(t, do(t, m, 8, mirrored(mirror.Change{Kind: mirror.Fill, ID: 21, From: 6, To: 40, Now: 77, Part: mirror.Part{Last: true, Hole: true, Count: 3, Puts: []tree.Node{{Key: "/a", Value: []byte(large), Modified: 30, Created: 4, Expires: 5e18}, file("/x/y", "new", 33)}}})))
	if s := m.Mirror(); s.Fill != 0 || m.Index() != 40 || s.Compared != 77 || s.ComparedAt != 40 || s.Corrected != 3 {
		t.Errorf("at %d: %+v", m.Index(), s)
	}
	if events, oldest := eventsOf(t, m); len(events) != 0 || oldest != 41 || m.Floor() != 41 {
		t.Errorf("the window has %d events, and begins at %d (%d)", len(events), oldest, m.Floor())
	}
	want := "/_h false L×3000 0 6 6\n/a false L×3000 5000000000000000000 30 4\n/x true ×0 0 33 33\n/x/y false n×3 0 33 33\n"
	if got := nodesOf(t, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for i, c := range []mirror.Change{{From: 40, To: 39}, {From: 39, To: 40}, {From: 39, To: 41}} {
		c.Kind, c.ID, c.Part = mirror.Fill, 23, mirror.Part{First: true, Last: true, Removes: []string{"/a"}}
		if r := do(t, m, uint64(9+i), mirrored(c))[0]; r.Err == nil {
			t.Errorf("at 40, what a read at %d found different from the tree at %d was taken over", c.To, c.From)
		}
	}
}

// A restored source gives indexes to other values than before. What a whole read takes over then is read as it is, and
// stays when what had the index goes.
func TestAFillMayReuseIndexes(t *testing.T) {
	for _, size := range []int{3000, 600_000} {
		value := func(c string) []byte { return bytes.Repeat([]byte(c), size) }
		for name, fill := range map[string]mirror.Part{
			"the same key": {Puts: []tree.Node{{Key: "/a", Value: value("B"), Modified: 5, Created: 5}}},
			"another key":  {Removes: []string{"/a"}, Puts: []tree.Node{{Key: "/b", Value: value("B"), Modified: 5, Created: 5}}},
			"both":         {Puts: []tree.Node{{Key: "/a", Value: value("B"), Modified: 5, Created: 5}, {Key: "/b", Value: value("C"), Modified: 5, Created: 5}}},
		} {
			t.Run(fmt.Sprintf("%s, %d bytes", name, size), func(t *testing.T) {
				m := newMirror(t, 3)
				defer mustClose(t, m)
				raft := uint64(2)
				apply := func(c mirror.Change) {
					t.Helper()
					raft++
					fine(t, do(t, m, raft, mirrored(c)))
				}
				set := func(key string, v []byte, at tree.Index) tree.Event {
					return tree.Event{Action: tree.ActionSet, Node: tree.Node{Key: key, Value: v, Modified: at, Created: at}}
				}
				apply(mirror.Change{Kind: mirror.Follow, From: 3, To: 6, Term: 4, Events: []tree.Event{set("/a", value("A"), 5)}})
				fill.First, fill.Last, fill.Hole = true, true, true
				apply(mirror.Change{Kind: mirror.Fill, ID: 21, From: 6, To: 40, Term: 4, Part: fill})
				want := nodesOf(t, m)
				if !strings.Contains(want, fmt.Sprintf(" B×%d ", size)) || strings.Contains(want, " A×") {
					t.Fatalf("the nodes are\n%s", want)
				}
				for at := tree.Index(41); at < 41+(window+64)*60; at++ {
					apply(mirror.Change{Kind: mirror.Follow, From: at - 1, To: at, Term: 4, Events: []tree.Event{set("/small", []byte("v"), at)}})
				}
				if got := nodesOf(t, m); !strings.HasPrefix(got, want) {
					t.Fatalf("the nodes are\n%s, want\n%s", got, want)
				}
			})
		}
	}
}

func TestAPromotionIsOneStep(t *testing.T) {
	m := newMirror(t, 50)
	defer mustClose(t, m)
	promote := mirror.Change{Kind: mirror.Promote, ID: 8, From: 50, To: 150, Term: 1004}
	if r := do(t, m, 3, mirrored(promote))[0]; r.Err == nil {
		t.Error("promoted while nothing holds the writes")
	}
	fine(t, do(t, m, 4, mirrored(mirror.Change{Kind: mirror.Hold, ID: 8}), mirrored(mirror.Change{Kind: mirror.Follow, From: 50, To: 51, Events: []tree.Event{
		{Action: tree.ActionSet, Node: tree.Node{Key: "/a", Value: []byte("v"), Modified: 51, Created: 51}}}})))
	if r := do(t, m, 5, mirrored(promote))[0]; r.Err == nil {
		t.Error("promoted though the source has gone on")
	}
	promote.From = 51
	fine(t, do(t, m, 6, mirrored(promote)))
	if s := m.Mirror(); s.On || s.Hold != 0 || s.Ended != 51 || m.Index() != 150 || m.Membership().TermBase != 1004 {
		t.Errorf("at %d, base %d: %+v", m.Index(), m.Membership().TermBase, s)
	}
	if r := do(t, m, 7, tree.Command{Op: tree.OpSet, Key: "/b", Value: []byte("w")})[0]; r.Err != nil || r.State.Index != 151 {
		t.Errorf("the first write: %+v", r)
	}
	if r := do(t, m, 8, mirrored(mirror.Change{Kind: mirror.Follow, From: 151, To: 152}))[0]; r.Err == nil {
		t.Error("it follows still")
	}
	events, _ := eventsOf(t, m)
	if len(events) != 2 || events[0].Index != 51 || events[1].Index != 151 {
		t.Errorf("the window has %d events", len(events))
	}
}

// TestTheEndOfAMirrorShowsItsTermFirst: whoever sees that the mirror has ended sees the new terms, and
// whoever sees the index after the end sees the end.
func TestTheEndOfAMirrorShowsItsTermFirst(t *testing.T) {
	const end = 3050
	follow := mirror.Change{Kind: mirror.Follow, From: 50, To: end} // so much that it takes its time
	for at := tree.Index(51); at <= end; at++ {
		follow.Events = append(follow.Events, tree.Event{Action: tree.ActionSet, Node: tree.Node{Key: fmt.Sprint("/", at), Value: make([]byte, 900), Modified: at, Created: at}})
	}
	for range 3 {
		m := newMirror(t, 50)
		fine(t, do(t, m, 3, mirrored(mirror.Change{Kind: mirror.Hold, ID: 8})))
		ready, wrong := make(chan struct{}), make(chan string, 1)
		go func() {
			close(ready)
			for {
				at := m.Index()
				s := m.Mirror()
				base := m.Membership().TermBase
				switch {
				case !s.On && base != 1004:
					wrong <- fmt.Sprintf("after the end, terms begin at %d", base)
					return
				case s.On && at >= end+100:
					wrong <- fmt.Sprintf("at %d it isn't the end", at)
					return
				case at >= end+100:
					wrong <- ""
					return
				}
			}
		}()
		<-ready
		fine(t, do(t, m, 4, mirrored(follow), mirrored(mirror.Change{Kind: mirror.Promote, ID: 8, From: end, To: end + 100, Term: 1004})))
		if w := <-wrong; w != "" {
			t.Error(w)
		}
		mustClose(t, m)
	}
}
