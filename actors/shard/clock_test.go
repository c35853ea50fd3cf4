package shard

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// TestTimesToLive has keys refreshed and left alone, in the real stores and by the real
// cores of three members, while leaders change, nothing gets through for a while, processes
// stand still, and the clocks of members jump and go wrong. Each expiry is compared with when the
// key was last written, and with the times in which it could be.
func TestTimesToLive(t *testing.T) {
	var all lifeCounts
	for seed := range uint64(60) {
		w := newLifeWorld(t, seed)
		w.run(90 * time.Second)
		w.close()
		all.add(w.seen)
		if len(w.errs) > 0 {
			t.Fatalf("seed %d: %s", seed, strings.Join(w.errs[:min(5, len(w.errs))], "\n"))
		}
	}
	t.Logf("%+v", all)
	if all.jumps+all.drifts+all.elections < 1000 || all.outages < 100 || all.expired < 100 || all.stops < 50 || all.shown < 100 {
		t.Errorf("too little happened: %+v", all)
	}
}

type lifeCounts struct{ jumps, drifts, elections, outages, stops, restarts, expired, refreshed, shown int }

func (c *lifeCounts) add(o lifeCounts) {
	c.jumps, c.drifts, c.elections, c.outages = c.jumps+o.jumps, c.drifts+o.drifts, c.elections+o.elections, c.outages+o.outages
	c.stops, c.restarts, c.expired, c.refreshed, c.shown = c.stops+o.stops, c.restarts+o.restarts, c.expired+o.expired, c.refreshed+o.refreshed, c.shown+o.shown
}

// lifeTick is how the world's true time passes, and how long an entry takes to be applied.
const lifeTick = 20 * time.Millisecond

// noticed is the shortest outage that must not count against a key.
const noticed = statemachine.ClockRuns + 3*lifeTick

// life is a key and what is known about it.
type life struct {
	key     string
	ttl     time.Duration
	alive   bool                     // its owner refreshes it
	lazy    bool                     // so late that a short outage may cost it
	next    time.Duration            // when, in true time
	sent    map[string]time.Duration // when each value was
	there   bool
	written time.Duration // when the command was sent that wrote the key last
	applied time.Duration // and when it was applied
	looked  time.Duration // when a client last saw
	shown   time.Duration // that it would expire at this time
}

type lifeMember struct {
	core    *Core
	feed    *Feed
	machine *statemachine.Machine
	news    *statemachine.ApplyResult
	toApply []sm.Entry
	heard   statemachine.Heard
	in      Input
	out     []Proposal
	day     time.Duration // how far its clock is from the true time
	rate    float64       // by how much that grows
	jumped  time.Duration // when it last did
	stopped time.Duration // the process stands still until then
	saying  bool          // what its expirer submitted has no answer yet
}

type lifeWorld struct {
	t       *testing.T
	rng     *rand.Rand
	now     time.Duration // true time; every member's monotonic clock
	members []*lifeMember
	leader  int // -1: none
	term    uint64
	entries uint64
	applied uint64        // by any member
	lost    time.Duration // no quorum until then
	unasked time.Duration // the order shard has none until then
	waits   []Proposal    // in the leader's log, not committed
	lives   []*life
	values  int
	order   tree.Index
	asks    []lifeAsk // that it has not answered
	late    bool      // while it has no quorum, it answers after more than Options.Patience
	sharded bool
	calm    int           // ticks between faults
	passed  time.Duration // the shard's time when writes last got through
	through bool          // writes were applied since the last tick
	broken  time.Duration // since when nothing gets through; negative: it does
	outages []outage      // in true time
	elected []time.Duration
	errs    []string
	seen    lifeCounts
}

type lifeAsk struct {
	*tree.Ask
	at time.Duration
}

// lifeLate is how late the order shard answers if it is too late.
const lifeLate = 1500 * time.Millisecond

type outage struct{ from, to time.Duration }

var lifeStart = time.Unix(1_700_000_000, 0)

func (w *lifeWorld) time() time.Time { return lifeStart.Add(w.now) }

