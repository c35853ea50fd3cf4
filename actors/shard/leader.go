package shard

import (
	"slices"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// leader is the part of the core that works while this member leads the shard: it
// merges the submissions of all members into batches, and proposes each as one raft
// entry. It sends no answers, since each member learns from its own replica what was
// applied; but it refuses what it will never propose.
//
// With one shard, a batch is proposed as soon as it is gathered. With several, the
// order shard is first asked for a range of indexes for it. Nothing else differs; see
// advance.
type leader struct {
	o   *Options
	out *Effects

	epoch      uint64 // 0: this member doesn't lead
	paused     bool
	inbox      [kinds][]*Submission
	inboxBytes int
	turn       int               // of the kinds
	seen       map[sender]uint64 // the Number of its last submission in this epoch
	batches    []*batch          // not applied here, in the order in which they go into the log
	number     uint64            // of the last batch, never reset: a drop that is reported late can't mean a batch of a later epoch
	pace
	asks  ranges
	clock clock
}

// pace has the times of the leader's proposals.
type pace struct {
	latest time.Time // when the last batch was proposed
	retry  time.Time // no dropped batch is proposed again before

	returning returning // writers of the last batch applied here
}

// sender is a member's actor, as long as that runs.
type sender struct{ member, nonce uint64 }

// ranges is what the leader of one of several shards knows of indexes.
type ranges struct {
	number          uint64 // of the last ask
	asking          *asking
	retry           time.Time // nothing is asked for before
	handed, settled tree.Index
}

// asking is the ask under way, and what it is for.
type asking struct {
	number uint64
	kind   int
	parts  []*Submission
	since  time.Time
}

// batch is one raft entry.
type batch struct {
	number   uint64
	parts    []*Submission
	cmd      []byte
	sent     bool      // proposed, and not dropped since
	proposed time.Time // zero: it may have been applied unseen
}

// begin makes this member the leader. Its first batch is empty: a replica that has
// applied it will not apply any batch of an earlier epoch (10).
func (l *leader) begin(epoch uint64) {
	l.epoch, l.seen = epoch, map[sender]uint64{}
	l.latest, l.retry, l.asks.retry = time.Time{}, time.Time{}, time.Time{}
	l.enqueue(time.Time{}, nil, tree.BatchHead{})
}

// resign ends the leadership and refuses whatever isn't proposed (12).
func (l *leader) resign() {
	l.giveUpAsk()
	for kind := range l.inbox {
		l.refuse(l.inbox[kind]...)
		l.inbox[kind] = nil
	}
	for _, b := range l.batches {
		if !b.sent {
			l.refuse(b.parts...)
		}
	}
	l.epoch, l.inboxBytes, l.batches, l.paused = 0, 0, nil, false
	l.clock.running = false
}

func (l *leader) refuse(parts ...*Submission) {
	for _, s := range parts {
		l.out.Refuse = append(l.out.Refuse, Refusal{To: s.ID.Replica, Nonce: s.ID.Nonce, First: s.ID.Number, Last: s.ID.Number})
	}
}

// accept takes a submission in, or refuses it. If numbers before it are missing, those
// submissions were lost on their way: they are refused too, and ignored if they arrive
// after all, so that their member may submit the writes again (9).
func (l *leader) accept(s Submission) {
	if l.epoch == 0 || s.Epoch != l.epoch {
		l.refuse(&s)
		return
	}
	from := sender{s.ID.Replica, s.ID.Nonce}
	last, known := l.seen[from]
	if !known {
		last = s.Base - 1
	}
	if s.ID.Number <= last {
		return
	}
	if last+1 < s.ID.Number {
		l.out.Refuse = append(l.out.Refuse, Refusal{To: from.member, Nonce: from.nonce, First: last + 1, Last: s.ID.Number - 1})
	}
	l.seen[from] = s.ID.Number
	kind := plain
	switch {
	case s.Root:
		kind = root
	case s.stages():
		kind = staging
	case s.large():
		kind = bulk
	}
	switch {
	case s.Count == 0: // a probe
	case len(l.inbox[kind]) >= inboxLimit || l.inboxBytes+len(s.Commands) > inboxBytesLimit:
		l.refuse(&s)
	default:
		l.inbox[kind] = append(l.inbox[kind], &s)
		l.inboxBytes += len(s.Commands)
	}
}

// advance gathers the next batches, if they are due and there is room for them, and proposes what
// may go into the log.
func (l *leader) advance(now time.Time, due bool) {
	if l.epoch == 0 || l.paused {
		return
	}
	for due && l.roomy(now) {
		parts, kind := l.gather(now)
		if len(parts) == 0 {
			break
		}
		if l.o.Sharded && kind != staging {
			l.ask(now, parts, kind)
			break
		}
		l.enqueue(now, parts, tree.BatchHead{})
		l.propose(now)
	}
	if l.o.Sharded {
		l.close(now)
	}
	l.propose(now)
}

// gather takes the submissions of one batch out of the inbox. Later ones don't join
// it (7).
func (l *leader) gather(now time.Time) (parts []*Submission, kind int) {
	kind, ok := next(l.turn, l.bytesUnderWay(now), func(kind int) (some, large bool) {
		some = len(l.inbox[kind]) > 0 && (kind != staging || !l.staging(now))
		return some, some && l.inbox[kind][0].large()
	})
	if !ok {
		return nil, kind
	}
	n, count, size, indexes := 0, 0, 0, 0
	for _, s := range l.inbox[kind] {
		if n > 0 && full(kind, count+s.Count, size+len(s.Commands), indexes+s.Indexes) {
			break
		}
		n++
		count += s.Count
		size += len(s.Commands)
		indexes += s.Indexes
	}
	parts = slices.Clone(l.inbox[kind][:n])
	l.inbox[kind] = slices.Delete(l.inbox[kind], 0, n)
	l.inboxBytes -= size
	l.turn = (kind + 1) % kinds
	return parts, kind
}

// enqueue makes a batch of parts, the next to go into the log.
func (l *leader) enqueue(now time.Time, parts []*Submission, head tree.BatchHead) *batch {
	l.number++
	head.Epoch, head.Number, head.Submissions = l.epoch, l.number, len(parts)
	head.Clock = l.clock.read(now)
	head.Staged = slices.ContainsFunc(parts, func(s *Submission) bool { return s.Staged })
	b := &batch{number: l.number, parts: parts, cmd: encode(head, parts)}
	l.batches = append(l.batches, b)
	return b
}

// writes counts the commands in b.
func (b *batch) writes() (n int) {
	for _, s := range b.parts {
		n += s.Count
	}
	return n
}

// propose proposes the batches that aren't proposed yet, in order. Each is proposed once,
// unless raft has provably dropped it; then later ones wait for it (8).
func (l *leader) propose(now time.Time) {
	if l.paused || now.Before(l.retry) {
		return
	}
	for _, b := range l.batches {
		if b.sent {
			continue
		}
		b.sent, b.proposed = true, now
		if len(b.parts) > 0 && !b.stages() {
			l.latest = now
		}
		l.out.Propose = append(l.out.Propose, Proposal{Number: b.number, Writes: b.writes(), Cmd: b.cmd})
	}
}

// dropped notes that a batch is provably not in the log. Raft reports each dropped batch
// by itself.
func (l *leader) dropped(now time.Time, number uint64) {
	for _, b := range l.batches {
		if b.number == number {
			b.sent = false
			l.retry = now.Add(retryPause)
		}
	}
}

// applied forgets the batches that the replica here has applied, or refused as stale.
func (l *leader) applied(now time.Time, a *Applied, timed bool) {
	mine := func(b *batch) bool {
		return slices.Contains(a.Batches, statemachine.BatchID{Epoch: l.epoch, Number: b.number})
	}
	for _, b := range l.batches {
		// One that only closes indexes says nothing of whether writes get through: they need the order shard.
		if len(b.parts) > 0 && mine(b) {
			l.clock.confirm(now)
			if !b.proposed.IsZero() && !b.stages() { // else nobody knows how long it took
				l.returning = returning{writes: b.writes(), since: now, took: now.Sub(b.proposed)}
			}
		}
	}
	if l.clock.wanted = timed; timed && !l.clock.running && l.epoch != 0 && a.Epoch == l.epoch {
		l.clock.start(now, a.Clock)
	}
	if l.o.Sharded {
		l.asks.handed, l.asks.settled = a.Handed, a.Settled
		l.granted(now, a)
	}
	l.batches = slices.DeleteFunc(l.batches, mine)
	if a.Jumped && a.Epoch >= l.epoch {
		l.jumped()
	}
}

// jumped notes that a snapshot may have taken the replica here past any batch. None is
// waited for any longer, but all are kept, as raft may still report that one was dropped.
func (l *leader) jumped() {
	l.batches = slices.DeleteFunc(l.batches, func(b *batch) bool { return b.sent && len(b.parts) == 0 })
	for _, b := range l.batches {
		b.proposed = time.Time{}
	}
}

// dropLate refuses waiting submissions whose writers have all been answered. A batch may
// be smaller than its range (7).
func (l *leader) dropLate(now time.Time) {
	late := func(s *Submission) bool {
		if !now.After(s.Deadline) {
			return false
		}
		l.refuse(s)
		return true
	}
	for kind := range l.inbox {
		l.inbox[kind] = slices.DeleteFunc(l.inbox[kind], func(s *Submission) bool {
			if !late(s) {
				return false
			}
			l.inboxBytes -= len(s.Commands)
			return true
		})
	}
	if a := l.asks.asking; a != nil {
		a.parts = slices.DeleteFunc(a.parts, late)
	}
	l.batches = slices.DeleteFunc(l.batches, func(b *batch) bool {
		over := (!b.sent || b.proposed.IsZero()) && len(b.parts) > 0 && !slices.ContainsFunc(b.parts, func(s *Submission) bool { return !now.After(s.Deadline) })
		if over && !b.sent {
			l.refuse(b.parts...)
		}
		return over
	})
}

func (l *leader) wake(now time.Time) (wake time.Duration) {
	if l.epoch == 0 {
		return 0
	}
	if _, wait := gate(now, l.underWay(now), l.latest); wait > 0 && !l.o.Sharded {
		wake = wait
	}
	waiting := len(l.batches)
	for _, inbox := range l.inbox {
		waiting += len(inbox)
	}
	if waiting > 0 || l.asks.asking != nil || l.asks.handed > l.asks.settled {
		wake = sooner(wake, lookTime)
	}
	for _, retry := range []time.Time{l.retry, l.asks.retry} {
		if now.Before(retry) {
			wake = sooner(wake, retry.Sub(now))
		}
	}
	return wake
}
