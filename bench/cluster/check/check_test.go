package check_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"copse/bench/cluster/check"
	"copse/bench/cluster/history"
	"copse/bench/v2api"
	"copse/bench/verdict"
	"copse/bench/writemix"
)

func TestCheckAcceptsHonestHistories(t *testing.T) {
	for _, seed := range testSeeds(t) {
		for _, sort := range []struct {
			exact  bool
			shards int
		}{{true, 1}, {false, 1}, {false, 4}} {
			h := simulate(seed, 3000, sort.exact, sort.shards)
			accepted, stats := check.Check(h)
			if stats.Traced < 20 || stats.Expiries < 5 || stats.Answers < 500 || stats.Txns < 50 || stats.Repeats < 50 {
				t.Errorf("seed %d: %v: too little to judge", seed, stats)
			}
			for _, v := range accepted {
				t.Errorf("seed %d, %+v: %v", seed, sort, v)
			}
			found, judged := check.Registers(h, t.TempDir(), time.Minute)
			for _, v := range found {
				t.Errorf("seed %d: %v", seed, v)
			}
			if judged < 300 {
				t.Errorf("seed %d: only %d operations on registers", seed, judged)
			}
		}
	}
}

// mutant plants a fault into an honest history; it returns false where there
// is no place for it.
type mutant struct {
	name  string
	plant func(h *history.History, rng *rand.Rand) bool
	want  []verdict.Kind // any of them
}

// pick returns one of the operations that ok likes, from the last three quarters: one that was sent once, and
// is no transaction.
func pick(h *history.History, rng *rand.Rand, ok func(*history.Op) bool) *history.Op {
	return pickAny(h, rng, func(op *history.Op) bool { return op.RequestID == "" && op.Txn == nil && ok(op) })
}