func newLifeWorld(t *testing.T, seed uint64) *lifeWorld {
	w := &lifeWorld{t: t, rng: rand.New(rand.NewPCG(seed, 15)), leader: -1, broken: -1, sharded: seed%4 == 3, calm: []int{20, 40, 150}[seed%3]}
	for id := range uint64(3) {
		o := statemachine.Options{Dir: "/shard", Replica: id + 1, Window: 100, WindowBytes: 1 << 20, FS: vfs.NewMem()}
		if w.sharded {
			o.Slots = 2
		}
		m := &lifeMember{}
		var err error
		if m.machine, err = statemachine.New(o); err != nil {
			t.Fatal(err)
		}
		m.machine.Subscribe(func(res *statemachine.ApplyResult) { m.news = res })
		w.members = append(w.members, m)
		w.start(id)
	}
	for i := 0; len(w.lives) < 12; i++ {
		key := fmt.Sprint("/k", i)
		if w.sharded && tree.Slot(key, 2) != 0 {
			continue
		}
		w.lives = append(w.lives, &life{key: key, ttl: time.Duration(7+w.rng.IntN(6)) * time.Second, lazy: i%2 == 0, sent: map[string]time.Duration{}})
	}
	return w
}

func (w *lifeWorld) close() {
	for _, m := range w.members {
		_ = m.machine.Close()
	}
}

// start starts a member's process.
func (w *lifeWorld) start(id uint64) {
	m := w.members[id]
	request := tree.RequestID{Replica: id + 1, Nonce: w.rng.Uint64()}
	m.core = NewCore(Options{Self: id + 1, Nonce: request.Nonce, Sharded: w.sharded, Patience: time.Second,
		DayTime: func(now time.Time) int64 { return now.Add(m.day).UnixNano() }})
	m.feed = NewFeed(0, request, w.order, m.machine.Index())
	m.heard = statemachine.Heard{Clock: m.machine.Clock().Clock, At: w.time()}
	m.in, m.out, m.saying = Input{}, nil, false
	if m.news != nil {
		m.feed.Data(&statemachine.ApplyResult{Last: m.machine.Index(), Epoch: m.news.Epoch, Clock: m.heard.Clock, Jumped: true})
	}
}

func (w *lifeWorld) fail(format string, args ...any) {
	w.errs = append(w.errs, fmt.Sprintf("at %v: ", w.now)+fmt.Sprintf(format, args...))
}

func (w *lifeWorld) run(length time.Duration) {
	quiet := length - 35*time.Second // long enough for what is left alone then
	for ; w.now < length && len(w.errs) == 0; w.now += lifeTick {
		if w.now < quiet && w.rng.IntN(w.calm) == 0 {
			w.fault()
		}
		w.raft()
		for _, m := range w.members {
			w.applyAll(m)
		}
		for _, l := range w.lives {
			w.own(l)
		}
		for i := range w.members {
			w.step(i)
		}
		w.handOut()
		w.note()
	}
	for _, l := range w.lives {
		if _, most := w.bounds(l); l.alive && !l.there && !l.lazy || !l.alive && l.there && w.now > most {
			w.fail("%s: refreshed %v, there %v", l.key, l.alive, l.there)
		}
	}
}

// fault does something to the world.
func (w *lifeWorld) fault() {
	m := w.members[w.rng.IntN(3)]
	switch w.rng.IntN(9) {
	case 0, 1, 2:
		w.seen.jumps++
		far := []time.Duration{time.Second, time.Minute, time.Hour, 30 * 365 * 24 * time.Hour}[w.rng.IntN(4)]
		m.jumped, m.rate = w.now, 0
		m.day = time.Duration(w.rng.Int64N(int64(2*far))) - far
	case 3:
		w.seen.drifts++
		m.rate = w.rng.Float64()*2 - 1
	case 4, 5:
		w.elect()
	case 6:
		if w.sharded && w.rng.IntN(2) == 0 {
			w.unasked = w.now + time.Duration(w.rng.Int64N(int64(20*time.Second)))/time.Duration(1+w.rng.IntN(10))
			w.late = w.rng.IntN(2) == 0
			return
		}
		w.lost = w.now + time.Duration(w.rng.Int64N(int64(20*time.Second)))/time.Duration(1+w.rng.IntN(10))
	case 7:
		w.seen.stops++
		m.stopped = w.now + time.Duration(w.rng.Int64N(int64(15*time.Second)))
	case 8:
		w.seen.restarts++
		id := w.rng.Uint64N(3)
		if int(id) == w.leader {
			w.resign()
		}
		w.start(id)
	}
}

