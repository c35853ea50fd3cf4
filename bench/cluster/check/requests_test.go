package check_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"copse/bench/cluster/check"
	"copse/bench/cluster/history"
	"copse/bench/placement"
	"copse/bench/v2api"
	"copse/bench/verdict"
)

// answer is what an honest cluster keeps of a request with an id.
type answer struct {
	event  *v2api.Event
	events []v2api.Event
	fault  *v2api.Fault
	index  uint64
}

// insist sends a write of the repeater with an id, at one member after another until it is answered.
func (s *sim) insist(id int, op history.Op) (done *history.Op) {
	if id != repeater || !op.Write() {
		return s.send(id, op)
	}
	op.RequestID = fmt.Sprintf("%d-%d", id, len(s.h.Ops))
	for op.Member = range 3 {
		try := s.send(id, op)
		if done == nil || try.Answered() {
			done = try
		}
		if try.Answered() && s.rng.IntN(3) > 0 {
			break
		}
	}
	return done
}

// transact sends a transaction to one writer's keys. It sets one key twice, and fails in some ways.
func (s *sim) transact(id int) {
	dir := fmt.Sprintf("%s/w%d", s.h.Root, s.rng.IntN(writers))
	n, yes := len(s.h.Ops), true
	set := func(key string, i int) v2api.Request {
		return v2api.Request{Method: http.MethodPut, Key: dir + key, Value: fmt.Sprintf("t%d-%d.%d", id, n, i)}
	}
	item := set("/log", 2)
	item.Method = http.MethodPost
	t := history.Txn{Txn: v2api.Txn{Ops: []v2api.Request{set("/k1", 0), set("/k1", 1), item, {Method: http.MethodDelete, Key: dir + "/k1"}}}}
	switch s.rng.IntN(4) {
	case 0:
		t.Compare = []v2api.Compare{{Key: dir + "/k2", Exists: &yes}}
	case 1:
		t.Ops[1].PrevExist = "false" // it is there by then
	}
	s.insist(id, history.Op{Request: v2api.Request{Method: http.MethodPost, Key: t.Ops[0].Key}, Txn: &t})
}

// doOnce carries out a transaction, or a request with an id, unless it was already.
func (s *sim) doOnce(op *history.Op) (*v2api.Event, *v2api.Fault, uint64) {
	a, known := s.once[op.RequestID]
	switch {
	case known && op.RequestID != "":
	case op.Txn != nil:
		a = s.doTxn(op)
	default:
		a.event, a.fault, a.index = s.doAlways(op)
	}
	s.once[op.RequestID] = a
	if op.Txn != nil {
		op.Txn = &history.Txn{Txn: op.Txn.Txn, Events: a.events}
	}
	return a.event, a.fault, a.index
}

func (s *sim) doTxn(op *history.Op) (a answer) {
	slot := placement.Slot(op.Key, len(s.order.shards))
	store := s.order.shards[slot]
	s.order.next(slot, false)
	switch {
	case len(op.Txn.Compare) > 0 && !store.Has(op.Txn.Compare[0].Key):
		a.fault = &v2api.Fault{Code: 101, Message: "Compare failed", Cause: "compare[0]: " + op.Txn.Compare[0].Key + " doesn't exist"}
	case op.Txn.Ops[1].PrevExist != "":
		a.fault = &v2api.Fault{Code: 105, Message: "Key already exists", Cause: "ops[1]: " + op.Txn.Ops[1].Key}
	}
	if a.fault != nil {
		a.index = store.Index()
		a.fault.Index = a.index
		s.order.took(slot, false)
		return a
	}
	for i := range op.Txn.Ops {
		ev, fault := store.Do(&op.Txn.Ops[i], nil)
		if fault != nil {
			panic(fault)
		}
		a.events = append(a.events, *ev)
	}
	a.index = store.Index()
	s.order.last = max(s.order.last, a.index)
	s.order.took(slot, true)
	s.txn = a.events[0].Index()
	for i := range a.events {
		s.tell(&a.events[i])
	}
	s.txn = 0
	a.event = &a.events[len(a.events)-1]
	return a
}

func ackedTxn(op *history.Op) bool {
	return op.Txn != nil && op.Outcome == v2api.Acked && op.RequestID == ""
}

func refusedTxn(op *history.Op) bool {
	return op.Txn != nil && op.Outcome == v2api.Refused && op.RequestID == ""
}

// unanswered makes the answer to a transaction a lost one, and returns its events.
func unanswered(h *history.History, rng *rand.Rand) []v2api.Event {
	op := pickAny(h, rng, ackedTxn)
	if op == nil {
		return nil
	}
	events := op.Txn.Events
	op.Txn = &history.Txn{Txn: op.Txn.Txn}
	op.Outcome, op.Event, op.Index = v2api.Unknown, nil, 0
	return events
}

