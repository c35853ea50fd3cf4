package shard

import (
	"bytes"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// step does what an actor does around a step of its core. byWake says that the only
// cause is the wake-up time that the core asked for.
func (w *world) step(m *simMember, byWake bool) {
	in := m.in
	m.in = Input{}
	in.Lead = m.lead
	epoch := uint64(0)
	if in.Lead.Member == m.id {
		epoch = in.Lead.Term
	}
	in.Applied = m.feed.take(epoch)
	if m.core.Takes(w.now) {
		n := min(len(m.mailbox), batchCommandsLimit)
		in.Writes, m.mailbox = m.mailbox[:n:n], m.mailbox[n:]
	}
	news := len(in.Writes)+len(in.Submissions)+len(in.Refusals)+len(in.Unsent)+len(in.Dropped)+len(in.Applied.Batches)+
		len(in.Applied.Outcomes)+len(in.Applied.Grants) > 0 || in.Pause || in.Resume || in.Applied.Jumped || in.Applied.AskLost
	askLost := in.Applied.AskLost && len(in.Applied.Grants) == 0 && in.Lead == m.core.lead && m.core.leader.asks.asking != nil
	out := m.core.Step(w.now, in)
	if askLost && out.Ask != nil {
		w.fail("member %d asks again at once for what was lost", m.id)
	}
	acts := len(out.Answers)+len(out.Submit)+len(out.Refuse)+len(out.Propose) > 0 || out.Ask != nil
	switch {
	case news || acts || !byWake:
		m.idle = 0
	case out.Wake > 0 && out.Wake < lookTime:
		if m.idle++; m.idle > 3 {
			w.fail("member %d: the core is woken again and again and does nothing", m.id)
		}
	}
	if out.Wake < 0 {
		w.fail("member %d: a wake in the past", m.id)
	}
	w.effects(m, out, in.Lead)
	if len(in.Applied.Batches)+len(in.Applied.Outcomes) > 0 {
		m.held = time.Time{}
	}
	w.bounds(m)
	m.wake++
	if wake, incarnation := m.wake, m.incarnation; out.Wake > 0 {
		w.until(later(w.now.Add(out.Wake), m.stalled), func() {
			if m.up && m.incarnation == incarnation && m.wake == wake && !m.poked {
				w.step(m, true)
			}
		})
	}
	if len(m.mailbox) > 0 && m.core.Takes(w.now) {
		w.poke(m)
	}
}

// ready reports whether writes wait that may be sent beside what is under way to the leader: with
// much of that, large ones may not. A leader's own go to its inbox in any case.
func (w *world) ready(m *simMember) (ready bool) {
	o, bytes := &m.core.origin, 0
	for _, s := range o.pending {
		if m.lead.Member != m.id && s.epoch == m.lead.Term && s.kind != staging {
			bytes += s.size
		}
	}
	for kind, queue := range o.queues {
		if kind == staging && m.lead.Member != m.id && stages(o.underWay(m.lead.Term)) >= partsLimit {
			continue
		}
		if len(queue) > 0 && !w.now.Before(o.pauses[kind].until) {
			ready = !w.blocked(bytes, queue[0].Command.Size()) || ready
		}
	}
	return ready
}

// submitted reports whether submissions wait at the leader that may go into the log beside its batches.
func (w *world) submitted(l *leader) (ready bool) {
	bytes := 0
	for _, b := range l.batches {
		if b.parts != nil && !b.stages() && w.now.Sub(b.proposed) < l.o.Patience {
			bytes += len(b.cmd)
		}
	}
	for kind, queue := range l.inbox {
		if kind == staging && l.staging(w.now) {
			continue
		}
		if len(queue) > 0 {
			ready = !w.blocked(bytes, len(queue[0].Commands)/queue[0].Count) || ready
		}
	}
	return ready
}

// blocked reports whether a write of this size waits for the bytes under way.
func (w *world) blocked(underWay, size int) bool {
	if size < largeWrite || underWay < inflightBytesLimit {
		return false
	}
	w.seen.blocked++
	return true
}

// bounds checks that the core keeps within its limits.
func (w *world) bounds(m *simMember) {
	o, l := &m.core.origin, &m.core.leader
	parts := stages(o.underWay(m.lead.Term))
	if m.lead.Member != m.id && parts > partsLimit {
		w.fail("member %d has %d submissions of parts under way", m.id, parts)
	}
	now := len(o.underWay(m.lead.Term)) - parts
	older := len(o.pending) - now - parts
	if m.lead.Member != m.id && now > inflightLimit {
		w.fail("member %d has %d submissions under way in one epoch", m.id, now)
	}
	if m.lead.Member != m.id && crowded(o.underWay(m.lead.Term), func(s *sent) int {
		if s.kind == staging {
			return 0
		}
		return s.size
	}) {
		w.fail("member %d submits a large write beside too many bytes", m.id)
	}
	if waiting := o.waiting(); waiting > batchCommandsLimit*(2+2*inflightLimit+older) {
		w.fail("member %d: %d writes wait to be sent", m.id, waiting)
	}
	sendable := !l.paused && w.ready(m) && m.core.lead.Member != nobody && m.core.Takes(w.now)
	submitted := 0
	for _, inbox := range l.inbox {
		submitted += len(inbox)
	}
	switch {
	case !sendable && (!w.submitted(l) || !l.roomy(w.now)):
		m.held = time.Time{}
	case m.core.expects(w.now) == 0:
		w.fail("member %d: %d writes and %d submissions wait, though there is room and nobody is expected", m.id, o.waiting(), submitted)
	case m.held.IsZero():
		m.held = w.now
		w.seen.held++
	case w.now.Sub(m.held) >= gatherTime:
		w.fail("member %d: %d writes and %d submissions have waited for others since %v", m.id, o.waiting(), submitted, w.now.Sub(m.held))
	}
	size := 0
	for kind := range l.inbox {
		if len(l.inbox[kind]) > inboxLimit {
			w.fail("member %d: %d submissions in the inbox", m.id, len(l.inbox[kind]))
		}
		for _, s := range l.inbox[kind] {
			size += len(s.Commands)
		}
	}
	if size != l.inboxBytes {
		w.fail("member %d: the inbox has %d bytes, and counts %d", m.id, size, l.inboxBytes)
	}
	staged := 0
	for _, b := range l.batches {
		if b.stages() && !l.overdue(w.now, b) {
			staged++
		}
	}
	if staged > 1 && w.seen.drops == 0 {
		w.fail("member %d: %d batches of parts under way", m.id, staged)
	}
	if staged > 0 && l.underWay(w.now) > 0 {
		w.seen.overtaken++
	}
	limit := inflightLimit
	if w.sharded {
		limit = rangesLimit
	}
	// A dropped batch may have been given up before, and then no longer counts.
	if n := l.underWay(w.now); n > limit && w.seen.drops == 0 {
		w.fail("member %d: %d batches under way", m.id, n)
	}
	if w.seen.drops == 0 && crowded(l.batches, func(b *batch) int {
		if !l.counts(w.now, b) {
			return 0
		}
		return len(b.cmd)
	}) {
		w.fail("member %d has a large batch under way beside too many bytes", m.id)
	}
}

// crowded reports whether one of the list is surely of a large write, and comes behind more bytes than may be
// under way then.
func crowded[T any](list []T, size func(T) int) bool {
	bytes := 0
	for _, one := range list {
		n := size(one)
		if n > 2*batchBytesLimit && bytes >= inflightBytesLimit {
			return true
		}
		bytes += n
	}
	return false
}

// effects carries out the core's effects.
func (w *world) effects(m *simMember, out *Effects, lead Lead) {
	for _, a := range out.Answers {
		if a.Err == nil && len(a.Outcome.Data) != simReply*len(a.Writes) {
			w.fail("an answer to %d writes has %d bytes", len(a.Writes), len(a.Outcome.Data))
			return
		}
		data := a.Outcome.Data
		for _, write := range a.Writes {
			var reply uint64
			if a.Err == nil {
				reply, data = cutSimReply(data)
			}
			w.answer(m, write, reply, a.Err)
		}
	}
	for i := range out.Submit {
		w.submit(m, &out.Submit[i], lead)
	}
	for _, r := range out.Refuse {
		w.seen.refusals++
		w.say("member %d refuses %d to %d of member %d", m.id, r.First, r.Last, r.To)
		if r.To == m.id {
			w.fail("member %d sends itself a refusal", m.id)
		}
		message := AppendRefusal(nil, 7, r)
		w.send(m, r.To, w.faults.loseRefusals, func(to *simMember) {
			_, r, err := ReadRefusal(message)
			if err != nil {
				w.fail("a refusal can't be read: %v", err)
			}
			to.in.Refusals = append(to.in.Refusals, r)
		})
	}
	for _, p := range out.Propose {
		w.propose(m, p, lead.Term)
	}
	if out.Ask != nil {
		w.ask(m, *out.Ask)
	}
}

// sending counts how often each write is sent.
func (w *world) sending(commands []byte, count int) {
	d := tree.AppendSubmission(tree.AppendBatchHead(nil, tree.BatchHead{Epoch: 1, Submissions: 1}), tree.RequestID{}, count)
	b, _ := tree.ReadBatch(append(d, commands...))
	_, _ = b.NextSubmission()
	for b.Len() > 0 {
		var c tree.Command
		if _, err := b.Next(&c); err != nil {
			w.fail("commands that can't be read: %v", err)
			return
		}
		s := w.writes[c.Now-1]
		if s.sent++; s.sent > 1 {
			w.seen.again++
		}
	}
}

func (w *world) submit(m *simMember, s *Submission, lead Lead) {
	w.say("member %d submits %d to %d in %d: %d writes", m.id, s.ID.Number, lead.Member, s.Epoch, s.Count)
	if lead.Member == nobody || lead.Member == m.id {
		w.fail("member %d submits to %d", m.id, lead.Member)
		return
	}
	if s.Count == 0 {
		w.seen.probes++
	}
	w.sending(s.Commands, s.Count)
	number, from, incarnation := s.ID.Number, m.id, m.incarnation
	if w.chance(w.faults.unsent, 10) {
		w.seen.unsent++
		w.after(w.delay(), func() {
			if m.up && m.incarnation == incarnation {
				m.in.Unsent = append(m.in.Unsent, number)
				w.poke(m)
			}
		})
		return
	}
	message := AppendSubmission(nil, 7, s, w.now)
	w.send(m, lead.Member, w.faults.lose, func(to *simMember) {
		_, got, err := ReadSubmission(message, from, w.sharded, w.now)
		if err != nil {
			w.fail("a submission can't be read: %v", err)
		}
		to.in.Submissions = append(to.in.Submissions, got)
	})
}

// send delivers a message to another member, or loses it.
func (w *world) send(m *simMember, to uint64, loses bool, deliver func(to *simMember)) {
	if w.chance(loses, 15) {
		return
	}
	at := w.now.Add(w.delay())
	if w.chance(w.faults.reorder, 20) {
		at = w.now.Add(w.between(0, 500*time.Millisecond))
	} else {
		at = later(at, m.lastSent[to].Add(1))
		m.lastSent[to] = at
	}
	w.until(at, func() {
		if target := w.members[to-1]; target.up {
			deliver(target)
			w.poke(target)
		}
	})
}

func (w *world) propose(m *simMember, p Proposal, epoch uint64) {
	w.say("member %d proposes batch %d of %d: %d writes", m.id, p.Number, epoch, p.Writes)
	cmd, incarnation := bytes.Clone(p.Cmd), m.incarnation
	b, err := tree.ReadBatch(cmd)
	if err != nil || b.Epoch != epoch || b.Number != p.Number {
		w.fail("batch %d of %d can't be read: %+v, %v", p.Number, epoch, b, err)
		return
	}
	w.merged(m, cmd)
	at := later(w.now.Add(w.delay()), m.lastProp.Add(1))
	m.lastProp = at
	w.until(at, func() { w.arrive(m, incarnation, statemachine.BatchID{Epoch: epoch, Number: p.Number}, cmd) })
}

// merged looks at what a batch holds.
func (w *world) merged(m *simMember, cmd []byte) {
	b, _ := tree.ReadBatch(cmd)
	writes := 0
	for {
		more, err := b.NextSubmission()
		if err != nil || !more {
			break
		}
		var c tree.Command
		for b.Len() > 0 {
			if _, err := b.Next(&c); err != nil {
				w.fail("a batch that can't be read: %v", err)
				return
			}
			writes++
			switch {
			case c.Op == tree.OpClose:
				w.seen.closes++
			case b.Submission.Replica == m.id:
				w.writes[c.Now-1].sent++
			}
		}
	}
	if b.Submissions > 1 {
		w.seen.merged++
	}
	if writes == batchCommandsLimit {
		w.seen.full++
	}
}

// arrive simulates what raft does with a proposal.
func (w *world) arrive(m *simMember, incarnation int, id statemachine.BatchID, cmd []byte) {
	if w.leader == 0 {
		w.after(20*time.Millisecond, func() { w.arrive(m, incarnation, id, cmd) })
		return
	}
	leads := w.leader == m.id && w.term == id.Epoch && m.incarnation == incarnation && m.up
	switch {
	case leads && !w.chance(w.faults.drop, 10):
		w.append(id, cmd)
	case !leads && w.chance(w.faults.late, 50): // forwarded to the new leader
		w.seen.late++
		w.after(w.between(0, 500*time.Millisecond), func() { w.append(id, cmd) })
	case !leads && w.rng.IntN(2) == 0: // lost with its leader
	case m.incarnation == incarnation:
		w.seen.drops++
		d := w.delay()
		if w.chance(w.faults.late, 50) {
			d = w.between(0, 300*time.Millisecond)
		}
		w.after(d, func() {
			if m.up && m.incarnation == incarnation {
				w.say("batch %d of %d is dropped", id.Number, id.Epoch)
				m.in.Dropped = append(m.in.Dropped, id.Number)
				w.poke(m)
			}
		})
	}
}

func (w *world) append(id statemachine.BatchID, cmd []byte) {
	w.say("entry %d is batch %d of %d", len(w.data.entries)+1, id.Number, id.Epoch)
	w.data.append(cmd)
	w.followAll()
}

// ask delivers an ask to the order shard.
func (w *world) ask(m *simMember, a tree.Ask) {
	w.say("member %d asks (%d) for %d", m.id, a.ID.Number, a.Count)
	incarnation := m.incarnation
	lost := func(d time.Duration) {
		w.after(d, func() {
			if m.up && m.incarnation == incarnation {
				m.feed.AskLost()
				w.poke(m)
			}
		})
	}
	d := w.delay()
	if w.chance(w.faults.loseAsks, 10) {
		w.seen.reasked++
		if w.rng.IntN(2) == 0 {
			lost(d)
		}
		return
	}
	if w.chance(w.faults.lateAsks, 10) {
		d = w.between(0, time.Second)
		if w.rng.IntN(2) == 0 {
			lost(w.between(0, time.Second))
		}
	}
	w.after(d, func() {
		if w.rng.IntN(2) == 0 { // another shard's
			w.order.append(tree.Ask{Slot: 0, Count: 1 + w.rng.IntN(5)})
		}
		w.order.append(a)
		w.followAll()
	})
}
