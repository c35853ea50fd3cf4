package shard

import (
	"slices"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// Limits of the write path.
const (
	batchCommandsLimit = 256     // commands in one raft entry: each may replace a large value, which its event shows
	batchBytesLimit    = 1 << 20 // bytes at which a batch or a submission is full
	inflightLimit      = 8       // submissions, or batches of dense indexes, under way
	inflightBytesLimit = 8 << 20 // bytes under way beside which no more large writes are sent
	partsBytesLimit    = 5 << 16 // the same for parts of large values: one, and perhaps a short one
	partsLimit         = 2       // submissions of parts under way, and one batch of them
	rangesLimit        = 4       // batches with a range of indexes under way
	inboxLimit         = 1024    // submissions of a kind that wait at the leader
	inboxBytesLimit    = 256 << 20
)

// gatherTime is how long writes gather at most while something is under way. An entry
// costs as much as tens of writes in it, on each member, so the next one waits until the last is
// applied; where the quorum is near and its disks are fast, that takes less than gatherTime.
const gatherTime = 10 * time.Millisecond

// lookTime is how often the core looks for late writes and batches, while anything waits.
const lookTime = 20 * time.Millisecond

// lateness is how much longer than its deadline a write that may be in the log is waited
// for: raft's clock stands still while its disk does.
const lateness = 500 * time.Millisecond

// A refused submission or batch is tried again after a pause that doubles.
const (
	retryPause      = 5 * time.Millisecond
	retryPauseLimit = 80 * time.Millisecond
)

// Lead says who leads the shard, as this member's replica knows it.
type Lead struct {
	Member uint64 // 0: nobody is known to
	Term   uint64 // raft's term in which it leads: the epoch of its batches
}

// Submission is one message of a member to a shard's leader: writes of its clients.
type Submission struct {
	ID       tree.RequestID // Number counts the member's submissions to the shard
	Epoch    uint64         // of the leader that it is meant for
	Base     uint64         // the Number of the first submission in that epoch
	Root     bool           // with several shards: they are creates in order in the root
	Count    int            // commands; 0: a probe, which asks what became of those before
	Indexes  int            // that the commands may take; 0: all are parts of large values
	Staged   bool           // see tree.BatchHead
	Deadline time.Time      // of the last of its writers
	Commands []byte         // encoded
	whole    []byte         // Commands, behind headRoom bytes; nil: they have no room before them
}

// Refusal is a leader's promise never to propose some submissions.
type Refusal struct {
	To          uint64 // member
	Nonce       uint64
	First, Last uint64 // Numbers
}

// Proposal is a batch on its way into the shard's log.
type Proposal struct {
	Number uint64 // counts the core's batches
	Writes int
	Cmd    []byte
}

// Input is what has happened since the last step.
type Input struct {
	Lead        Lead
	Writes      []*Write     // of this member's clients
	Submissions []Submission // of other members
	Refusals    []Refusal    // of this member's submissions
	Unsent      []uint64     // Numbers of submissions that the link provably didn't send
	Dropped     []uint64     // Numbers of batches that provably aren't in the log
	Applied     Applied
	// Timed: every member can read batches that carry the shard's time.
	Timed bool
	// Pause: nothing is proposed until Resume, or until this member leads no more.
	Pause, Resume bool
}

// Applied says what this member's replicas of the shard and of the order shard have
// applied since the last step.
type Applied struct {
	Epoch    uint64 // the highest applied: no batch of a lower one will be
	Clock    tree.Clock
	Jumped   bool // a snapshot was installed: outcomes have been missed
	Batches  []statemachine.BatchID
	Outcomes []statemachine.Outcome // of this member's submissions

	// With several shards:
	Handed, Settled tree.Index // the last index handed out to the shard, and settled in it
	Grants          []tree.Grant
	AskLost         bool // the ask under way may have been lost
}

// Answer is the outcome of writes that were submitted together.
type Answer struct {
	Writes   []*Write
	Outcome  statemachine.Outcome // has a reply for each, if Err is nil
	Err      error
	Gathered time.Time // zero: they never left this member
}

// Effects are what a step asks for. They are valid until the next step.
type Effects struct {
	Answers []Answer
	Submit  []Submission // to Lead.Member
	Refuse  []Refusal
	Propose []Proposal // in this order
	Ask     *tree.Ask
	Wake    time.Duration // the next step is due after it at the latest; 0: after an input
}

// Options configure a Core.
type Options struct {
	Self    uint64 // the member
	Nonce   uint64 // no other core has it
	Slot    int    // with several shards: the shard's place among them
	Sharded bool   // there are several: batches take ranges of indexes from the order shard
	// Patience is how long an answer takes at most from a leader that lives and whose
	// disk is not slow.
	Patience time.Duration
	// CountOutages lets times to live run on while there is no leader.
	CountOutages bool
	// DayTime is the time of day, in Unix nanoseconds; nil: now's.
	DayTime func(now time.Time) int64
}

// Core decides what becomes of a shard's writes on one member: of its clients' writes,
// from the mailbox to the answer (origin.go), and, while it leads, of all members'
// (leader.go). It is pure: [Core.Step] takes the time and what has happened, and returns
// what to do.
//
// docs/SHARDS.md has the rules; the numbers in comments are theirs.
type Core struct {
	o      Options
	lead   Lead
	origin origin
	leader leader
	out    Effects
}

// NewCore returns a core that knows no leader yet.
func NewCore(o Options) *Core {
	c := &Core{o: o}
	c.origin = origin{o: &c.o, out: &c.out}
	c.leader = leader{o: &c.o, out: &c.out, clock: newClock(o)}
	return c
}

// Step takes what has happened and returns what to do about it.
func (c *Core) Step(now time.Time, in Input) *Effects {
	c.out.reset()
	if in.Lead.Term < in.Applied.Epoch {
		in.Lead = Lead{} // there is a later leader, of whom this member has yet to hear (12)
	}
	c.follow(now, in.Lead)
	c.leader.applied(now, &in.Applied, in.Timed)
	c.origin.applied(now, &in.Applied)
	for _, r := range in.Refusals {
		c.origin.refused(now, r)
	}
	for _, number := range in.Unsent {
		c.origin.refused(now, Refusal{Nonce: c.o.Nonce, First: number, Last: number})
	}
	for _, number := range in.Dropped {
		c.leader.dropped(now, number)
	}
	for i := range in.Submissions {
		c.leader.accept(in.Submissions[i])
	}
	if in.Pause {
		c.leader.paused = c.leader.epoch != 0
	}
	if in.Resume {
		c.leader.paused = false
	}
	c.origin.take(in.Writes)
	c.origin.dropLate(now)
	c.leader.dropLate(now)
	c.turnBack(now)            // now, as what comes back counts among those who wait
	c.leader.propose(now)      // first, as a batch that has its indexes now makes room for the next ask
	due := c.expects(now) == 0 // before the leader refuses any, if its inbox is full
	c.submit(now, due)
	c.leader.advance(now, due)
	c.turnBack(now)
	c.out.Wake = c.wake(now)
	return &c.out
}

// follow takes note of who leads. A member that no longer leads forgets its batches: the
// members they came from learn from their own replicas what became of them (12).
func (c *Core) follow(now time.Time, lead Lead) {
	if lead == c.lead {
		return
	}
	c.leader.resign()
	c.turnBack(now) // at once, and before what came later
	c.lead = lead
	c.origin.newLead()
	if lead.Member == c.o.Self {
		c.leader.begin(lead.Term)
	}
}

// submit sends this member's writes to the leader, if it is time. due says that of a leader's own.
func (c *Core) submit(now time.Time, due bool) {
	for {
		switch {
		case c.lead.Member == nobody:
			return
		case c.lead.Member != c.o.Self:
			s := c.origin.next(now, c.lead.Term)
			if s == nil {
				return
			}
			c.out.Submit = append(c.out.Submit, *s)
		default:
			if !due || !c.leader.roomy(now) {
				return
			}
			s := c.origin.gather(now, c.lead.Term, 0, partsLimit) // the leader minds what is under way
			if s == nil {
				return
			}
			c.leader.accept(*s)
		}
	}
}

// turnBack hands refusals of this member's own submissions straight to its origin.
func (c *Core) turnBack(now time.Time) {
	others := c.out.Refuse[:0]
	for _, r := range c.out.Refuse {
		if r.To == c.o.Self {
			c.origin.refused(now, r)
		} else {
			others = append(others, r)
		}
	}
	c.out.Refuse = others
}

// Takes reports whether writes may be taken out of the mailbox. Those that can't be sent
// yet wait there, where their number is bounded. Large ones may be taken before they can be sent, as
// small ones behind them can: up to 256 wait in the origin, and the leader's inbox has a bound of its own.
func (c *Core) Takes(now time.Time) bool {
	if c.origin.waiting() >= batchCommandsLimit || now.Before(c.origin.pauses[plain].until) {
		return false
	}
	switch c.lead.Member {
	case nobody:
		return true
	case c.o.Self:
		return c.leader.roomy(now)
	default:
		open, _ := c.origin.open(now, c.lead.Term)
		return open
	}
}

// Rested reports whether nothing is under way that this member has proposed, while it
// pauses. Without a pause it is true.
func (c *Core) Rested() bool {
	return !c.leader.paused || !slices.ContainsFunc(c.leader.batches, func(b *batch) bool { return b.sent && !b.proposed.IsZero() })
}

// Pending counts this member's writes that are under way or wait to be sent.
func (c *Core) Pending() int {
	n := c.origin.waiting()
	for _, s := range c.origin.pending {
		n += len(s.waiting())
	}
	return n
}

// Stop answers all of this member's writes with err, and refuses what others have
// submitted and isn't proposed. Step must not be called after it.
func (c *Core) Stop(err error) *Effects {
	c.out.reset()
	c.leader.resign()
	c.origin.stop(err)
	c.turnBack(time.Time{})
	return &c.out
}

func (c *Core) wake(now time.Time) time.Duration {
	wake := c.leader.wake(now)
	if wait := c.expects(now); wait > 0 {
		wake = sooner(wake, wait)
	}
	if c.origin.waiting() > 0 || len(c.origin.pending) > 0 {
		wake = sooner(wake, lookTime)
	}
	if c.lead.Member != nobody && c.lead.Member != c.o.Self {
		if _, wait := c.origin.open(now, c.lead.Term); wait > 0 {
			wake = sooner(wake, wait)
		}
	}
	for _, p := range c.origin.pauses {
		if now.Before(p.until) {
			wake = sooner(wake, p.until.Sub(now))
		}
	}
	return wake
}

// sooner returns the shorter of two times to wait; wake may be 0, which means for ever.
func sooner(wake, next time.Duration) time.Duration {
	if wake == 0 {
		return next
	}
	return min(wake, next)
}

func (e *Effects) reset() {
	clear(e.Answers)
	clear(e.Submit)
	clear(e.Propose)
	*e = Effects{Answers: e.Answers[:0], Submit: e.Submit[:0], Refuse: e.Refuse[:0], Propose: e.Propose[:0]}
}