// resign leaves the term without a leader. Its log may be the next one's, or not.
func (w *lifeWorld) resign() {
	w.leader = -1
	w.waits = w.waits[:w.rng.IntN(len(w.waits)+1)]
}

func (w *lifeWorld) elect() {
	if w.lost > w.now {
		return
	}
	w.resign()
	for {
		if w.leader = w.rng.IntN(3); w.members[w.leader].stopped <= w.now || w.rng.IntN(3) == 0 {
			break
		}
	}
	w.seen.elections++
	w.term++
	w.elected = append(w.elected, w.now)
}

// raft commits what is in the leader's log, and finds another leader if that one can't be
// heard for a while.
func (w *lifeWorld) raft() {
	dead := w.leader < 0 || w.lost > w.now || w.members[w.leader].stopped > w.now
	if dead && w.leader >= 0 && w.rng.IntN(80) == 0 {
		w.leader = -1 // it stays as it is in the log, for whoever comes
	}
	if w.leader < 0 && w.lost <= w.now && w.rng.IntN(20) == 0 {
		stuck := w.waits
		w.elect()
		w.waits = stuck[:len(w.waits)]
	}
	if w.leader < 0 {
		return
	}
	if m := w.members[w.leader]; m.stopped <= w.now {
		if w.lost <= w.now {
			for _, p := range w.waits {
				w.entries++
				w.through = w.through || p.Writes > 0
				for _, m := range w.members {
					m.toApply = append(m.toApply, sm.Entry{Index: w.entries, Cmd: p.Cmd})
				}
			}
			w.waits = nil
		}
		w.waits, m.out = append(w.waits, m.out...), nil
	}
}

// applyAll has a process apply what was committed, also while it stood still.
func (w *lifeWorld) applyAll(m *lifeMember) {
	if m.stopped <= w.now {
		for _, e := range m.toApply {
			w.apply(m, e)
		}
		m.toApply = nil
	}
}

func (w *lifeWorld) apply(m *lifeMember, e sm.Entry) {
	if _, err := m.machine.Update([]sm.Entry{e}); err != nil {
		w.t.Fatal(err)
	}
	if c := m.machine.Clock(); c.Clock != m.heard.Clock || c.Epoch != m.heard.Epoch && c.Epoch != 0 {
		m.heard = statemachine.Heard{Clock: c.Clock, Epoch: c.Epoch, At: w.time()}
	}
	m.feed.Data(m.news)
	if e.Index > w.applied { // the first that applies it
		w.applied = e.Index
		for _, ev := range m.news.Events {
			w.happened(ev)
		}
	}
}

// happened compares an event with what is known about its key.
func (w *lifeWorld) happened(ev tree.EncodedEvent) {
	for _, l := range w.lives {
		if l.key != ev.Key {
			continue
		}
		if ev.Action != tree.ActionExpire {
			_, value, _ := strings.Cut(string(ev.JSON), `"value":"`)
			value, _, _ = strings.Cut(value, `"`)
			l.there, l.written, l.applied = true, l.sent[value], w.now
			w.seen.refreshed++
			continue
		}
		l.there = false
		w.seen.expired++
		if l.alive && !l.lazy {
			w.fail("%s expired although its owner refreshed it; ttl %v, written at %v; outages %v", l.key, l.ttl, l.written, w.outages)
		}
		least, most := w.bounds(l)
		if l.looked >= l.applied && l.looked > w.outagesEnd() && (w.now-l.shown).Abs() > time.Second/2 {
			w.fail("%s expired, but was to at %v, as was seen at %v", l.key, l.shown, l.looked)
		}
		if w.now < least || w.now > most {
			w.fail("%s expired, but should have between %v and %v: written at %v, ttl %v, outages %v", l.key, least, most, l.written, l.ttl, w.outages)
		}
	}
}