func pickAny(h *history.History, rng *rand.Rand, ok func(*history.Op) bool) *history.Op {
	var fit []*history.Op
	for _, op := range h.Ops[len(h.Ops)/4 : len(h.Ops)-1] {
		if ok(op) {
			fit = append(fit, op)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[rng.IntN(len(fit))]
}

func acked(op *history.Op) bool { return op.Changed() && !op.Refresh }

func quorumRead(op *history.Op) bool {
	return op.Quorum && op.Outcome == v2api.Acked && op.Event.Node.Dir && len(op.Event.Node.Nodes) > 2
}

// unsee takes an index away from the watches that like says.
func unsee(h *history.History, at uint64, like func(*history.Watch) bool) (gone int) {
	for _, w := range h.Watches {
		if like(w) {
			had := len(w.Entries)
			w.Entries = slices.DeleteFunc(w.Entries, func(e history.Entry) bool { return e.Event != nil && e.Event.Index() == at })
			gone += had - len(w.Entries)
		}
	}
	return gone
}

func everyone(*history.Watch) bool { return true }

// entry returns a place in a watch's log that has one behind it.
func entry(h *history.History, rng *rand.Rand, watch int) int {
	n := len(h.Watches[watch].Entries)
	return n/4 + rng.IntN(n/2)
}

var mutants = []mutant{
	{"acknowledged write lost, and its index with it", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, acked)
		return op != nil && unsee(h, op.Event.Index(), everyone) > 0
	}, []verdict.Kind{verdict.LostWrite}},
	{"acknowledged write lost, and its index given to the next", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, acked)
		if op == nil {
			return false
		}
		ev := *op.Event
		lost := *op
		lost.Event, lost.Value, lost.Client = &ev, "lost", "victim"
		ev.Node.Value = "lost"
		h.Ops = append(h.Ops, &lost)
		return true
	}, []verdict.Kind{verdict.IndexReused}},
	{"acknowledged write missing at the end", func(h *history.History, rng *rand.Rand) bool {
		for i := range h.Finals {
			nodes := h.Finals[i].Tree.Nodes
			h.Finals[i].Tree.Nodes = slices.Delete(slices.Clone(nodes), 0, 1)
		}
		return true
	}, []verdict.Kind{verdict.TreeDiffers}},
	{"one member without a key", func(h *history.History, rng *rand.Rand) bool {
		nodes := h.Finals[1].Tree.Nodes
		h.Finals[1].Tree.Nodes = slices.Delete(slices.Clone(nodes), 0, 1)
		return true
	}, []verdict.Kind{verdict.MemberDiffer}},
	{"quorum read that is stale and says so", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, quorumRead)
		if op == nil {
			return false
		}
		old := pick(h, rng, func(o *history.Op) bool {
			return quorumRead(o) && o.Key == op.Key && o.Index+20 < op.Index && o.Return < op.Invoke
		})
		if old == nil {
			return false
		}
		op.Index, op.Event = old.Index, old.Event
		return true
	}, []verdict.Kind{verdict.StaleRead}},
	{"quorum read that is stale under a fresh header", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, quorumRead)
		if op == nil {
			return false
		}
		old := pick(h, rng, func(o *history.Op) bool {
			return quorumRead(o) && o.Key == op.Key && o.Index+50 < op.Index && o.Return < op.Invoke
		})
		if old == nil {
			return false
		}
		op.Event = old.Event
		return true
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"read with minIndex that shows what was before", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, quorumRead)
		if op == nil {
			return false
		}
		op.Quorum, op.Conn, op.MinIndex = false, 0, h.End
		return op.Index+50 < h.End
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"register read stale", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool {
			return o.Quorum && o.Outcome == v2api.Acked && !o.Event.Node.Dir
		})
		if op == nil {
			return false
		}
		old := pick(h, rng, func(o *history.Op) bool {
			return o.Quorum && o.Outcome == v2api.Acked && o.Key == op.Key && o.Index+100 < op.Index && o.Return < op.Invoke
		})
		if old == nil {
			return false
		}
		op.Event = old.Event
		return true
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"index given to two writes", func(h *history.History, rng *rand.Rand) bool {
		a := pick(h, rng, acked)
		b := pick(h, rng, func(o *history.Op) bool { return acked(o) && o != a })
		if a == nil || b == nil {
			return false
		}
		ev := *b.Event
		ev.Node.Modified = a.Event.Index()
		b.Event, b.Index = &ev, a.Index
		return true
	}, []verdict.Kind{verdict.IndexReused}},
	{"write with an index below one that was seen before it began", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, acked)
		if op == nil {
			return false
		}
		op.Invoke += 100 * time.Millisecond
		op.Return = max(op.Return, op.Invoke+1)
		return true
	}, []verdict.Kind{verdict.IndexBack}},
	{"event missing at one watch", func(h *history.History, rng *rand.Rand) bool {
		i := entry(h, rng, 1)
		return unsee(h, h.Watches[1].Entries[i].Event.Index(), func(w *history.Watch) bool { return w == h.Watches[1] }) > 0
	}, []verdict.Kind{verdict.EventMissing}},
	{"event missing at the watch of one directory", func(h *history.History, rng *rand.Rand) bool {
		i := entry(h, rng, 2)
		return unsee(h, h.Watches[2].Entries[i].Event.Index(), func(w *history.Watch) bool { return w == h.Watches[2] }) > 0
	}, []verdict.Kind{verdict.EventMissing}},
	{"event of an expiry missing everywhere", func(h *history.History, rng *rand.Rand) bool {
		for _, e := range h.Watches[0].Entries[len(h.Watches[0].Entries)/4:] {
			if e.Event.Action == "expire" {
				return unsee(h, e.Event.Index(), everyone) > 0
			}
		}
		return false
	}, []verdict.Kind{verdict.IndexGap, verdict.ReplyDiffers, verdict.ReadDiffers, verdict.EventOrder}},
	{"event twice", func(h *history.History, rng *rand.Rand) bool {
		w, i := h.Watches[0], entry(h, rng, 0)
		w.Entries = slices.Insert(w.Entries, i+1, w.Entries[i])
		return true
	}, []verdict.Kind{verdict.EventTwice}},
	{"event again after a reconnect", func(h *history.History, rng *rand.Rand) bool {
		w, i := h.Watches[1], entry(h, rng, 1)
		again := w.Entries[i]
		again.At = w.Entries[i+5].At
		w.Entries = slices.Insert(w.Entries, i+5, again)
		return true
	}, []verdict.Kind{verdict.EventTwice}},
	{"events in the wrong order", func(h *history.History, rng *rand.Rand) bool {
		w, i := h.Watches[0], entry(h, rng, 0)
		w.Entries[i], w.Entries[i+1] = w.Entries[i+1], w.Entries[i]
		return true
	}, []verdict.Kind{verdict.EventOrder}},
	{"event of a write that nobody sent", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool { return acked(o) && o.Value != "" })
		if op == nil {
			return false
		}
		op.Value = "another"
		return true
	}, []verdict.Kind{verdict.FromNowhere}},
	{"read of a value from nowhere", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool {
			return !o.Write() && o.Outcome == v2api.Acked && o.Event.Node.Value != ""
		})
		if op == nil {
			return false
		}
		ev := *op.Event
		ev.Node.Value = "nowhere"
		op.Event = &ev
		return true
	}, []verdict.Kind{verdict.FromNowhere}},
	{"event of a write that was refused", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool { return acked(o) && o.Value != "" })
		if op == nil {
			return false
		}
		op.Outcome, op.Event, op.Fault = v2api.Refused, nil, &v2api.Fault{Code: 101}
		return true
	}, []verdict.Kind{verdict.EventAlien}},
	{"write applied twice", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool { return acked(o) && o.Value != "" && o.Method == "PUT" })
		if op == nil {
			return false
		}
		ev := *op.Event
		ev.Node.Modified = h.End + 1
		for _, w := range h.Watches {
			if w.Witness {
				w.Entries = append(w.Entries, history.Entry{Event: &ev, At: w.Entries[len(w.Entries)-1].At + 1})
			}
		}
		h.End++
		return true
	}, []verdict.Kind{verdict.AppliedTwice}},
	{"stale prevNode", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool { return acked(o) && o.Event.Prev != nil && o.Event.Prev.Modified > h.Start+1 })
		if op == nil {
			return false
		}
		ev, prev := *op.Event, *op.Event.Prev
		prev.Modified--
		ev.Prev = &prev
		op.Event = &ev
		return true
	}, []verdict.Kind{verdict.ReplyDiffers}},
	{"event with another prevNode than the answer", func(h *history.History, rng *rand.Rand) bool {
		w := h.Watches[0]
		for i := entry(h, rng, 0); i < len(w.Entries); i++ {
			if ev := *w.Entries[i].Event; ev.Prev != nil {
				prev := *ev.Prev
				prev.Created--
				ev.Prev = &prev
				w.Entries[i].Event = &ev
				return true
			}
		}
		return false
	}, []verdict.Kind{verdict.EventDiffers}},
	{"refusal that should have been none", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool {
			return o.Outcome == v2api.Refused && o.Write() && o.PrevIndex > 0 && o.Fault.Code == 101
		})
		if op == nil {
			return false
		}
		op.PrevIndex, op.Value = 0, "allowed"
		return true
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"refusal for the wrong reason", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool { return o.Outcome == v2api.Refused && o.Write() })
		if op == nil {
			return false
		}
		fault := *op.Fault
		fault.Code = 105
		if fault == *op.Fault {
			fault.Code = 100
		}
		op.Fault = &fault
		return true
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"local read that goes back on its connection", func(h *history.History, rng *rand.Rand) bool {
		var local []*history.Op
		for _, op := range h.Ops {
			if op.Conn == 1 {
				local = append(local, op)
			}
		}
		a, b := local[len(local)/4], local[len(local)*3/4]
		b.Event, b.Fault, b.Outcome, b.Index = a.Event, a.Fault, a.Outcome, a.Index
		return true
	}, []verdict.Kind{verdict.IndexBack}},
	{"term that falls on a member", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, acked)
		if op == nil {
			return false
		}
		op.Term = 1
		return true
	}, []verdict.Kind{verdict.TermBack}},
	{"raft index that falls on a member", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, acked)
		if op == nil || op.Raft < 2 {
			return false
		}
		op.Raft = 1
		return true
	}, []verdict.Kind{verdict.RaftBack}},
	{"expiry before its time", func(h *history.History, rng *rand.Rand) bool {
		for _, w := range h.Watches {
			for i := range w.Entries {
				if ev := w.Entries[i].Event; ev.Action == "expire" {
					w.Entries[i].At = ev.Prev.Expiration.Sub(h.Begin) - 500*time.Millisecond
					return true
				}
			}
		}
		return false
	}, []verdict.Kind{verdict.EarlyExpiry}},
	{"expiry before its time, which is shown as earlier too", func(h *history.History, rng *rand.Rand) bool {
		return moveEnd(h, -500*time.Millisecond, func(ev *v2api.Event) bool { return ev.Action == "expire" })
	}, []verdict.Kind{verdict.EventDiffers}},
	{"expiration earlier than its write was told", func(h *history.History, rng *rand.Rand) bool {
		return moveEnd(h, -500*time.Millisecond, func(ev *v2api.Event) bool { return ev.Action != "expire" })
	}, []verdict.Kind{verdict.EventDiffers, verdict.ReplyDiffers}},
	{"expiration later than its ttl", func(h *history.History, rng *rand.Rand) bool {
		return moveEnd(h, 10*time.Second, func(ev *v2api.Event) bool { return ev.Action != "expire" })
	}, []verdict.Kind{verdict.TTLDiffers}},
	{"time to live by another clock", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool { return acked(o) && o.TTL > 0 })
		if op == nil {
			return false
		}
		ev := *op.Event
		end := ev.Node.Expiration.Add(time.Second)
		ev.Node.Expiration = &end
		op.Event = &ev
		return true
	}, []verdict.Kind{verdict.TTLDiffers}},
	{"watch told without need that its history is gone", func(h *history.History, rng *rand.Rand) bool {
		w, i := h.Watches[0], entry(h, rng, 0)
		at := w.Entries[i].Event.Index()
		w.Entries[i] = history.Entry{Asked: at, Window: at + 10, Resumed: at + 1}
		return true
	}, []verdict.Kind{verdict.FalseCleared}},
	{"refresh that wakes a watch", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, func(o *history.Op) bool { return o.Changed() && o.Refresh })
		if op == nil {
			return false
		}
		w := h.Watches[0]
		pos := slices.IndexFunc(w.Entries, func(e history.Entry) bool { return e.Event.Index() > op.Index })
		w.Entries = slices.Insert(w.Entries, pos, history.Entry{Event: op.Event, At: op.Return})
		return true
	}, []verdict.Kind{verdict.EventAlien}},
	{"indexes that nothing accounts for", func(h *history.History, rng *rand.Rand) bool {
		h.End += 60
		return true
	}, []verdict.Kind{verdict.IndexGap}},
	{"witnesses that all missed the same", func(h *history.History, rng *rand.Rand) bool {
		at := h.Watches[0].Entries[entry(h, rng, 0)].Event.Index()
		for _, w := range h.Watches {
			pos := slices.IndexFunc(w.Entries, func(e history.Entry) bool { return e.Event.Index() == at })
			if w.Witness {
				w.Entries[pos] = history.Entry{Asked: at, Window: at + 2000, Resumed: at + 1}
			}
		}
		return true
	}, []verdict.Kind{verdict.Undecided}},
	{"member that ended by itself", func(h *history.History, rng *rand.Rand) bool {
		h.Deaths = append(h.Deaths, "m0")
		return true
	}, []verdict.Kind{verdict.MemberDied}},
	{"another cluster id", func(h *history.History, rng *rand.Rand) bool {
		h.Clusters = append(h.Clusters, "def")
		return true
	}, []verdict.Kind{verdict.MemberDiffer}},
}

