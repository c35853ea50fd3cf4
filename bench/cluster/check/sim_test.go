package check_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"copse/bench/cluster/history"
	"copse/bench/load"
	"copse/bench/v2api"
	"copse/bench/v2oracle"
)

const root = "/sim"

// sim makes the history of an honest cluster: one oracle, clients that
// overlap, answers that get lost, members that are behind.
type sim struct {
	rng   *rand.Rand
	store *v2oracle.Store
	h     *history.History
	now   time.Duration
	back  []time.Duration // when each client has its last answer
	later []func()        // writes of unknown outcome that are still on their way
	pasts []past          // the counter, index by index
	shown uint64          // by the header of the member that is behind,
	body  uint64          // and what its nodes are of
}

type past struct {
	index uint64
	event *v2api.Event
	fault *v2api.Fault
}

// The clients: writers on members 0 to 2, one quorum reader, one register
// client for each member, one local reader on member 3, which is behind.
const (
	writers   = 4
	registers = 3
	quorum    = writers + registers
	local     = quorum + 1
)

// simulate returns a history of about the given number of requests.
func simulate(seed uint64, requests int, exact bool) *history.History {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := &sim{
		rng:   rand.New(rand.NewPCG(seed, 0)),
		store: v2oracle.New(1000, begin),
		back:  make([]time.Duration, local+1),
		h: &history.History{
			Rules:    history.Rules{ExactHeader: exact, Window: 1000},
			Begin:    begin,
			Root:     root,
			Start:    7,
			Clusters: []string{"abc"},
			Watches: []*history.Watch{
				{Name: "witness 0", Scope: root, Recursive: true, Witness: true, From: 8},
				{Name: "witness 1", Scope: root, Recursive: true, Witness: true, From: 8},
				{Name: "one writer", Scope: root + "/w1", Recursive: true, From: 8},
				{Name: "leaf", Scope: root + "/w0/tree/leaf", From: 8},
			},
		},
	}
	s.store.SetIndex(7)
	var mixes []*load.Mix
	for id := range writers {
		mixes = append(mixes, load.New(root, id, fmt.Sprintf("s%d", id), s.rng, simCaller{s, id}))
	}
	s.note()
	for len(s.h.Ops) < requests {
		switch n := s.rng.IntN(10); {
		case n < 6:
			mixes[s.rng.IntN(writers)].Next()
		case n < 8:
			s.register(writers + s.rng.IntN(registers))
		case n < 9:
			s.call(quorum, v2api.Request{Method: http.MethodGet, Key: root + "/w1", Recursive: true, Quorum: true})
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

func (c simCaller) Seen() uint64 { return c.s.store.Index() }
func (c simCaller) Call(r v2api.Request) (v2api.Outcome, *v2api.Event) {
	op := c.s.call(c.id, r)
	return op.Outcome, op.Event
}

func (s *sim) register(id int) {
	key := fmt.Sprintf("%s/registers/r%d", root, s.rng.IntN(2))
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

// tick lets time pass, with what falls due in it.
func (s *sim) tick() {
	s.now += time.Millisecond + s.wait(4*time.Millisecond)
	for {
		_, at, ok := s.store.Due()
		if !ok || s.h.Begin.Add(s.now).Before(at) {
			break
		}
		ev, err := s.store.Expire()
		if err != nil {
			panic(err)
		}
		s.tell(ev)
	}
	for len(s.later) > 0 && s.rng.IntN(4) == 0 {
		s.later[0]()
		s.later = s.later[1:]
	}
}

// call carries out one request of a client, which waits for its last one.
func (s *sim) call(id int, r v2api.Request) *history.Op {
	s.tick()
	s.now = max(s.now, s.back[id]+1)
	op := &history.Op{Request: r, Client: fmt.Sprint("client ", id), Member: id % 3, Invoke: max(s.back[id]+1, s.now-s.wait(5*time.Millisecond))}
	s.h.Ops = append(s.h.Ops, op)
	op.Return = s.now + 1 + s.wait(5*time.Millisecond)
	s.back[id] = op.Return
	switch n := s.rng.IntN(100); {
	case n < 2:
		op.Outcome = v2api.NotSent
	case n < 4: // lost before it came to the log
		op.Outcome = v2api.Unknown
	case n < 7 && r.Write(): // the answer is lost, the write happens
		s.later = append(s.later, func() { s.do(op) })
	default:
		ev, fault := s.do(op)
		op.Outcome, op.Event, op.Fault, op.Index, op.Term = v2api.Acked, ev, fault, s.store.Index(), 2
		if fault != nil {
			op.Outcome, op.Term = v2api.Refused, 0
		}
	}
	return op
}

// do carries a request out, and tells the watchers.
func (s *sim) do(op *history.Op) (*v2api.Event, *v2api.Fault) {
	var expires *time.Time
	if op.TTL != 0 {
		end := s.h.Begin.Add(op.Invoke + 1 + time.Duration(op.TTL)*time.Second)
		expires = &end
	}
	ev, fault := s.store.Do(&op.Request, expires)
	if op.Write() && fault == nil {
		if !op.Refresh {
			s.tell(ev)
		}
		s.note()
	}
	return ev, fault
}

func (s *sim) tell(ev *v2api.Event) {
	s.note()
	for i, w := range s.h.Watches {
		key := ev.Node.Key
		if key == w.Scope || w.Recursive && v2api.Within(key, w.Scope) || ev.Node.Dir && ev.Prev != nil && v2api.Within(w.Scope, key) && !s.store.Has(key) {
			w.Entries = append(w.Entries, history.Entry{Event: ev, At: s.now + 1 + s.wait(time.Millisecond), Member: 4 + i})
		}
	}
}

func (s *sim) note() {
	ev, fault := s.store.Do(&v2api.Request{Method: http.MethodGet, Key: root + "/counter"}, nil)
	s.pasts = append(s.pasts, past{s.store.Index(), ev, fault})
}

// behind reads the counter from a member that has not heard the latest.
func (s *sim) behind() {
	s.tick()
	p := s.pasts[max(0, len(s.pasts)-1-s.rng.IntN(20))]
	if p.index < s.body {
		return
	}
	op := &history.Op{
		Request: v2api.Request{Method: http.MethodGet, Key: root + "/counter"},
		Client:  "local", Member: 3, Conn: 1, Invoke: s.now, Return: s.now + 1,
		Outcome: v2api.Acked, Event: p.event, Fault: p.fault, Index: p.index, Term: 2,
	}
	if p.fault != nil {
		op.Outcome = v2api.Refused
	}
	if !s.h.Rules.ExactHeader {
		op.Index = max(s.shown, p.index-uint64(s.rng.IntN(3)))
	}
	if p.fault != nil {
		fault := *p.fault
		fault.Index = op.Index
		op.Fault = &fault
	}
	s.shown, s.body = op.Index, p.index
	s.h.Ops = append(s.h.Ops, op)
}

// end waits until nothing has a ttl, writes a fence, and reads all members.
func (s *sim) end() {
	for _, do := range s.later {
		do()
	}
	s.later = nil
	for _, at, ok := s.store.Due(); ok; _, at, ok = s.store.Due() {
		s.now = max(s.now, at.Sub(s.h.Begin))
		s.tick()
	}
	for op := s.call(0, v2api.Request{}); ; {
		op.Request = v2api.Request{Method: http.MethodPut, Key: root + "/fence", Value: "fence"}
		ev, _ := s.do(op)
		op.Outcome, op.Event, op.Fault, op.Index, op.Term = v2api.Acked, ev, nil, s.store.Index(), 2
		break
	}
	s.now += 10 * time.Millisecond
	s.h.End = s.store.Index()
	for m := range 3 {
		ev, _ := s.store.Do(&v2api.Request{Method: http.MethodGet, Key: root, Recursive: true, Sorted: true}, nil)
		s.h.Finals = append(s.h.Finals, history.Final{Member: m, Index: s.h.End, Tree: ev.Node})
	}
}

func testSeeds(t *testing.T) []uint64 {
	seeds := []uint64{1, 2, rand.Uint64()}
	t.Logf("seeds %v", seeds)
	return seeds
}
