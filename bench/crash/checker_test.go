package crash

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"copse/bench/v2api"
	"copse/bench/verdict"
)

// The forged histories start from an honest one, which has a bit of everything:
//
//	4  set /crash/w1/a            acknowledged
//	5  set /crash/w1/a again      acknowledged
//	6  set /crash/w1/t, ttl=1     acknowledged
//	7  set /crash/w0/b            unknown, happened
//	8  refresh of /crash/w1/t     acknowledged, unseen by watchers
//	9  expire /crash/w1/t
//	10 delete /crash/w1/a         acknowledged
//	   set /crash/w0/c            unknown, didn't happen
//	   -- kill, restart --
//	11 the server's own
//	12 the fence
var (
	due   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later = due.Add(time.Second)
)

func node(key, value string, modified, created uint64) v2api.Node {
	return v2api.Node{Key: key, Value: value, Modified: modified, Created: created}
}

func mortal(n v2api.Node, at time.Time) v2api.Node {
	n.Expiration = &at
	return n
}

func change(action string, n v2api.Node, prev ...v2api.Node) *v2api.Event {
	ev := &v2api.Event{Action: action, Node: n}
	if len(prev) > 0 {
		ev.Prev = &prev[0]
	}
	return ev
}

func honest() *History {
	a4 := node("/crash/w1/a", "a4", 4, 4)
	a5 := node("/crash/w1/a", "a5", 5, 5)
	t6 := mortal(node("/crash/w1/t", "t6", 6, 6), due)
	t8 := mortal(node("/crash/w1/t", "t6", 8, 6), later)
	events := []*v2api.Event{
		change("set", a4),
		change("set", a5, a4),
		change("set", t6),
		change("set", node("/crash/w0/b", "b7", 7, 7)),
		change("update", t8, t6),
		change("expire", node("/crash/w1/t", "", 9, 6), t8),
		change("delete", node("/crash/w1/a", "", 10, 5), a5),
		change("set", node("/crash/fence", "f", 12, 12)),
	}
	all := WatchLog{Name: "all", Scope: "/crash", From: 4}
	one := WatchLog{Name: "one", Scope: "/crash/w1", From: 4}
	for _, ev := range events {
		if ev.Index() == 8 {
			continue
		}
		all.Seen = append(all.Seen, Seen{ev, later.Add(time.Millisecond)})
		if v2api.Within(ev.Node.Key, one.Scope) {
			one.Seen = append(one.Seen, Seen{ev, later.Add(time.Millisecond)})
		}
	}
	return &History{
		Start:    3,
		Fences:   []uint64{12},
		Restarts: 1,
		Ops: []Op{
			{Request: v2api.Request{Method: "PUT", Key: "/crash/w1/a", Value: "a4"}, Floor: 3, Outcome: v2api.Acked, Event: events[0]},
			{Request: v2api.Request{Method: "PUT", Key: "/crash/w1/a", Value: "a5"}, Floor: 4, Outcome: v2api.Acked, Event: events[1]},
			{Request: v2api.Request{Method: "PUT", Key: "/crash/w1/t", Value: "t6"}, Floor: 5, Outcome: v2api.Acked, Event: events[2]},
			{Request: v2api.Request{Method: "PUT", Key: "/crash/w0/b", Value: "b7"}, Floor: 6, Outcome: v2api.Unknown},
			{Request: v2api.Request{Method: "PUT", Key: "/crash/w1/t", Refresh: true}, Floor: 7, Outcome: v2api.Acked, Event: events[4]},
			{Request: v2api.Request{Method: "DELETE", Key: "/crash/w1/a"}, Floor: 9, Outcome: v2api.Acked, Event: events[6]},
			{Request: v2api.Request{Method: "PUT", Key: "/crash/w0/c", Value: "c"}, Floor: 10, Outcome: v2api.Unknown},
			{Request: v2api.Request{Method: "PUT", Key: "/crash/fence", Value: "f"}, Epoch: 1, Floor: 11, Outcome: v2api.Acked, Event: events[7]},
		},
		Watchers: []WatchLog{all, one},
		Glances:  []Glance{{"GET", 10, 11}},
		Snapshots: []Snapshot{{Name: "restart", Epoch: 1, Index: 11, Until: 12, Nodes: map[string]v2api.Node{
			"/crash":      {Key: "/crash", Dir: true, Modified: 4, Created: 4},
			"/crash/w0":   {Key: "/crash/w0", Dir: true, Modified: 7, Created: 7},
			"/crash/w0/b": node("/crash/w0/b", "b7", 7, 7),
			"/crash/w1":   {Key: "/crash/w1", Dir: true, Modified: 4, Created: 4},
		}}},
	}
}

