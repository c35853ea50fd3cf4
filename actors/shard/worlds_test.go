package shard

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var (
	worldsFlag = flag.Int("worlds", 1000, "how many simulated worlds TestWorlds makes")
	seedFlag   = flag.Uint64("seed", 0, "the seed of the first world; 0: draw one. With -worlds 1 its whole course is printed")
	tracing    bool
)

// TestWorlds runs cores in simulated clusters with every kind of fault, and checks what
// docs/SHARDS.md promises. The seed of a failed world reproduces it.
func TestWorlds(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()>>1 + 1
	}
	tracing = *worldsFlag == 1
	var seen counts
	for i := range *worldsFlag {
		w := makeWorld(seed + uint64(i))
		w.play()
		seen.add(&w.seen)
		if len(w.errs) > 0 {
			t.Fatalf("go test -run TestWorlds ./actors/shard -args -worlds 1 -seed %d\n%d members, sharded %v, %+v\n%s\n%s",
				w.seed, len(w.members), w.sharded, w.faults, strings.Join(w.trace, "\n"), strings.Join(w.errs[:min(len(w.errs), 5)], "\n"))
		}
	}
	t.Logf("from seed %d on: %+v", seed, seen)
	if missing := seen.missing(); *worldsFlag >= 1000 && missing != "" {
		t.Errorf("%s never happened: the worlds are too tame", missing)
	}
}

// makeWorld draws a world; one in three has no faults.
func makeWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 2))
	var f faults
	if rng.IntN(4) > 0 {
		for _, on := range []*bool{
			&f.lose, &f.reorder, &f.unsent, &f.loseRefusals, &f.drop, &f.late, &f.elect, &f.flap, &f.transfer, &f.outage,
			&f.restart, &f.stall, &f.lag, &f.jump, &f.loseAsks, &f.lateAsks, &f.hasty,
		} {
			*on = rng.IntN(2) == 0
		}
	}
	w := newWorld(seed, 1+rng.IntN(5)*2/3, rng.IntN(2) == 0, f)
	w.heavy = rng.IntN(12) == 0
	return w
}

// play runs the world: first faults and writes, then only writes, then neither.
func (w *world) play() {
	start := w.now
	w.elect(1 + w.rng.Uint64N(uint64(len(w.members))))
	w.load(start.Add(5*time.Millisecond), 150*time.Millisecond+w.between(0, time.Second)) // the leader is known by then
	if w.faults != (faults{}) {
		w.harm(start.Add(time.Second))
	}
	w.run(start.Add(1200 * time.Millisecond))
	w.heal()
	w.run(w.now.Add(healing))
	w.settled()
	w.load(w.now, 300*time.Millisecond)
	w.run(w.now.Add(20 * time.Second))
	w.check()
}

// healing is the longest time from the last fault until the world behaves as if there
// had been none: messages under way arrive or are lost, and then a probe asks for them.
const healing = time.Second + 600*time.Millisecond

// settled checks that no write still waits for its deadline. It skips worlds that lose
// refusals, where only the deadline ends some writes.
func (w *world) settled() {
	if w.faults.loseRefusals {
		return
	}
	for _, m := range w.members {
		if n := m.core.Pending() + len(m.mailbox); n > 0 {
			w.fail("member %d: %d writes still wait when all is well again", m.id, n)
		}
	}
}

// load makes clients write, starting at the given time.
func (w *world) load(from time.Time, d time.Duration) {
	busy := w.rng.IntN(8)
	for range 1 + w.rng.IntN(30) {
		w.until(from.Add(w.between(0, d)), func() {
			m := w.members[w.rng.IntN(len(w.members))]
			n := 1
			switch {
			case busy == 0 && w.rng.IntN(10) == 0:
				n = w.rng.IntN(600)
			case busy < 4:
				n += w.rng.IntN(9)
			}
			for range n {
				w.write(m)
			}
		})
	}
}

// harm makes a fault happen every now and then.
func (w *world) harm(end time.Time) {
	w.after(w.between(0, 60*time.Millisecond), func() {
		if w.now.After(end) {
			return
		}
		w.harm(end)
		m := w.members[w.rng.IntN(len(w.members))]
		switch w.rng.IntN(5) {
		case 0:
			w.loseLeader()
		case 1:
			w.transfer()
		case 2:
			w.restart(m)
		case 3:
			if w.faults.stall {
				m.stalled = w.now.Add(w.between(0, 400*time.Millisecond))
			}
		case 4:
			if w.faults.flap && m.up && m.lead.Member != m.id {
				m.lead.Member = nobody // as in an election without a winner, but in the same term
				w.poke(m)
				w.learn(m, w.between(0, 100*time.Millisecond))
			}
		}
	})
}

func (w *world) loseLeader() {
	if !w.faults.elect {
		return
	}
	if w.faults.outage && w.outage.IsZero() {
		w.outage = w.now.Add(w.between(0, time.Second))
		w.elect(nobody)
		w.electAny()
		return
	}
	if w.rng.IntN(2) == 0 {
		w.electAny()
		return
	}
	w.elect(nobody)
	w.after(w.between(0, 300*time.Millisecond), func() {
		if w.leader == nobody {
			w.electAny()
		}
	})
}