// bounds are the true times between which a key should expire that is left alone.
func (w *lifeWorld) bounds(l *life) (least, most time.Duration) {
	least, most = l.written+l.ttl, l.written+l.ttl+time.Second/2
	for _, o := range w.outages {
		from, to := max(o.from, l.written), min(o.to, w.now)
		if to <= from {
			continue
		}
		if o.to-o.from > noticed {
			least += to - from - 3*lifeTick // the times are seen by ticks
		}
		leaders := 1
		for _, at := range w.elected {
			if at > o.from && at < o.to {
				leaders++
			}
		}
		most += to - from + time.Duration(leaders)*(statemachine.ClockRuns+2*sayEvery)
	}
	return least, most
}

// own is a key's owner: it refreshes the key every third of its time, and again soon where that fails.
func (w *lifeWorld) own(l *life) {
	if !l.alive && w.now < 50*time.Second && !l.there && w.rng.IntN(50) == 0 {
		l.alive, l.next = true, w.now
	}
	if l.alive && l.next <= w.now && w.broken < 0 && w.now < 50*time.Second && w.rng.IntN(3) == 0 {
		l.alive = l.key == w.lives[0].key // the others are left alone
	}
	if !l.alive || l.next > w.now {
		return
	}
	l.next = w.now + l.ttl/3
	if l.lazy {
		l.next = w.now + l.ttl*9/10
	}
	if w.broken >= 0 || w.leader < 0 {
		l.next = w.now + 5*lifeTick
		return
	}
	w.values++
	value := fmt.Sprint(w.values)
	l.sent[value] = w.now
	from := w.time().Add(w.members[w.rng.IntN(3)].day).UnixNano() // any member's clock
	c := &tree.Command{Op: tree.OpSet, Key: l.key, Value: []byte(value), Now: from, Expires: from + int64(l.ttl)}
	leader := w.members[w.leader]
	leader.in.Writes = append(leader.in.Writes, &Write{Command: c, Deadline: w.time().Add(5 * time.Second), notify: func(r tree.Reply) {
		if r.Err != nil {
			l.next = w.now
		}
	}})
}

// step is what a member's actor and its expirer do.
func (w *lifeWorld) step(i int) {
	m := w.members[i]
	m.day += time.Duration(m.rate * float64(lifeTick))
	if m.stopped > w.now {
		return
	}
	now, lead := w.time(), Lead{}
	if w.leader >= 0 {
		lead = Lead{Member: uint64(w.leader + 1), Term: w.term}
	}
	epoch := uint64(0)
	if w.leader == i {
		epoch = w.term
		w.expire(m)
	}
	m.in.Lead, m.in.Applied, m.in.Timed = lead, m.feed.take(epoch), true
	out := m.core.Step(now, m.in)
	m.in = Input{}
	m.out = append(m.out, out.Propose...)
	if w.leader != i {
		m.out = nil
	}
	if out.Ask != nil {
		w.asks = append(w.asks, lifeAsk{out.Ask, w.now})
	}
	for _, a := range out.Answers {
		for _, write := range a.Writes {
			write.answer(tree.Reply{Err: map[bool]*tree.Error{true: tree.Unavailable(ErrTimeout)}[a.Err != nil]})
		}
	}
}

// handOut is the order shard.
func (w *lifeWorld) handOut() {
	asks := w.asks
	if w.unasked > w.now {
		n := 0
		for w.late && n < len(asks) && asks[n].at+lifeLate <= w.now {
			n++
		}
		asks = asks[:n]
	}
	w.asks = w.asks[len(asks):]
	for _, a := range asks {
		r := tree.Range{First: w.order + 1, Last: w.order + tree.Index(a.Count)}
		w.order = r.Last
		for _, m := range w.members {
			m.feed.Order(&statemachine.ApplyResult{Last: w.order, Handed: []tree.Index{w.order, 0}, Grants: []tree.Grant{{ID: a.ID, Slot: 0, Range: r}}})
		}
	}
}

// expire is Expirer.step.
func (w *lifeWorld) expire(m *lifeMember) {
	at, ok, err := m.machine.NextExpiry()
	if err != nil {
		w.t.Fatal(err)
	}
	if !ok || m.saying {
		return
	}
	due, wait := upcoming(w.time(), m.heard, w.term, at)
	if wait > 0 {
		return
	}
	n, err := m.machine.Due(due, expireLimit)
	if err != nil {
		w.t.Fatal(err)
	}
	m.saying = true
	m.in.Writes = append(m.in.Writes, &Write{Command: &tree.Command{Op: tree.OpExpire, Key: "/", Now: due, Limit: max(1, n)},
		Deadline: w.time().Add(5 * time.Second), notify: func(tree.Reply) { m.saying = false }})
}