func TestCheckAcceptsHonestHistory(t *testing.T) {
	if found := Check(honest()); len(found) > 0 {
		t.Fatalf("got %v, want nothing", found)
	}
}

// drop removes the event of an index from a watcher's log.
func drop(w *WatchLog, at uint64) {
	w.Seen = slices.DeleteFunc(w.Seen, func(s Seen) bool { return s.Event.Index() == at })
}

// insert puts an event in its place into each watcher that has its key in scope.
func insert(h *History, ev *v2api.Event, at time.Time) {
	for i := range h.Watchers {
		w := &h.Watchers[i]
		if !v2api.Within(ev.Node.Key, w.Scope) {
			continue
		}
		pos := slices.IndexFunc(w.Seen, func(s Seen) bool { return s.Event.Index() > ev.Index() })
		if pos < 0 {
			pos = len(w.Seen)
		}
		w.Seen = slices.Insert(w.Seen, pos, Seen{ev, at})
	}
}

func TestCheckCatchesForgedHistories(t *testing.T) {
	for _, test := range []struct {
		name  string
		forge func(*History)
		want  verdict.Kind
	}{
		{"acknowledged write lost", func(h *History) {
			// w0/d was acknowledged and watched before the kill, and the tree is without it.
			ev := change("set", node("/crash/w0/d", "d", 11, 11))
			h.Ops = append(h.Ops, Op{Request: v2api.Request{Method: "PUT", Key: "/crash/w0/d", Value: "d"}, Floor: 10, Outcome: v2api.Acked, Event: ev})
			insert(h, ev, later)
		}, verdict.LostWrite},
		{"acknowledged value rolled back", func(h *History) {
			ev := change("set", node("/crash/w0/b", "new", 11, 11), node("/crash/w0/b", "b7", 7, 7))
			h.Ops = append(h.Ops, Op{Request: v2api.Request{Method: "PUT", Key: "/crash/w0/b", Value: "new"}, Floor: 10, Outcome: v2api.Acked, Event: ev})
			insert(h, ev, later)
		}, verdict.LostWrite},
		{"server back in an earlier state", func(h *History) { h.Snapshots[0].Index = 9 }, verdict.LostWrite},
		{"acknowledged delete undone", func(h *History) {
			h.Snapshots[0].Nodes["/crash/w1/a"] = node("/crash/w1/a", "a5", 5, 5)
		}, verdict.Resurrected},
		{"expired key resurrected", func(h *History) {
			h.Snapshots[0].Nodes["/crash/w1/t"] = mortal(node("/crash/w1/t", "t6", 8, 6), later)
		}, verdict.Resurrected},
		{"write of unknown outcome that no watcher was told of", func(h *History) {
			h.Snapshots[0].Nodes["/crash/w0/c"] = node("/crash/w0/c", "c", 11, 11)
		}, verdict.Resurrected},
		{"index given to two writes", func(h *History) {
			ev := change("set", node("/crash/w0/d", "d", 5, 5))
			h.Ops = append(h.Ops, Op{Request: v2api.Request{Method: "PUT", Key: "/crash/w0/d", Value: "d"}, Floor: 4, Outcome: v2api.Acked, Event: ev})
		}, verdict.IndexReused},
		{"index given to a write and to another's event", func(h *History) {
			h.Watchers[0].Seen[1].Event = change("set", node("/crash/w1/a", "c", 5, 5), node("/crash/w1/a", "a4", 4, 4))
		}, verdict.IndexReused},
		{"index of a write below one that was seen before", func(h *History) { h.Ops[5].Floor = 10 }, verdict.IndexBack},
		{"header goes back after the restart", func(h *History) {
			h.Glances = append(h.Glances, Glance{"GET", 11, 10})
		}, verdict.IndexBack},
		{"event missing", func(h *History) { drop(&h.Watchers[0], 5) }, verdict.EventMissing},
		{"event missing at one watcher of a directory", func(h *History) { drop(&h.Watchers[1], 9) }, verdict.EventMissing},
		{"event of an unknown write missing at one of two watchers", func(h *History) {
			other := h.Watchers[0]
			other.Name, other.Seen = "other", slices.Clone(other.Seen)
			drop(&other, 7)
			h.Watchers = append(h.Watchers, other)
		}, verdict.EventMissing},
		{"event twice", func(h *History) {
			w := &h.Watchers[0]
			w.Seen = slices.Insert(w.Seen, 2, w.Seen[1])
		}, verdict.EventTwice},
		{"event again after the restart", func(h *History) {
			w := &h.Watchers[0]
			w.Seen = append(w.Seen, w.Seen[0])
		}, verdict.EventTwice},
		{"events out of order", func(h *History) {
			seen := h.Watchers[0].Seen
			seen[0], seen[1] = seen[1], seen[0]
		}, verdict.EventOrder},
		{"event of a write that was refused", func(h *History) { h.Ops[3].Outcome = v2api.Refused }, verdict.EventAlien},
		{"event of a write that nobody sent", func(h *History) {
			insert(h, change("set", node("/crash/w0/x", "x", 11, 11)), later)
		}, verdict.EventAlien},
		{"refresh wakes a watcher", func(h *History) { insert(h, h.Ops[4].Event, later) }, verdict.EventAlien},
		{"event of another directory", func(h *History) {
			h.Watchers[1].Seen = append(h.Watchers[1].Seen, Seen{h.Ops[7].Event, later})
		}, verdict.EventAlien},
		{"acknowledged write done again by the server", func(h *History) {
			insert(h, change("set", node("/crash/w1/a", "a5", 11, 11)), later)
		}, verdict.AppliedTwice},
		{"unknown write that comes true after the restart", func(h *History) {
			insert(h, change("set", node("/crash/w0/c", "c", 11, 11)), later)
			h.Fences[0] = 10
		}, verdict.AppliedLate},
		{"event changed by the restart", func(h *History) {
			prev := *h.Ops[1].Event.Prev
			prev.Created = 3
			h.Watchers[0].Seen[1].Event = change("set", h.Ops[1].Event.Node, prev)
		}, verdict.EventDiffers},
		{"expired before its time", func(h *History) {
			for i := range h.Watchers {
				for j := range h.Watchers[i].Seen {
					h.Watchers[i].Seen[j].At = due
				}
			}
		}, verdict.EarlyExpiry},
		{"expired with the time from before the refresh", func(h *History) {
			ev := change("expire", node("/crash/w1/t", "", 9, 6), mortal(node("/crash/w1/t", "t6", 8, 6), due))
			for i := range h.Watchers {
				for j := range h.Watchers[i].Seen {
					if h.Watchers[i].Seen[j].Event.Index() == 9 {
						h.Watchers[i].Seen[j].Event = ev
					}
				}
			}
		}, verdict.PrevDiffers},
		{"compared and swapped what was not there any more", func(h *History) {
			ev := change("compareAndSwap", node("/crash/w1/a", "late", 11, 5), node("/crash/w1/a", "a5", 5, 5))
			h.Ops = append(h.Ops, Op{Request: v2api.Request{Method: "PUT", Key: "/crash/w1/a", Value: "late"}, Floor: 10, Outcome: v2api.Acked, Event: ev})
			insert(h, ev, later)
		}, verdict.PrevDiffers},
		{"answer about another key", func(h *History) { h.Ops[1].Key = "/crash/w1/b" }, verdict.EventDiffers},
		{"answer with another value", func(h *History) { h.Ops[1].Value = "a6" }, verdict.EventDiffers},
		{"compared with another index than it says", func(h *History) { h.Ops[1].PrevIndex = 3 }, verdict.PrevDiffers},
		{"refresh that changes the value", func(h *History) {
			ev := *h.Ops[4].Event
			ev.Node.Value = "other"
			h.Ops[4].Event = &ev
		}, verdict.EventDiffers},
		{"delete that comes true after the restart", func(h *History) {
			h.Ops = append(h.Ops, Op{Request: v2api.Request{Method: "DELETE", Key: "/crash/w0/b"}, Floor: 10})
			insert(h, change("delete", node("/crash/w0/b", "", 11, 7), node("/crash/w0/b", "b7", 7, 7)), later)
			h.Fences[0] = 10
		}, verdict.AppliedLate},
		{"indexes that nothing accounts for", func(h *History) { h.Restarts = 0 }, verdict.IndexGap},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := honest()
			test.forge(h)
			found := Check(h)
			if !slices.ContainsFunc(found, func(v verdict.Violation) bool { return v.Kind == test.want }) {
				t.Fatalf("got %v, want %q", found, test.want)
			}
			if test.want == verdict.IndexGap {
				return
			}
			found = Check(sparse(h))
			if !slices.ContainsFunc(found, func(v verdict.Violation) bool { return v.Kind == test.want }) {
				t.Fatalf("with gaps: got %v, want %q", found, test.want)
			}
		})
	}
}

