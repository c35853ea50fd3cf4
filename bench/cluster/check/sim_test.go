package check_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"copse/bench/cluster/history"
	"copse/bench/placement"
	"copse/bench/v2api"
	"copse/bench/writemix"
)

// sim makes the history of an honest cluster: one oracle for each shard, clients that
// overlap, answers that get lost, members that are behind.
type sim struct {
	rng   *rand.Rand
	order indexes
	h     *history.History
	now   time.Duration
	back  []time.Duration // when each client has its last answer
	later []func()        // writes of unknown outcome that have not arrived yet
	pasts [][]past        // of each shard, index by index
	at    []int           // where in them the member is that is behind
	shown uint64          // by its header
	raft  uint64          // entries so far
	once  map[string]answer
	txn   uint64 // the first index of the transaction that is being told; 0 is none
}

// past is a shard as it was.
type past struct {
	index   uint64 // its settled one
	change  uint64 // its last change's,
	first   uint64 // and, if that ends a transaction, the one with which it began
	counter *v2api.Event
	fault   *v2api.Fault // if there is no counter
	listing []v2api.Node // of the root, where that is the load's
}

// The clients: writers on members 0 to 2, one quorum reader, one register
// client for each member, one local reader on member 3, which is behind.
const (
	writers   = 4
	registers = 3
	repeater  = 2 // the writer who repeats what has no answer, and sometimes what has one
	quorum    = writers + registers
	local     = quorum + 1
)

// simulate returns a history of about the given number of requests to one shard,
// or more, which then have the whole tree.
func simulate(seed uint64, requests int, exact bool, shards int) *history.History {
	root := writemix.Root("/sim", shards)
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := &sim{
		rng:   rand.New(rand.NewPCG(seed, 0)),
		order: newIndexes(shards, 7, begin),
		pasts: make([][]past, shards),
		at:    make([]int, shards),
		back:  make([]time.Duration, local+1),
		once:  map[string]answer{},
		h: &history.History{
			Rules:    history.Rules{ExactHeader: exact, Pauses: !exact, Window: 1000, Shards: shards},
			Begin:    begin,
			Root:     root,
			Start:    7,
			Clusters: []string{"abc"},
			Watches: []*history.Watch{
				{Name: "witness 0", Scope: root, Recursive: true, Witness: true, From: 8},
				{Name: "witness 1", Scope: root, Recursive: true, Witness: true, From: 8},
				{Name: "one writer", Scope: root + "/w1", Recursive: true, From: 8},
				{Name: "leaf", Scope: root + "/w0/tree/leaf", From: 8},
				{Name: "two writers", Scope: root, Recursive: true, Prefixes: []string{root + "/w1", root + "/w2"}, From: 8},
			},
		},
	}
	var mixes []*writemix.Mix
	for id := range writers {
		mixes = append(mixes, writemix.New(root, id, fmt.Sprintf("s%d", id), s.rng, simCaller{s, id}))
	}
	for slot := range shards {
		s.note(slot)
	}
	for len(s.h.Ops) < requests {
		switch n := s.rng.IntN(10); {
		case n < 5:
			mixes[s.rng.IntN(writers)].Next()
		case n < 6:
			s.transact(s.rng.IntN(writers))
		case n < 8:
			s.register(writers + s.rng.IntN(registers))
		case n < 9:
			key := root + "/w1"
			if shards > 1 && s.rng.IntN(2) == 0 {
				key = root
			}
			s.call(quorum, v2api.Request{Method: http.MethodGet, Key: key, Recursive: true, Quorum: true})
		default:
			s.behind()
		}
	}
	s.end()
	return s.h
}

type simCaller struct {
	s  *sim
	id int
}

func (c simCaller) Seen() uint64 { return c.s.order.counter }
func (c simCaller) Call(r v2api.Request) (v2api.Outcome, *v2api.Event) {
	op := c.s.insist(c.id, history.Op{Request: r})
	return op.Outcome, op.Event
}

func (s *sim) register(id int) {
	key := fmt.Sprintf("%s/registers/r%d", s.h.Root, s.rng.IntN(2))
	value := fmt.Sprintf("r%d-%d", id, len(s.h.Ops))
	switch s.rng.IntN(3) {
	case 0:
		s.call(id, v2api.Request{Method: http.MethodGet, Key: key, Quorum: true})
	case 1:
		s.call(id, v2api.Request{Method: http.MethodPut, Key: key, Value: value})
	default:
		op := s.call(id, v2api.Request{Method: http.MethodGet, Key: key, Quorum: true})
		if op.Outcome == v2api.Acked {
			s.call(id, v2api.Request{Method: http.MethodPut, Key: key, Value: value, PrevValue: op.Event.Node.Value})
		}
	}
}

