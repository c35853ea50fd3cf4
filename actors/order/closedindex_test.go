package order

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// spanWorld is the history of a cluster with several shards: the logs of the order shard
// and of the data shards. Each member applies them at its own pace.
type spanWorld struct {
	slots  int
	grants []tree.Grant
	data   [][]spanEntry // by slot
	events []tree.Index  // of all shards, in order
}

// spanEntry is one entry of a data shard: the settled index after it, and its events.
type spanEntry struct {
	settled tree.Index
	events  []tree.Index
}

// newSpanWorld draws logs in which batches use all or part of their range, and ranges
// are closed one by one or together.
func newSpanWorld(r *rand.Rand, slots, grants int) *spanWorld {
	w := &spanWorld{slots: slots, data: make([][]spanEntry, slots)}
	counter := tree.Index(r.IntN(5))
	for range grants {
		slot := r.IntN(slots)
		g := tree.Grant{Slot: slot, Range: tree.Range{First: counter + 1, Last: counter + 1 + tree.Index(r.IntN(5))}}
		counter = g.Range.Last
		w.grants = append(w.grants, g)
		e := spanEntry{settled: g.Range.Last}
		switch r.IntN(5) {
		case 0: // the batch was lost: closed with the next, or as the last
			continue
		case 1: // closed, or all of it failed
		default:
			for at := g.Range.First; at <= g.Range.Last; at++ {
				if r.IntN(4) > 0 {
					e.events = append(e.events, at)
				}
			}
		}
		w.events = append(w.events, e.events...)
		w.data[slot] = append(w.data[slot], e)
	}
	for slot := range w.data {
		if last := w.handed(len(w.grants))[slot]; last > 0 {
			w.data[slot] = append(w.data[slot], spanEntry{settled: last})
		}
	}
	return w
}

// counter and handed are the order shard's state after that many grants.
func (w *spanWorld) counter(grants int) tree.Index {
	if grants == 0 {
		return 0
	}
	return w.grants[grants-1].Range.Last
}

func (w *spanWorld) handed(grants int) []tree.Index {
	handed := make([]tree.Index, w.slots)
	for _, g := range w.grants[:grants] {
		handed[g.Slot] = g.Range.Last
	}
	return handed
}

func (w *spanWorld) settled(slot, entries int) tree.Index {
	if entries == 0 {
		return 0
	}
	return w.data[slot][entries-1].settled
}

// spanMember is one member: its replicas' positions, and what a watcher on / saw.
type spanMember struct {
	t      *testing.T
	w      *spanWorld
	closed *ClosedIndex
	order  int   // entries applied
	data   []int // by slot
	begun  tree.Index
	seen   []tree.Index
	shown  tree.Index
}

func (m *spanMember) start() {
	m.closed = NewClosedIndex(m.w.slots, 64<<20, m.publish)
	settled := make([]tree.Index, m.w.slots)
	for slot, n := range m.data {
		settled[slot] = m.w.settled(slot, n)
	}
	m.closed.Begin(m.w.counter(m.order), m.w.handed(m.order), settled)
	m.begun = m.closed.Index()
	m.seen, m.shown = nil, m.begun
	m.check()
}

// publish does what the hub does: it delivers the events at hand, reads others from the
// windows, and stops at the closed index.
func (m *spanMember) publish(last tree.Index, notices []tree.EncodedEvent) {
	if m.closed.Index() != last {
		m.t.Errorf("published up to %d while the closed index is %d", last, m.closed.Index())
	}
	if notices != nil {
		for i := range notices {
			m.seen = append(m.seen, notices[i].Index)
		}
		return
	}
	from := m.begun
	if n := len(m.seen); n > 0 {
		from = m.seen[n-1]
	}
	var found []tree.Index
	for slot, n := range m.data {
		for _, e := range m.w.data[slot][:n] {
			for _, at := range e.events {
				if at > from && at <= last {
					found = append(found, at)
				}
			}
		}
	}
	slices.Sort(found)
	m.seen = append(m.seen, found...)
}

// check checks the member's invariants.
func (m *spanMember) check() {
	m.t.Helper()
	c := m.closed.Index()
	if c < m.shown {
		m.t.Fatalf("the closed index fell from %d to %d", m.shown, c)
	}
	m.shown = c
	if counter := m.w.counter(m.order); c > counter {
		m.t.Fatalf("the closed index is %d, the counter %d", c, counter)
	}
	for _, g := range m.w.grants {
		if g.Range.First <= c && m.w.settled(g.Slot, m.data[g.Slot]) < min(g.Range.Last, c) {
			m.t.Fatalf("the closed index %d has passed the open range %v of slot %d", c, g.Range, g.Slot)
		}
	}
	want := m.expected(c)
	if !slices.Equal(m.seen, want) {
		m.t.Fatalf("from %d to %d a watcher saw %v, want %v", m.begun, c, m.seen, want)
	}
}