// repeated returns an answer to a request that had been answered before, as ok likes it.
func repeated(h *history.History, rng *rand.Rand, ok func(*history.Op) bool) *history.Op {
	return pickAny(h, rng, func(op *history.Op) bool {
		return op.RequestID != "" && op.Answered() && ok(op) && slices.ContainsFunc(h.Ops, func(o *history.Op) bool {
			return o.RequestID == op.RequestID && o.Answered() && o.Return < op.Invoke
		})
	})
}

// requestMutants are what can go wrong with transactions, with requests that are repeated, and with what else
// copse adds to v2.
var requestMutants = []mutant{
	{"transaction with a gap", func(h *history.History, rng *rand.Rand) bool {
		op := pickAny(h, rng, ackedTxn)
		if op == nil {
			return false
		}
		op.Txn.Events = slices.Clone(op.Txn.Events)
		for i := range op.Txn.Events[1:] {
			op.Txn.Events[i+1].Node.Modified++
		}
		op.Event = &op.Txn.Events[len(op.Txn.Events)-1]
		op.Index++
		return true
	}, []verdict.Kind{verdict.Torn}},
	{"transaction with an event too few", func(h *history.History, rng *rand.Rand) bool {
		op := pickAny(h, rng, ackedTxn)
		if op == nil {
			return false
		}
		op.Txn = &history.Txn{Txn: op.Txn.Txn, Events: op.Txn.Events[:2]}
		return true
	}, []verdict.Kind{verdict.ReplyDiffers}},
	{"transaction without an answer whose end is missing", func(h *history.History, rng *rand.Rand) bool {
		events := unanswered(h, rng)
		return events != nil && unsee(h, events[len(events)-1].Index(), everyone) > 0
	}, []verdict.Kind{verdict.Torn}},
	{"transaction without an answer whose middle is missing", func(h *history.History, rng *rand.Rand) bool {
		events := unanswered(h, rng)
		return events != nil && unsee(h, events[1].Index(), everyone) > 0
	}, []verdict.Kind{verdict.Torn}},
	{"transaction without an answer whose begin is missing", func(h *history.History, rng *rand.Rand) bool {
		events := unanswered(h, rng)
		return events != nil && unsee(h, events[0].Index(), everyone) > 0
	}, []verdict.Kind{verdict.Torn}},
	{"transaction that is cut off by the end", func(h *history.History, rng *rand.Rand) bool {
		events := unanswered(h, rng)
		if events == nil {
			return false
		}
		h.End = events[1].Index()
		return true
	}, []verdict.Kind{verdict.Torn}},
	{"transaction although its compare didn't hold", func(h *history.History, rng *rand.Rand) bool {
		op := pickAny(h, rng, ackedTxn)
		if op == nil {
			return false
		}
		op.Txn.Compare = []v2api.Compare{{Key: op.Txn.Ops[0].Key, Index: 1}}
		return true
	}, []verdict.Kind{verdict.ReplyDiffers}},
	{"transaction refused that should have succeeded", func(h *history.History, rng *rand.Rand) bool {
		op := pickAny(h, rng, refusedTxn)
		if op == nil {
			return false
		}
		op.Txn.Compare, op.Txn.Ops = nil, op.Txn.Ops[:1]
		return true
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"transaction refused for another operation", func(h *history.History, rng *rand.Rand) bool {
		op := pickAny(h, rng, refusedTxn)
		if op == nil {
			return false
		}
		fault := *op.Fault
		fault.Cause = "ops[2]: " + op.Txn.Ops[2].Key
		op.Fault = &fault
		return true
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"read of what is in the middle of a transaction", func(h *history.History, rng *rand.Rand) bool {
		op := pickAny(h, rng, ackedTxn)
		if op == nil {
			return false
		}
		h.Ops = append(h.Ops, &history.Op{
			Request: v2api.Request{Method: http.MethodGet, Key: op.Txn.Ops[0].Key}, Member: 9, Invoke: op.Return, Return: op.Return + 1,
			Outcome: v2api.Acked, Index: op.Txn.Events[0].Index(), Event: &v2api.Event{Action: "get", Node: op.Txn.Events[0].Node},
		})
		return true
	}, []verdict.Kind{verdict.ReadDiffers}},
	{"repeated write with another index", func(h *history.History, rng *rand.Rand) bool {
		op := repeated(h, rng, (*history.Op).Changed)
		if op == nil {
			return false
		}
		ev := *op.Event
		ev.Node.Modified++
		op.Event = &ev
		op.Index++
		return true
	}, []verdict.Kind{verdict.AppliedTwice}},
	{"repeated write that is refused", func(h *history.History, rng *rand.Rand) bool {
		op := repeated(h, rng, (*history.Op).Changed)
		if op == nil {
			return false
		}
		op.Outcome, op.Event, op.Fault = v2api.Refused, nil, &v2api.Fault{Code: 105, Index: op.Index}
		return true
	}, []verdict.Kind{verdict.ReplyDiffers}},
	{"repeated refusal that is another", func(h *history.History, rng *rand.Rand) bool {
		op := repeated(h, rng, func(o *history.Op) bool { return o.Outcome == v2api.Refused })
		if op == nil {
			return false
		}
		fault := *op.Fault
		fault.Cause += "?"
		op.Fault = &fault
		return true
	}, []verdict.Kind{verdict.ReplyDiffers}},
	{"repeated transaction with another event", func(h *history.History, rng *rand.Rand) bool {
		op := repeated(h, rng, func(o *history.Op) bool { return o.Txn != nil && o.Changed() })
		if op == nil {
			return false
		}
		op.Txn.Events = slices.Clone(op.Txn.Events)
		op.Txn.Events[0].Node.Created++
		return true
	}, []verdict.Kind{verdict.ReplyDiffers}},
	{"repeated write that was carried out twice", func(h *history.History, rng *rand.Rand) bool {
		op := pickAny(h, rng, func(o *history.Op) bool { return o.RequestID != "" && o.Changed() && o.Txn == nil && o.Value != "" })
		if op == nil {
			return false
		}
		ev := *op.Event
		h.End++
		ev.Node.Modified = h.End
		for _, w := range h.Watches[:2] {
			w.Entries = append(w.Entries, history.Entry{Event: &ev, At: w.Entries[len(w.Entries)-1].At + 1})
		}
		return true
	}, []verdict.Kind{verdict.AppliedTwice}},
	{"read with minIndex whose header is below", func(h *history.History, rng *rand.Rand) bool {
		op := pick(h, rng, quorumRead)
		if op == nil {
			return false
		}
		op.Quorum, op.MinIndex = false, op.Index+1
		return true
	}, []verdict.Kind{verdict.StaleRead}},
	{"event missing at a watch of two directories", func(h *history.History, rng *rand.Rand) bool {
		w := h.Watches[4]
		i := entry(h, rng, 4)
		w.Entries = slices.Delete(w.Entries, i, i+1)
		return true
	}, []verdict.Kind{verdict.EventMissing}},
	{"event of neither at a watch of two directories", func(h *history.History, rng *rand.Rand) bool {
		w := h.Watches[4]
		pos := entry(h, rng, 4)
		after := w.Entries[pos-1].Event.Index()
		for _, e := range h.Watches[0].Entries {
			if e.Event.Index() > after && !v2api.Within(e.Event.Node.Key, w.Prefixes[0]) && !v2api.Within(e.Event.Node.Key, w.Prefixes[1]) {
				pos = slices.IndexFunc(w.Entries, func(o history.Entry) bool { return o.Event.Index() > e.Event.Index() })
				w.Entries = slices.Insert(w.Entries, pos, e)
				return true
			}
		}
		return false
	}, []verdict.Kind{verdict.EventAlien}},
	{"event twice at a watch of two directories", func(h *history.History, rng *rand.Rand) bool {
		w, i := h.Watches[4], entry(h, rng, 4)
		w.Entries = slices.Insert(w.Entries, i+1, w.Entries[i])
		return true
	}, []verdict.Kind{verdict.EventTwice}},
	{"event behind an id that covers it", func(h *history.History, rng *rand.Rand) bool {
		e := &h.Watches[2].Entries[entry(h, rng, 2)]
		e.Had = e.Event.Index()
		return true
	}, []verdict.Kind{verdict.EventOrder}},
	{"watch of one name told that its events are gone, which are kept", func(h *history.History, rng *rand.Rand) bool {
		clearOne(h, rng)
		h.Rules.NameWindow = 1000
		return true
	}, []verdict.Kind{verdict.FalseCleared}},
}

// clearOne has the watch of one writer told that an event is gone, which as one of the whole tree it may be.
func clearOne(h *history.History, rng *rand.Rand) {
	w, i := h.Watches[2], entry(h, rng, 2)
	at := w.Entries[i].Event.Index()
	w.Entries[i] = history.Entry{Asked: at, Window: at + 10, Resumed: at + 1}
	h.Rules.Window = 1
}

// A watch of one name may be told that an event is gone if there were as many in that name since as are kept.
func TestCheckAcceptsWhatANameNoLongerKeeps(t *testing.T) {
	h := simulate(7, 1200, false, 4)
	clearOne(h, rand.New(rand.NewPCG(7, 1)))
	h.Rules.NameWindow = 1
	found, _ := check.Check(h)
	for _, v := range found {
		t.Error(v)
	}
}