func (s *sim) wait(most time.Duration) time.Duration { return time.Duration(s.rng.Int64N(int64(most))) }

// tick lets time pass, with the expirations that are due.
func (s *sim) tick() {
	s.now += time.Millisecond + s.wait(4*time.Millisecond)
	if s.h.Rules.Pauses && s.rng.IntN(200) == 0 { // an outage, of some shards
		away := s.wait(5 * time.Second)
		s.now += away
		for _, store := range s.order.shards {
			if s.rng.IntN(3) > 0 {
				store.Delay(away)
			}
		}
	}
	for _, slot := range s.rng.Perm(len(s.order.shards)) {
		store := s.order.shards[slot]
		for {
			key, at, ok := store.Due()
			if !ok || s.h.Begin.Add(s.now).Before(at) {
				break
			}
			s.order.next(slot, false)
			ev, err := store.Expire(key)
			if err != nil {
				panic(err)
			}
			s.order.took(slot, true)
			s.tell(ev)
		}
	}
	for len(s.later) > 0 && s.rng.IntN(4) == 0 {
		s.later[0]()
		s.later = s.later[1:]
	}
}

// call carries out one request of a client.
func (s *sim) call(id int, r v2api.Request) *history.Op { return s.send(id, history.Op{Request: r}) }

// send carries out what op says for a client, which waits for its last one.
func (s *sim) send(id int, try history.Op) *history.Op {
	s.tick()
	s.now = max(s.now, s.back[id]+1)
	op := &try
	op.Client, op.Invoke = fmt.Sprint("client ", id), max(s.back[id]+1, s.now-s.wait(5*time.Millisecond))
	if op.RequestID == "" {
		op.Member = id % 3
	}
	r := op.Request
	s.h.Ops = append(s.h.Ops, op)
	op.Return = s.now + 1 + s.wait(5*time.Millisecond)
	s.back[id] = op.Return
	switch n := s.rng.IntN(100); {
	case n < 2:
		op.Outcome = v2api.NotSent
	case n < 4: // lost before it reached the log
		op.Outcome = v2api.Unknown
	case n < 7 && r.Write(): // the answer is lost, the write happens
		s.later = append(s.later, func() { s.do(op) })
	default:
		ev, fault, index := s.do(op)
		s.raft++
		op.Outcome, op.Event, op.Fault, op.Index, op.Raft, op.Term = v2api.Acked, ev, fault, index, s.raft, 2
		if fault != nil {
			op.Outcome, op.Raft, op.Term = v2api.Refused, 0, 0
		}
	}
	return op
}

// do carries out a request, notifies the watchers, and returns the answer.
func (s *sim) do(op *history.Op) (*v2api.Event, *v2api.Fault, uint64) {
	if op.Txn != nil || op.RequestID != "" {
		return s.doOnce(op)
	}
	return s.doAlways(op)
}

func (s *sim) doAlways(op *history.Op) (*v2api.Event, *v2api.Fault, uint64) {
	var expires *time.Time
	if op.TTL != 0 {
		end := s.h.Begin.Add(op.Invoke + 1 + time.Duration(op.TTL)*time.Second)
		expires = &end
	}
	slot, inRoot := placement.Slot(op.Key, len(s.order.shards)), placement.Root(op.Key)
	if !op.Write() {
		return s.order.read(&op.Request, op.Member)
	}
	if inRoot {
		slot = s.rng.IntN(len(s.order.shards))
	}
	s.order.next(slot, inRoot && op.Method == http.MethodPost)
	ev, fault := s.order.shards[slot].Do(&op.Request, expires)
	index := s.order.shards[slot].Index()
	if fault != nil {
		fault.Index = index
	}
	s.order.took(slot, fault == nil)
	if fault == nil {
		if !op.Refresh {
			s.tell(ev)
		}
		s.note(slot)
	}
	return ev, fault, index
}

func (s *sim) tell(ev *v2api.Event) {
	slot := placement.Slot(ev.Node.Key, len(s.order.shards))
	s.note(slot)
	for i, w := range s.h.Watches {
		key := ev.Node.Key
		if slices.ContainsFunc(w.Keys(), func(watched string) bool {
			return key == watched || w.Recursive && v2api.Within(key, watched) || ev.Node.Dir && ev.Prev != nil && v2api.Within(watched, key) && !s.order.shards[slot].Has(key)
		}) {
			w.Entries = append(w.Entries, history.Entry{Event: ev, At: s.now + 1 + s.wait(time.Millisecond), Member: 4 + i})
		}
	}
}

