package shard

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// faults says which kinds of faults happen in a world.
type faults struct {
	lose, reorder, unsent, loseRefusals bool // links
	drop, late                          bool // proposals
	elect, flap, transfer, outage       bool // leadership
	restart, stall                      bool // members
	lag, jump                           bool // replicas
	loseAsks, lateAsks                  bool // the order shard
	hasty                               bool // writers with short deadlines
}

// world is a discrete-event simulation of a cluster of cores for one shard. The same
// seed gives the same run.
type world struct {
	seed    uint64
	rng     *rand.Rand
	faults  faults
	faulty  bool      // faults may still happen
	healed  time.Time // when they ended
	outage  time.Time // no election succeeds before
	sharded bool
	heavy   bool // many writes are large

	now    time.Time
	events eventHeap
	seq    int

	term    uint64
	leader  uint64
	data    simLog
	order   simOrder
	members []*simMember
	writes  []*simWrite
	trace   []string
	errs    []string
	seen    counts
}

// counts counts what happened in the worlds, to show that they exercise everything.
type counts struct {
	writes, replies, timeouts, lost, stopped, again, stale, refusals, probes, unsent, drops, late, elections, transfers,
	restarts, jumps, closes, merged, full, reasked, held, blocked, parts, overtaken int
}

// simWrite is one write and its outcome.
type simWrite struct {
	w        *Write
	member   *simMember
	incarnat int
	begun    time.Time
	sent     int // in how many submissions
	answered bool
	err      error
}

// simMember is one member, with the state that its actor keeps around the core.
type simMember struct {
	id          uint64
	up          bool
	incarnation int
	core        *Core
	feed        *Feed
	nonce       uint64
	lead        Lead
	mailbox     []*Write
	in          Input
	stalled     time.Time
	poked       bool
	wake        int       // number of the latest wake-up; older ones are ignored
	idle        int       // steps in a row in which nothing happened, before the look was due
	held        time.Time // since when, and since the last answer, writes that could be sent wait for others
	jumped      bool
	lastSent    map[uint64]time.Time // per target: links keep the order
	lastProp    time.Time
	dataAt      int
	orderAt     int
	applying    bool
}

func newWorld(seed uint64, members int, sharded bool, f faults) *world {
	w := &world{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), faults: f, faulty: true, sharded: sharded,
		now:  time.Unix(1_000_000, 0),
		data: simLog{sharded: sharded, slot: 1, applied: map[int64]int{}},
	}
	for i := range members {
		m := &simMember{id: uint64(i + 1)}
		w.members = append(w.members, m)
		w.start(m)
	}
	return w
}