// Deletes on one key don't tell which of them a change is; one from before an
// earlier restart must not be taken for it.
func TestCheckFindsTheRightDelete(t *testing.T) {
	h := honest()
	h.Fences = []uint64{6, 12}
	for i := range h.Ops {
		h.Ops[i].Epoch = 2
		if i < 7 {
			h.Ops[i].Epoch = 1
		}
	}
	ev := change("delete", node("/crash/w0/b", "", 11, 7), node("/crash/w0/b", "b7", 7, 7))
	h.Ops = append(h.Ops,
		Op{Request: v2api.Request{Method: "DELETE", Key: "/crash/w0/b"}, Epoch: 0, Floor: 3},
		Op{Request: v2api.Request{Method: "DELETE", Key: "/crash/w0/b"}, Epoch: 1, Floor: 10})
	insert(h, ev, later)
	delete(h.Snapshots[0].Nodes, "/crash/w0/b")
	if found := Check(h); len(found) > 0 {
		t.Fatalf("got %v, want nothing", found)
	}
}

// Times to live stand still while the server is away, and only then; none ends early for that.
func TestCheckAllowsForOutages(t *testing.T) {
	for name, test := range map[string]struct {
		away  bool
		moved time.Duration
		found []verdict.Kind
	}{
		"later after a restart":     {true, 3 * time.Second, nil},
		"later without a restart":   {false, 3 * time.Second, []verdict.Kind{verdict.PrevDiffers}},
		"earlier after a restart":   {true, -100 * time.Millisecond, []verdict.Kind{verdict.PrevDiffers}},
		"earlier without a restart": {false, -100 * time.Millisecond, []verdict.Kind{verdict.PrevDiffers}},
	} {
		t.Run(name, func(t *testing.T) {
			h := honest()
			if test.away { // between 8 and 9
				h.Fences = []uint64{8, 12}
				h.Snapshots[0].Epoch = 2
				for i := range h.Ops {
					if h.Ops[i].Floor >= 8 {
						h.Ops[i].Epoch++
					}
				}
			}
			ev := change("expire", node("/crash/w1/t", "", 9, 6), mortal(node("/crash/w1/t", "t6", 8, 6), later.Add(test.moved)))
			for i := range h.Watchers {
				for j := range h.Watchers[i].Seen {
					if s := &h.Watchers[i].Seen[j]; s.Event.Index() >= 9 {
						s.At = s.At.Add(max(0, test.moved))
					}
					if s := &h.Watchers[i].Seen[j]; s.Event.Index() == 9 {
						s.Event = ev
					}
				}
			}
			var found []verdict.Kind
			for _, v := range Check(h) {
				found = append(found, v.Kind)
			}
			if !slices.Equal(found, test.found) {
				t.Errorf("got %v, want %v", found, test.found)
			}
		})
	}
}

// A refresh of unknown outcome may have happened or not; nothing else about the
// key may have changed with it.
func TestCheckAllowsForUnknownRefresh(t *testing.T) {
	for _, happened := range []bool{false, true} {
		t.Run(fmt.Sprint("happened: ", happened), func(t *testing.T) {
			h := honest()
			h.Ops[4].Outcome, h.Ops[4].Event = v2api.Unknown, nil
			if !happened {
				t6 := mortal(node("/crash/w1/t", "t6", 6, 6), due)
				h.Watchers[0].Seen[4].Event = change("expire", node("/crash/w1/t", "", 9, 6), t6)
				h.Watchers[1].Seen[3].Event = h.Watchers[0].Seen[4].Event
			}
			if found := Check(h); len(found) > 0 {
				t.Fatalf("got %v, want nothing", found)
			}
		})
	}
}