func (s *sim) note(slot int) {
	store := s.order.shards[slot]
	ev, fault := store.Do(&v2api.Request{Method: http.MethodGet, Key: s.h.Root + "/counter"}, nil)
	p := past{index: s.order.settled[slot], change: store.Index(), first: store.Index(), counter: ev, fault: fault}
	if s.txn != 0 {
		p.first = s.txn
	}
	if s.h.Root == "" {
		list, _ := store.Do(&v2api.Request{Method: http.MethodGet, Recursive: true}, nil)
		p.listing = list.Node.Nodes
	}
	s.pasts[slot] = append(s.pasts[slot], p)
}

// behind reads from a member that has not heard the latest: the counter, or
// everything.
func (s *sim) behind() {
	s.tick()
	shards := len(s.pasts)
	closed := s.order.counter
	for slot, pasts := range s.pasts {
		s.at[slot] = max(s.at[slot], len(pasts)-1-s.rng.IntN(20))
		if i := slices.IndexFunc(pasts[s.at[slot]:], func(p past) bool { return p.change > pasts[s.at[slot]].change }); i > 0 {
			closed = min(closed, pasts[s.at[slot]+i].first-1)
		}
	}
	op := &history.Op{Client: "local", Member: 3, Conn: 1, Invoke: s.now, Return: s.now + 1, Outcome: v2api.Acked, Term: 2}
	op.Request = v2api.Request{Method: http.MethodGet, Key: s.h.Root + "/counter"}
	slot := placement.Slot(op.Key, shards)
	p := s.pasts[slot][s.at[slot]]
	switch {
	case shards > 1:
		op.Index = max(p.index, closed)
	case s.h.Rules.ExactHeader:
		op.Index = p.index
	default:
		op.Index = max(s.shown, p.index-uint64(s.rng.IntN(3)))
		s.shown = op.Index
	}
	op.Event = p.counter
	if p.fault != nil {
		fault := *p.fault
		fault.Index = op.Index
		op.Outcome, op.Fault = v2api.Refused, &fault
	}
	if shards > 1 && s.rng.IntN(2) == 0 {
		op.Request = v2api.Request{Method: http.MethodGet, Recursive: true}
		op.Outcome, op.Fault, op.Index = v2api.Acked, nil, closed
		op.Event = &v2api.Event{Action: "get", Node: v2api.Node{Dir: true}}
		for slot, pasts := range s.pasts {
			op.Event.Node.Nodes = append(op.Event.Node.Nodes, pasts[s.at[slot]].listing...)
		}
	}
	s.h.Ops = append(s.h.Ops, op)
}

// end waits until nothing has a ttl, writes a fence, and reads all members.
func (s *sim) end() {
	for _, do := range s.later {
		do()
	}
	s.later = nil
	for _, store := range s.order.shards {
		for _, at, ok := store.Due(); ok; _, at, ok = store.Due() {
			s.now = max(s.now, at.Sub(s.h.Begin))
			s.tick()
		}
	}
	op := s.call(0, v2api.Request{Method: http.MethodGet, Key: s.h.Root + "/fence"})
	op.Request = v2api.Request{Method: http.MethodPut, Key: s.h.Root + "/fence", Value: "fence"}
	op.Event, op.Fault, op.Index = s.do(op)
	op.Outcome, op.Term = v2api.Acked, 2
	s.now += 10 * time.Millisecond
	s.h.End = s.order.counter
	for m := range 3 {
		ev, _, _ := s.order.read(&v2api.Request{Method: http.MethodGet, Key: s.h.Root, Recursive: true, Sorted: true, Quorum: true}, m)
		s.h.Finals = append(s.h.Finals, history.Final{Member: m, Index: s.h.End, Tree: ev.Node})
	}
}

func testSeeds(t *testing.T) []uint64 {
	seeds := []uint64{
		1, 2,
		12907734325394709410, // two refreshes of one node are lost in a row, and an expiry is between them
		5381297762325850714,  // two creations of one directory are lost, with different ttls
		16520505231784544210, // a lost refresh is shown with the end that it has behind an outage
		rand.Uint64(),
	}
	t.Logf("seeds %v", seeds)
	return seeds
}