// note notes whether writes get through, and checks what clients see.
func (w *lifeWorld) note() {
	works := w.leader >= 0 && w.lost <= w.now && w.unasked <= w.now && w.members[w.leader].stopped <= w.now && w.members[w.leader].core.leader.epoch == w.term && w.members[w.leader].core.leader.clock.running
	passed := w.passed
	if works && w.members[w.leader].heard.Known() { // before that no key has an end
		w.passed = time.Duration(w.members[w.leader].core.leader.clock.passed(w.time()))
	}
	switch {
	case works && w.broken >= 0:
		w.seen.outages++
		w.outages[len(w.outages)-1].to = w.now
		if passed != 0 && w.now-w.broken > noticed && w.passed > passed+3*lifeTick {
			w.fail("an outage of %v counts as %v", w.now-w.broken, w.passed-passed)
		}
		w.broken = -1
	case !works && w.broken >= 0 && w.through: // in a moment between two outages
		w.outages[len(w.outages)-1].to = w.now
		w.outages = append(w.outages, outage{w.now, 1 << 62})
		w.broken, w.passed = w.now, 0
	case !works && w.broken < 0:
		w.broken = w.now
		w.outages = append(w.outages, outage{w.now, 1 << 62})
	}
	w.through = false
	if w.rng.IntN(50) == 0 && works {
		w.look()
	}
}

// look reads a key at the leader: what is shown is when it will expire, by the leader's time of day.
func (w *lifeWorld) look() {
	m, l := w.members[w.leader], w.lives[w.rng.IntN(len(w.lives))]
	// What was said last may have been proposed in an outage, and so be older than when it was applied.
	if m.heard.Epoch != w.term || w.now-w.outagesEnd() < sayEvery+5*lifeTick {
		return
	}
	out, _, fail, err := m.machine.Get(nil, &tree.Query{Key: l.key}, nil)
	_, shown, found := strings.Cut(string(out), `"expiration":"`)
	if fail != nil || err != nil || !found {
		return
	}
	shown, _, _ = strings.Cut(shown, `"`)
	day, err := time.Parse(time.RFC3339Nano, shown)
	if err != nil {
		w.fail("%s: %v", l.key, err)
		return
	}
	w.seen.shown++
	left := time.Duration(tree.Clock{Shift: m.heard.Shift}.Stored(day.UnixNano()) - m.heard.Passed(w.time()))
	l.shown, l.looked = w.now+left, w.now
	if own := w.time().Add(m.day).Add(left); m.rate == 0 && w.now-m.jumped > 2*sayEvery && day.Sub(own).Abs() > time.Duration(shiftSlack)+time.Second/10 {
		w.fail("%s is to expire at %v, which will be %v at the leader", l.key, day, own)
	}
}

func (w *lifeWorld) outagesEnd() time.Duration {
	if len(w.outages) == 0 {
		return 0
	}
	return w.outages[len(w.outages)-1].to
}

// The time of day is read a moment before or after the other clock: what clients see of expirations
// doesn't change for that, and is never later than the time of day says.
func TestTheTimeOfDayMayTremble(t *testing.T) {
	begin, tremble := time.Now(), int64(0)
	c := newClock(Options{DayTime: func(now time.Time) int64 { return now.UnixNano() + tremble }})
	c.start(begin, tree.Clock{})
	first := c.read(begin).Shift
	for i := range int64(1000) {
		tremble = i % 7 * (i%3 - 1) * int64(100*time.Microsecond)
		now := begin.Add(time.Duration(i) * time.Millisecond)
		c.confirm(now)
		if at := c.read(now); at.Shift != first || at.Now() > now.UnixNano()+tremble {
			t.Fatalf("the shift is %v, and was %v; the time of day %v ahead", at.Shift, first, at.Now()-now.UnixNano()-tremble)
		}
	}
}