// transfer pauses the leader and then elects another member.
func (w *world) transfer() {
	if !w.faults.transfer || w.leader == nobody {
		return
	}
	m, term := w.members[w.leader-1], w.term
	incarnation := m.incarnation
	m.in.Pause = true
	w.poke(m)
	w.seen.transfers++
	giveUp := w.now.Add(200 * time.Millisecond)
	var look func()
	look = func() {
		switch {
		case m.incarnation != incarnation || !m.up:
		case w.term != term: // it may lead again, and have been paused in the new term
			m.in.Resume = true
			w.poke(m)
		case m.core.Rested() || w.now.After(giveUp):
			if w.rng.IntN(4) > 0 {
				w.electAny()
			}
			m.in.Resume = true
			w.poke(m)
		default:
			w.after(5*time.Millisecond, look)
		}
	}
	w.after(5*time.Millisecond, look)
}

func (w *world) restart(m *simMember) {
	if !w.faults.restart || !m.up {
		return
	}
	w.stop(m, w.rng.IntN(2) == 0)
	if w.leader == nobody {
		w.after(w.between(0, 200*time.Millisecond), func() {
			if w.leader == nobody {
				w.electAny()
			}
		})
	}
	w.after(w.between(0, 300*time.Millisecond), func() {
		if !m.up {
			w.start(m)
		}
	})
}

// heal ends all faults and makes sure that there is a leader.
func (w *world) heal() {
	w.say("all faults end")
	w.faulty, w.healed, w.outage = false, w.now, time.Time{}
	for _, m := range w.members {
		m.stalled = time.Time{}
		if !m.up {
			w.start(m)
		}
	}
	if w.leader == nobody {
		w.electAny()
	}
	for _, m := range w.members {
		w.learn(m, w.delay())
	}
}

// check checks what must hold at the end.
func (w *world) check() {
	for _, v := range w.data.violations {
		w.fail("%s", v)
	}
	if len(w.events) > 0 {
		w.fail("the world doesn't come to rest")
	}
	last := w.data.end()
	w.seen.stale += w.data.stale
	for i, s := range w.writes {
		applied := w.data.applied[int64(i+1)]
		switch {
		case !s.answered:
			w.fail("write %d, at member %d, was never answered", i+1, s.member.id)
		case s.err != nil && s.begun.After(w.healed.Add(lookTime)):
			w.fail("write %d, made when all was well again: %v", i+1, s.err)
		case s.err == nil && applied != 1:
			w.fail("write %d is answered and was applied %d times", i+1, applied)
		case applied > 1:
			w.fail("write %d was applied %d times", i+1, applied)
		case w.faults == (faults{}) && (s.err != nil || s.sent != 1):
			w.fail("without a fault, write %d was sent %d times: %v", i+1, s.sent, s.err)
		}
	}
	if w.faults == (faults{}) && (w.data.stale > 0 || w.seen.refusals > 0 || w.seen.closes > 0) {
		w.fail("without a fault there were %d stale batches, %d refusals, %d closes", w.data.stale, w.seen.refusals, w.seen.closes)
	}
	for _, m := range w.members {
		if n := m.core.Pending(); n > 0 || len(m.core.origin.pending) > 0 {
			w.fail("member %d: %d writes are pending", m.id, n)
		}
		if len(m.core.leader.batches) > 0 {
			w.fail("member %d: batches are under way", m.id)
		}
	}
	if handed := w.order.at(len(w.order.entries)).handed[w.data.slot]; w.sharded && handed != last.settled {
		w.fail("%d is handed out, and %d settled", handed, last.settled)
	}
}

func (c *counts) fields() map[string]*int {
	return map[string]*int{
		"writes": &c.writes, "replies": &c.replies, "timeouts": &c.timeouts, "lost": &c.lost, "stopped": &c.stopped, "again": &c.again,
		"stale": &c.stale, "refusals": &c.refusals, "probes": &c.probes, "unsent": &c.unsent, "drops": &c.drops, "late": &c.late,
		"elections": &c.elections, "transfers": &c.transfers, "restarts": &c.restarts, "jumps": &c.jumps, "closes": &c.closes,
		"merged": &c.merged, "full": &c.full, "reasked": &c.reasked, "held": &c.held, "blocked": &c.blocked,
		"parts": &c.parts, "overtaken": &c.overtaken,
	}
}

func (c *counts) add(o *counts) {
	from := o.fields()
	for name, n := range c.fields() {
		*n += *from[name]
	}
}

// missing names something that never happened.
func (c *counts) missing() string {
	for name, n := range c.fields() {
		if *n == 0 {
			return name
		}
	}
	return ""
}

func (c counts) String() string {
	var b strings.Builder
	for name, n := range c.fields() {
		fmt.Fprintf(&b, "%s %d ", name, *n)
	}
	return b.String()
}