// moveEnd changes for everybody when a node was to expire, in an event that shows it as it was before.
func moveEnd(h *history.History, by time.Duration, ok func(*v2api.Event) bool) bool {
	var moved *v2api.Event
	for _, w := range h.Watches {
		for i := range w.Entries {
			e := &w.Entries[i]
			if moved == nil && e.Event.Prev != nil && e.Event.Prev.Expiration != nil && ok(e.Event) {
				ev, prev, end := *e.Event, *e.Event.Prev, e.Event.Prev.Expiration.Add(by)
				ev.Prev, prev.Expiration = &prev, &end
				moved = &ev
			}
			if moved != nil && e.Event.Index() == moved.Index() {
				e.Event = moved
			}
		}
	}
	for _, op := range h.Ops {
		if moved != nil && op.Changed() && op.Event.Index() == moved.Index() {
			op.Event = moved
		}
	}
	return moved != nil
}

func TestCheckCatchesMutants(t *testing.T) {
	t.Run("one shard", func(t *testing.T) {
		catch(t, mutants, 1, 1, 2, 3)
		catch(t, requestMutants, 1, 1)
	})
	t.Run("four shards", func(t *testing.T) {
		gapless := []string{"indexes that nothing accounts for"} // as it should be
		catch(t, slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return slices.Contains(gapless, m.name) }), 4, 7, 9)
		catch(t, shardMutants, 4, 7, 9)
		catch(t, requestMutants, 4, 7)
	})
}