// expected returns the events from the member's beginning up to at.
func (m *spanMember) expected(at tree.Index) []tree.Index {
	var want []tree.Index
	for _, e := range m.w.events {
		if e > m.begun && e <= at {
			want = append(want, e)
		}
	}
	return want
}

func (m *spanMember) stepOrder(jump int) {
	n := min(jump, len(m.w.grants)-m.order)
	if n <= 0 {
		return
	}
	from := m.order
	m.order += n
	news := &statemachine.ApplyResult{Last: m.w.counter(m.order), Handed: m.w.handed(m.order), Jumped: jump > 1}
	if !news.Jumped {
		news.Grants = m.w.grants[from:m.order]
	}
	m.closed.Order(news)
}

func (m *spanMember) stepData(slot, jump int) {
	n := min(jump, len(m.w.data[slot])-m.data[slot])
	if n <= 0 {
		return
	}
	m.data[slot] += n
	e := m.w.data[slot][m.data[slot]-1]
	news := &statemachine.ApplyResult{Last: e.settled, Jumped: jump > 1}
	if !news.Jumped {
		for _, at := range e.events {
			news.Events = append(news.Events, tree.EncodedEvent{Index: at})
		}
	}
	m.closed.Data(slot, news)
}

// finish applies the rest of all logs, in any order.
func (m *spanMember) finish() {
	for m.order < len(m.w.grants) {
		m.stepOrder(1)
	}
	for slot := range m.data {
		for m.data[slot] < len(m.w.data[slot]) {
			m.stepData(slot, 1)
		}
	}
	m.check()
	if c := m.closed.Index(); c != m.w.counter(len(m.w.grants)) {
		m.t.Fatalf("in the end the closed index is %d, the counter %d", c, m.w.counter(len(m.w.grants)))
	}
}

func newSpanMember(t *testing.T, w *spanWorld) *spanMember {
	m := &spanMember{t: t, w: w, data: make([]int, w.slots)}
	m.start()
	return m
}

// In whatever order a member's replicas apply their logs, with snapshots and
// restarts, a watcher on / sees the same events in the same order.
func TestAnyInterleavingGivesOneOrder(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := newSpanMember(t, newSpanWorld(r, 1+r.IntN(5), 1+r.IntN(60)))
		lag := r.IntN(20) // how much more often the order shard's replica moves than others
		for range 150 {
			jump := 1
			if r.IntN(15) == 0 {
				jump = 2 + r.IntN(8)
			}
			switch at := r.IntN(m.w.slots + lag + 1); {
			case r.IntN(60) == 0: // a restart, which loses what wasn't synced
				m.order = r.IntN(m.order + 1)
				for slot := range m.data {
					m.data[slot] = r.IntN(m.data[slot] + 1)
				}
				m.start()
			case at < m.w.slots:
				m.stepData(at, jump)
			default:
				m.stepOrder(jump)
			}
			m.check()
		}
		m.finish()
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// Beyond the limits, ranges are merged and events left to the windows: the closed index
// advances later, but nothing is missing in the end.
func TestClosedBoundsWhatItKeeps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m := newSpanMember(t, newSpanWorld(r, 3, 12000))
	m.closed.limit = 100 << 10
	for m.order < len(m.w.grants) {
		m.stepOrder(1)
	}
	for slot := range m.closed.shards {
		if n := len(m.closed.shards[slot].open); n != openLimit {
			t.Errorf("slot %d has %d open ranges, want %d", slot, n, openLimit)
		}
	}
	for slot := 1; slot < 3; slot++ { // slot 0 holds up all others
		for m.data[slot] < len(m.w.data[slot]) {
			m.stepData(slot, 1)
			if m.closed.weight > m.closed.limit {
				t.Fatalf("events of %d bytes wait", m.closed.weight)
			}
		}
	}
	if m.closed.lossy == 0 {
		t.Error("no event was left to the windows")
	}
	m.finish()
	if m.closed.weight != 0 {
		t.Errorf("in the end events of %d bytes wait", m.closed.weight)
	}
}

func TestWaitForTheClosedIndex(t *testing.T) {
	c := NewClosedIndex(1, 64<<20, func(tree.Index, []tree.EncodedEvent) {})
	c.Begin(3, []tree.Index{3}, []tree.Index{2})
	if c.Index() != 2 {
		t.Fatalf("it begins at %d, want 2", c.Index())
	}
	if err := c.Wait(t.Context(), 2); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Wait(gone, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was called off returns %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait(t.Context(), 3) }()
	c.Data(0, &statemachine.ApplyResult{Last: 3})
	if err := <-done; err != nil {
		t.Error(err)
	}
}