// event is something that happens at a given time.
type event struct {
	at  time.Time
	seq int
	do  func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(e any)   { *h = append(*h, e.(event)) }
func (h *eventHeap) Pop() any {
	e := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return e
}

func (w *world) after(d time.Duration, do func()) { w.until(w.now.Add(d), do) }

func (w *world) until(at time.Time, do func()) {
	w.seq++
	heap.Push(&w.events, event{at, w.seq, do})
}

// run lets events happen until the given time, or until none are left.
func (w *world) run(end time.Time) {
	for len(w.events) > 0 && len(w.errs) == 0 && !w.events[0].at.After(end) {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	w.now = end
}

func (w *world) fail(format string, args ...any) {
	w.errs = append(w.errs, fmt.Sprintf(format, args...))
}

func (w *world) say(format string, args ...any) {
	if tracing {
		w.trace = append(w.trace, fmt.Sprintf("%8.3f ", w.now.Sub(time.Unix(1_000_000, 0)).Seconds()*1000)+fmt.Sprintf(format, args...))
	}
}

// chance is true in percent of the cases, if the fault is on.
func (w *world) chance(on bool, percent int) bool {
	return on && w.faulty && w.rng.IntN(100) < percent
}

// between draws a duration.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)+1))
}

// delay draws the duration of something quick.
func (w *world) delay() time.Duration { return w.between(50*time.Microsecond, 800*time.Microsecond) }

func (w *world) start(m *simMember) {
	m.incarnation++
	m.up, m.nonce = true, w.rng.Uint64()
	m.core = NewCore(Options{Self: m.id, Nonce: m.nonce, Slot: w.data.slot, Sharded: w.sharded, Patience: 300 * time.Millisecond})
	m.feed = NewFeed(w.data.slot, tree.RequestID{Replica: m.id, Nonce: m.nonce}, w.order.at(m.orderAt).handed[w.data.slot], w.data.at(m.dataAt).settled)
	m.lead, m.in, m.mailbox, m.stalled = Lead{}, Input{}, nil, time.Time{}
	m.poked, m.applying, m.jumped, m.idle = false, false, false, 0
	m.lastSent = map[uint64]time.Time{}
	w.learn(m, w.delay())
	w.follow(m)
}

// stop ends a member: by a signal, so that its writers are answered, or by a crash.
func (w *world) stop(m *simMember, crash bool) {
	w.say("member %d stops, crash %v", m.id, crash)
	w.seen.restarts++
	if crash {
		for _, s := range w.writes {
			if s.member == m && s.incarnat == m.incarnation && !s.answered {
				s.answered, s.err = true, errCrash // nobody waits any more
			}
		}
	} else {
		for _, write := range m.mailbox {
			w.answer(m, write, 0, ErrStopped)
		}
		w.effects(m, m.core.Stop(ErrStopped), Lead{})
	}
	m.up = false
	m.dataAt -= w.rng.IntN(min(m.dataAt, 3) + 1) // entries that weren't synced are applied again
	if w.leader == m.id {
		w.leader = 0
	}
}

var errCrash = errors.New("the member crashed")

// elect makes the member the leader in a new term; 0 leaves the term without one.
func (w *world) elect(id uint64) {
	w.seen.elections++
	w.term++
	w.leader = id
	w.say("member %d leads in term %d", id, w.term)
	for _, m := range w.members {
		d := w.delay()
		if w.chance(w.faults.elect, 50) {
			d = w.between(0, 200*time.Millisecond)
		}
		w.learn(m, d)
	}
}

// learn tells the member about the current leader, after the given time.
func (w *world) learn(m *simMember, d time.Duration) {
	lead, incarnation := Lead{w.leader, w.term}, m.incarnation
	w.after(d, func() {
		if !m.up || m.incarnation != incarnation || lead.Term < m.lead.Term || lead.Term == m.lead.Term && m.lead.Member != 0 {
			return
		}
		if m.lead != lead {
			m.lead = lead
			w.poke(m)
		}
	})
}

// poke makes the member's core take a step soon.
func (w *world) poke(m *simMember) {
	if !m.up || m.poked {
		return
	}
	m.poked = true
	incarnation := m.incarnation
	w.until(later(w.now.Add(w.between(0, 100*time.Microsecond)), m.stalled), func() {
		if m.up && m.incarnation == incarnation {
			m.poked = false
			w.step(m, false)
		}
	})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// follow makes the member's replicas catch up, a few entries at a time.
func (w *world) follow(m *simMember) {
	if !m.up || m.applying || m.dataAt == len(w.data.entries) && m.orderAt == len(w.order.entries) {
		return
	}
	m.applying = true
	d := w.delay()
	if w.chance(w.faults.lag, 10) {
		d = w.between(0, 400*time.Millisecond)
	}
	incarnation := m.incarnation
	w.after(d, func() {
		if !m.up || m.incarnation != incarnation {
			return
		}
		m.applying = false
		w.apply(m)
		w.follow(m)
		select {
		case <-m.feed.bell:
			w.poke(m)
		default:
		}
	})
}

func (w *world) apply(m *simMember) {
	if to := min(len(w.data.entries), m.dataAt+1+w.rng.IntN(3)); to > m.dataAt && (w.rng.IntN(2) == 0 || m.orderAt == len(w.order.entries)) {
		if behind := len(w.data.entries) - m.dataAt; behind > 1 && w.chance(w.faults.jump, 20) {
			to = m.dataAt + 1 + w.rng.IntN(behind)
			w.say("member %d jumps from entry %d to %d", m.id, m.dataAt, to)
			m.jumped = true
			w.seen.jumps++
			m.feed.Data(&statemachine.ApplyResult{Last: w.data.at(to).settled, Epoch: w.data.at(to).epoch, Jumped: true})
		} else {
			m.feed.Data(w.data.news(m.id, m.dataAt, to))
		}
		m.dataAt = to
		return
	}
	if to := min(len(w.order.entries), m.orderAt+1+w.rng.IntN(3)); to > m.orderAt {
		n := w.order.news(m.orderAt, to)
		if w.chance(w.faults.jump, 5) {
			n.Jumped, n.Grants = true, nil
		}
		m.feed.Order(n)
		m.orderAt = to
	}
}

func (w *world) followAll() {
	for _, m := range w.members {
		w.follow(m)
	}
}

// write makes a client write through the member.
func (w *world) write(m *simMember) {
	if !m.up {
		return
	}
	id := int64(len(w.writes) + 1)
	c := &tree.Command{Op: tree.OpSet, Key: simKey, Value: strconv.AppendInt(nil, id, 10), Now: id}
	switch n := w.rng.IntN(400); {
	case n < 30:
		c.Op, c.Key = tree.OpCreateInOrder, "/"
	case n < 34:
		c.Op, c.Key, c.Limit = tree.OpExpire, "/", 1+w.rng.IntN(1000)
	case n < 36:
		c.Value = large[:w.rng.IntN(700<<10)]
	case n < 46: // a part, or all, of a large value
		c.Op, c.Limit = tree.OpStage, 1+w.rng.IntN(256<<10)
		c.Value = large[:c.Limit]
		w.seen.parts++
	}
	if w.heavy && w.rng.IntN(6) == 0 && c.Op != tree.OpExpire && c.Op != tree.OpStage {
		c.Value = large[:w.rng.IntN(len(large))]
	}
	wait := 5 * time.Second
	if w.chance(w.faults.hasty, 50) {
		wait = w.between(10*time.Millisecond, time.Second)
	}
	write := &Write{Command: c, Deadline: w.now.Add(wait)}
	w.writes = append(w.writes, &simWrite{w: write, member: m, incarnat: m.incarnation, begun: w.now})
	w.seen.writes++
	m.mailbox = append(m.mailbox, write)
	w.poke(m)
}

// simKey lives in the shard of a sharded world.
const simKey = "/d"

// large has the longest values: two pass what may be under way, and only dozens fill the leader's inbox.
var large = make([]byte, 5<<20)

// answer records the answer to a write, and checks that it is allowed.
func (w *world) answer(m *simMember, write *Write, reply uint64, err error) {
	id := write.Command.Now
	s := w.writes[id-1]
	switch {
	case s.answered:
		w.fail("write %d is answered twice", id)
	case s.member != m || s.incarnat != m.incarnation:
		w.fail("write %d is answered by another member", id)
	case err == nil && w.data.applied[id] != 1:
		w.fail("write %d is answered and was applied %d times", id, w.data.applied[id])
	case err == nil && reply != uint64(id):
		w.fail("write %d gets the reply of %d", id, reply)
	case errors.Is(err, ErrTimeout) && !w.now.After(write.Deadline):
		w.fail("write %d is given up %v before its deadline", id, write.Deadline.Sub(w.now))
	case errors.Is(err, ErrLeaderLost) && !m.jumped:
		w.fail("write %d is given up without a jump", id)
	}
	s.answered, s.err = true, err
	switch {
	case err == nil:
		w.seen.replies++
	case errors.Is(err, ErrTimeout):
		w.seen.timeouts++
	case errors.Is(err, ErrLeaderLost):
		w.seen.lost++
	default:
		w.seen.stopped++
	}
	w.say("member %d answers %d: %v", m.id, id, err)
}

func (w *world) up() []*simMember {
	return slices.DeleteFunc(slices.Clone(w.members), func(m *simMember) bool { return !m.up })
}

// electAny elects one of the running members, if they are a majority.
func (w *world) electAny() {
	if w.now.Before(w.outage) {
		w.until(w.outage, func() {
			if w.leader == nobody {
				w.electAny()
			}
		})
		return
	}
	if up := w.up(); 2*len(up) > len(w.members) {
		w.elect(up[w.rng.IntN(len(up))].id)
	}
}