// catch has fixed seeds: not every history shows every fault, or has a place for it.
func catch(t *testing.T, mutants []mutant, shards int, seeds ...uint64) {
	requests := 1500
	if shards > 1 { // which takes longer
		requests = 1200
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			planted := 0
			for _, seed := range seeds {
				h := simulate(seed, requests, shards == 1, shards)
				if !m.plant(h, rand.New(rand.NewPCG(seed, 1))) {
					continue
				}
				planted++
				found, _ := check.Check(h)
				if !slices.ContainsFunc(found, func(v verdict.Violation) bool { return slices.Contains(m.want, v.Kind) }) {
					t.Errorf("seed %d: got %v, want one of %q", seed, found, m.want)
				}
			}
			if planted == 0 {
				t.Error("no seed had a place for it")
			}
		})
	}
}

// porcupine sees only values and times; these are the mutants that it must catch
// alone.
func TestRegistersCatchMutants(t *testing.T) {
	onRegister := func(o *history.Op) bool {
		return o.Outcome == v2api.Acked && v2api.Within(o.Key, writemix.Root("/sim", 1)+check.RegisterDir)
	}
	for _, m := range []struct {
		name  string
		plant func(h *history.History, rng *rand.Rand) bool
	}{
		{"stale read", func(h *history.History, rng *rand.Rand) bool {
			op := pick(h, rng, func(o *history.Op) bool { return onRegister(o) && o.Quorum })
			old := pick(h, rng, func(o *history.Op) bool {
				return op != nil && onRegister(o) && o.Quorum && o.Key == op.Key && o.Event.Node.Value != op.Event.Node.Value && o.Return+time.Second < op.Invoke
			})
			if old == nil {
				return false
			}
			op.Event = old.Event
			return true
		}},
		{"swap that did not compare", func(h *history.History, rng *rand.Rand) bool {
			op := pick(h, rng, func(o *history.Op) bool { return onRegister(o) && o.Write() && o.PrevValue != "" })
			if op == nil {
				return false
			}
			op.PrevValue = "never written"
			return true
		}},
		{"acknowledged set that never happened", func(h *history.History, rng *rand.Rand) bool {
			// Right before a read, with time to itself.
			op := pick(h, rng, func(o *history.Op) bool { return onRegister(o) && o.Quorum })
			if op == nil {
				return false
			}
			lost := *op
			lost.Request = v2api.Request{Method: "PUT", Key: op.Key, Value: "lost"}
			lost.Invoke, lost.Return = op.Invoke-2, op.Invoke-1
			h.Ops = append(h.Ops, &lost)
			// No write may be in flight that could have come in between.
			for _, o := range h.Ops {
				if o != &lost && o.Write() && o.Key == op.Key && o.Invoke < op.Return && (o.Return > lost.Invoke || o.Outcome == v2api.Unknown) {
					return false
				}
			}
			return true
		}},
	} {
		t.Run(m.name, func(t *testing.T) {
			planted := 0
			for seed := range uint64(30) {
				h := simulate(seed, 800, true, 1)
				if !m.plant(h, rand.New(rand.NewPCG(seed, 1))) {
					continue
				}
				planted++
				dir := t.TempDir()
				found, _ := check.Registers(h, dir, time.Minute)
				if !slices.ContainsFunc(found, func(v verdict.Violation) bool { return v.Kind == verdict.NotLinear }) {
					t.Errorf("seed %d: got %v, want %q", seed, found, verdict.NotLinear)
				}
				if drawn, _ := filepath.Glob(filepath.Join(dir, "*.html")); len(drawn) == 0 {
					t.Errorf("seed %d: no picture", seed)
				}
			}
			if planted == 0 {
				t.Error("no seed had a place for it")
			}
		})
	}
}

func TestHistoryIsSaved(t *testing.T) {
	h := simulate(1, 500, true, 1)
	file := filepath.Join(t.TempDir(), "history.json")
	if err := h.Save(file); err != nil {
		t.Fatal(err)
	}
	loaded, err := history.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Ops) != len(h.Ops) || len(loaded.Watches) != len(h.Watches) {
		t.Fatalf("%d operations and %d watches came back", len(loaded.Ops), len(loaded.Watches))
	}
	found, _ := check.Check(loaded)
	for _, v := range found {
		t.Error(v)
	}
}
