package shard

import (
	"context"
	"runtime"
	"time"

	"copse/actors/loop"
	"copse/statemachine"
	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

// Raft has what an actor needs of its shard's raft group.
type Raft interface {
	Lead() Lead
	// LeadChanged rings when Lead has changed.
	LeadChanged() <-chan struct{}
	// Propose starts to put cmd, which it copies, into the log. If it fails, cmd provably
	// won't be in it.
	Propose(cmd []byte) (Entry, error)
	// HighestTerm is the highest raft term of any group, for answers.
	HighestTerm() uint64
}

// Entry is a raft entry under way.
type Entry interface {
	// Settled reports whether raft is done with the entry, and whether it has provably
	// dropped it. It must not be called again once done is true.
	Settled() (done, dropped bool)
}

// Link sends messages to other members; it never waits. If it reports false, the message
// is provably not sent; otherwise it may still be lost.
type Link interface {
	PostSubmission(member, shard uint64, s *Submission) bool
	PostRefusal(shard uint64, r Refusal) bool
}

// ActorOptions configure an Actor.
type ActorOptions struct {
	Core    Options
	Shard   uint64 // the raft group
	Timeout time.Duration
	Admit   func(bytes int) error // whether the store may grow; ErrNoSpace if not
	Raft    Raft
	Link    Link
	Feed    *Feed
	Ask     func(tree.Ask) // with several shards: asks the order shard; must not wait
	Applied func() uint64  // with several shards: how far this member has come with all, as answers show it
	Timed   func() bool    // whether every member can read batches that carry the shard's time
	// InFlight counts the large writes of other members that are here; nil: nothing does.
	InFlight *inflight.Budget
}

// Actor runs the write path of one data shard on this member: it takes writes out of
// its mailbox, submissions of other members out of another, and from its feed what the
// replicas have applied, and does what its core decides.
type Actor struct {
	// Fixed after New.
	*intake
	o        ActorOptions
	messages loop.Mailbox[message]
	rests    loop.Mailbox[rest]

	// Owned by Run.
	core    *Core
	in      Input
	entries []entry // proposed, and raft isn't done with them
	resting []rest
	foreign int64 // what InFlight has of other members' writes
}

// entry is a batch that is proposed.
type entry struct {
	number uint64
	raft   Entry
}

// rest asks the actor to pause, or to go on. rested is closed once nothing that it
// proposed is under way, or at once if it doesn't pause.
type rest struct {
	paused bool
	rested chan struct{}
}

// New returns the actor of a shard on this member.
func New(o ActorOptions) *Actor {
	a := &Actor{o: o, intake: newIntake(o.Timeout, o.Admit), core: NewCore(o.Core)}
	a.messages = loop.NewMailbox[message](messageMailboxLimit, a.life.Stopping())
	a.rests = loop.NewMailbox[rest](1, a.life.Stopping())
	return a
}

// Measures are the actor's counters.
func (a *Actor) Measures() *Measures { return &a.measures }

// Pending is how many writes of this member wait or are under way.
func (a *Actor) Pending() uint64 {
	return uint64(max(0, a.measures.pending.Load())) + uint64(len(a.mailbox.Messages()))
}

// Pause makes the actor propose nothing until Resume, and returns once nothing of what
// it proposed is under way. Writes wait meanwhile, including those of other members.
func (a *Actor) Pause(ctx context.Context) error { return a.rest(ctx, true) }

// Resume ends a Pause.
func (a *Actor) Resume(ctx context.Context) error { return a.rest(ctx, false) }

func (a *Actor) rest(ctx context.Context, paused bool) error {
	r := rest{paused: paused, rested: make(chan struct{})}
	if err := a.rests.Send(ctx, r); err != nil {
		return err
	}
	select {
	case <-r.rested:
		return nil
	case <-a.life.Done():
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run is the actor's loop; it returns once Stop is called and all writers have been
// answered.
func (a *Actor) Run() error {
	if !a.life.Begin() {
		return nil
	}
	defer a.life.End()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for !a.life.Halting() {
		a.wait(alarm)
		a.gather()
		a.step(alarm)
	}
	a.finish(alarm)
	return nil
}

// Stop ends the loop, waits for it, and answers whoever still waits in the mailbox.
func (a *Actor) Stop() {
	a.life.Halt()
	for {
		select {
		case w := <-a.mailbox.Messages():
			w.answer(failed(ErrStopped))
		case m := <-a.messages.Messages():
			if s := m.submission; s.ID.Number != 0 {
				a.o.Link.PostRefusal(a.o.Shard, Refusal{To: s.ID.Replica, Nonce: s.ID.Nonce, First: s.ID.Number, Last: s.ID.Number})
			}
		default:
			return
		}
	}
}

// wait blocks until there may be something to do.
func (a *Actor) wait(alarm *time.Timer) {
	var writes <-chan *Write
	if a.core.Takes(time.Now()) {
		writes = a.mailbox.Messages()
	}
	select {
	case w := <-writes:
		a.in.Writes = append(a.in.Writes, w)
		runtime.Gosched() // goroutines that are about to write get into the same batch
	case m := <-a.messages.Messages():
		a.add(m)
		runtime.Gosched()
	case <-a.o.Feed.bell:
	case <-a.o.Raft.LeadChanged():
	case r := <-a.rests.Messages():
		a.in.Pause, a.in.Resume = r.paused, !r.paused
		a.resting = append(a.resting, r)
	case <-alarm.C:
	case <-a.life.Stopping():
	}
}

// gather adds what waits in the mailboxes to the next step's input, up to what a batch
// may hold.
func (a *Actor) gather() {
	for more := true; more && len(a.in.Submissions) < batchCommandsLimit; {
		select {
		case m := <-a.messages.Messages():
			a.add(m)
		default:
			more = false
		}
	}
	for more := a.core.Takes(time.Now()) || a.core.Overtakes(); more && len(a.in.Writes) < batchCommandsLimit; {
		select {
		case w := <-a.mailbox.Messages():
			a.in.Writes = append(a.in.Writes, w)
		default:
			more = false
		}
	}
}

func (a *Actor) add(m message) {
	if m.submission.ID.Number != 0 {
		a.in.Submissions = append(a.in.Submissions, m.submission)
	} else {
		a.in.Refusals = append(a.in.Refusals, m.refusal)
	}
}

// step tells the core what has happened, and does what it decides.
func (a *Actor) step(alarm *time.Timer) {
	lead := a.o.Raft.Lead()
	epoch := uint64(0)
	if lead.Member == a.o.Core.Self {
		epoch = lead.Term
	}
	a.in.Lead, a.in.Applied = lead, a.o.Feed.take(epoch)
	a.in.Timed = epoch != 0 && (a.in.Applied.Clock.Known() || a.o.Timed())
	a.settleEntries()
	a.measures.pending.Add(int64(len(a.in.Writes)))
	now := time.Now()
	out := a.core.Step(now, a.in)
	a.in = Input{Writes: reuse(a.in.Writes), Submissions: reuse(a.in.Submissions), Refusals: a.in.Refusals[:0], Unsent: a.in.Unsent[:0], Dropped: a.in.Dropped[:0]}
	a.carryOut(now, lead.Member, out)
	a.count(a.core.Foreign())
	wake := out.Wake
	if len(a.in.Unsent)+len(a.in.Dropped) > 0 {
		wake = retryPause
	}
	if wake > 0 {
		alarm.Reset(wake)
	} else {
		alarm.Stop()
	}
	if len(a.resting) > 0 && a.core.Rested() {
		for _, r := range a.resting {
			close(r.rested)
		}
		a.resting = nil
	}
}

// settleEntries looks for entries that raft is done with. The feed says what became of
// those in the log.
func (a *Actor) settleEntries() {
	kept := a.entries[:0]
	for _, e := range a.entries {
		done, dropped := e.raft.Settled()
		if dropped {
			a.in.Dropped = append(a.in.Dropped, e.number)
		}
		if !done {
			kept = append(kept, e)
		}
	}
	clear(a.entries[len(kept):])
	a.entries = kept
}

// carryOut does what the core has decided. Proposals come first, so that the log is busy
// while the answers are given.
func (a *Actor) carryOut(now time.Time, leader uint64, out *Effects) {
	for _, p := range out.Propose {
		e, err := a.o.Raft.Propose(p.Cmd)
		if err != nil {
			a.in.Dropped = append(a.in.Dropped, p.Number)
			continue
		}
		a.entries = append(a.entries, entry{number: p.Number, raft: e})
		if p.Writes > 0 {
			a.measures.Batch.Observe(int64(p.Writes))
		}
	}
	for i := range out.Submit {
		s := &out.Submit[i]
		if !a.o.Link.PostSubmission(leader, a.o.Shard, s) {
			a.in.Unsent = append(a.in.Unsent, s.ID.Number)
		}
	}
	for _, r := range out.Refuse {
		a.o.Link.PostRefusal(a.o.Shard, r)
	}
	if out.Ask != nil {
		a.o.Ask(*out.Ask)
	}
	for i := range out.Answers {
		a.answer(now, &out.Answers[i])
	}
}

// answer answers writes that were submitted together.
func (a *Actor) answer(now time.Time, answer *Answer) {
	took := time.Duration(0)
	if !answer.Gathered.IsZero() {
		took = now.Sub(answer.Gathered)
	}
	a.measures.settled(answer.counted(), took, answer.Err)
	a.measures.pending.Add(-int64(len(answer.Writes)))
	term := a.o.Raft.HighestTerm()
	data, raftIndex := answer.Outcome.Data, answer.Outcome.RaftIndex
	if a.o.Applied != nil {
		raftIndex = a.o.Applied()
	}
	for _, w := range answer.Writes {
		var r tree.Reply
		if answer.Err != nil {
			r = failed(answer.Err)
		} else {
			r, data, _ = statemachine.CutReply(data)
			answer.Outcome.Complete(&r)
			r.State.RaftIndex, r.State.RaftTerm = raftIndex, term
		}
		if took > 0 {
			r.Queued, r.Applied = answer.Gathered.Sub(w.Deadline.Add(-a.timeout)), took
		}
		w.answer(r)
	}
}

// finishLimit bounds how long an actor that stops waits for what may be in the log.
const finishLimit = 2 * time.Second

// finish answers everybody: it waits for what may be in the log, and refuses the rest.
func (a *Actor) finish(alarm *time.Timer) {
	for late := time.Now().Add(finishLimit); a.core.Pending() > 0 && time.Now().Before(late); {
		select {
		case <-a.o.Feed.bell:
		case <-alarm.C:
		case <-time.After(lookTime):
		}
		a.step(alarm)
	}
	a.carryOut(time.Now(), nobody, a.core.Stop(ErrStopped))
	a.count(0)
}
