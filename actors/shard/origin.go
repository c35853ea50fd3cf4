package shard

import (
	"errors"
	"slices"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// nobody leads.
const nobody = 0

// Why a write has no reply, worded like etcd's causes. Unless the write never left this
// member, its outcome is unknown.
var (
	ErrTimeout    = errors.New("etcdserver: request timed out")
	ErrLeaderLost = errors.New("etcdserver: request timed out, possibly due to previous leader failure")
	ErrStopped    = errors.New("etcdserver: server stopped")
)

// Write is one command of a client of this member, or of the member itself.
type Write struct {
	Command  *tree.Command
	Deadline time.Time // the writer is answered by then, or shortly after
	reply    chan tree.Reply
	notify   func(tree.Reply) // instead of reply, if it isn't nil; must not wait
	encoded  []byte           // Command behind room for the head of a batch, if its writer has made that
}

// origin is the part of the core that every member has: it sends the writes of this
// member's clients to the leader, in numbered submissions, and settles them by what
// this member's own replica applies.
type origin struct {
	o   *Options
	out *Effects

	queues  [kinds][]*Write // to be sent next
	turn    int             // of the kinds
	pending []*sent         // not settled, in the order of their numbers
	number  uint64          // of the last submission
	epoch   uint64          // of the leader to whom the last was sent
	base    uint64          // the number of the first one in that epoch
	latest  time.Time       // when the last was sent
	probed  time.Time       // when the leader was last asked what became of them
	pauses  [kinds]pause    // after refusals

	returning returning // writers of the last submission that was applied
}

// pause is how long a kind of writes isn't sent. Others go on: large ones may be refused alone.
type pause struct {
	until time.Time
	last  time.Duration // the next one is twice as long
}

// sent is a submission under way.
type sent struct {
	number   uint64
	epoch    uint64
	kind     int
	size     int       // of its commands, in bytes
	writes   []*Write  // nil: answered already, when its time was over
	due      time.Time // no writer's time is over before
	gathered time.Time
	stale    bool // the replicas refused it
}

// take puts writes at the end of the queues.
func (o *origin) take(writes []*Write) {
	for _, w := range writes {
		kind := o.kind(w)
		o.queues[kind] = append(o.queues[kind], w)
	}
}

func (o *origin) kind(w *Write) int {
	switch {
	case o.o.Sharded && w.Command.InRoot():
		return root
	case w.Command.Op == tree.OpStage:
		return staging
	case w.Command.Size() >= largeWrite && growth(w.Command) > 0:
		return bulk
	}
	return plain
}

func (o *origin) waiting() (n int) {
	for _, queue := range o.queues {
		n += len(queue)
	}
	return n
}

// writers is the number of those that wait, without parts of large values.
func (o *origin) writers() int { return o.waiting() - len(o.queues[staging]) }

// newLead notes that another member leads, or the same one in another term. What is under
// way to the last leader stays pending until this member's replica shows that it is
// applied, or that it never will be (10).
func (o *origin) newLead() { o.pauses = [kinds]pause{} }

// next returns what is to be sent to another member that leads in the epoch: writes,
// or a probe if earlier ones have been under way for long. A probe is an empty submission;
// on receiving it, the leader refuses earlier numbers that it never got (20).
func (o *origin) next(now time.Time, epoch uint64) *Submission {
	if open, _ := o.open(now, epoch); open && o.expects(now, epoch) == 0 {
		bytes, waiting := 0, o.underWay(epoch)
		for _, s := range waiting {
			if s.kind != staging {
				bytes += s.size
			}
		}
		if s := o.gather(now, epoch, bytes, partsLimit-stages(waiting)); s != nil {
			return s
		}
	}
	waiting := o.underWay(epoch)
	if len(waiting) == 0 || now.Sub(waiting[0].gathered) < o.o.Patience || now.Sub(o.probed) < o.o.Patience {
		return nil
	}
	o.probed = now
	return o.submission(now, epoch, plain, nil)
}

// gather makes a submission of writes that wait; nil if none do that may be sent while so many
// bytes are under way. parts bounds the submissions of parts of large values that may be sent.
func (o *origin) gather(now time.Time, epoch uint64, underWay, parts int) *Submission {
	kind, ok := next(o.turn, underWay, func(kind int) (some, large bool) {
		queue := o.queues[kind]
		some = len(queue) > 0 && !now.Before(o.pauses[kind].until) && (kind != staging || parts > 0)
		return some, some && queue[0].Command.Size() >= largeWrite
	})
	if !ok {
		return nil
	}
	n, size, indexes := 0, 0, 0
	for _, w := range o.queues[kind] {
		if n > 0 && full(kind, n+1, size+w.Command.Size(), indexes+w.Command.Indexes()) {
			break
		}
		n++
		size += w.Command.Size()
		indexes += w.Command.Indexes()
	}
	writes := slices.Clone(o.queues[kind][:n])
	o.queues[kind] = slices.Delete(o.queues[kind], 0, n)
	o.turn = (kind + 1) % kinds
	s := o.submission(now, epoch, kind, writes)
	if w := writes[0]; n == 1 && w.encoded != nil {
		s.whole, s.Commands = w.encoded, w.encoded[headRoom:]
		w.encoded = nil // the next batch that w is in may not write to what the last one holds
	} else {
		s.Commands = make([]byte, 0, size)
		for _, w := range writes {
			s.Commands = w.appendTo(s.Commands)
		}
	}
	o.pending = append(o.pending, &sent{number: s.ID.Number, epoch: epoch, kind: kind, size: len(s.Commands), writes: writes, gathered: now})
	return s
}

func (o *origin) submission(now time.Time, epoch uint64, kind int, writes []*Write) *Submission {
	o.number++
	if o.epoch != epoch {
		o.epoch, o.base = epoch, o.number
	}
	if kind != staging {
		o.latest = now
	}
	s := &Submission{
		ID:    tree.RequestID{Replica: o.o.Self, Nonce: o.o.Nonce, Number: o.number},
		Epoch: epoch, Base: o.base, Root: kind == root, Count: len(writes),
	}
	for _, w := range writes {
		s.Indexes += w.Command.Indexes()
		s.Staged = s.Staged || w.Command.Staged()
		if w.Deadline.After(s.Deadline) {
			s.Deadline = w.Deadline
		}
	}
	return s
}

// applied settles the writes whose outcome this member's replica reports, and decides
// about those under way to an earlier leader: what becomes of a write whose leader was
// lost is decided here.
func (o *origin) applied(now time.Time, a *Applied) {
	for i := range a.Outcomes {
		out := &a.Outcomes[i]
		at := slices.IndexFunc(o.pending, func(s *sent) bool { return s.number == out.ID.Number })
		if at < 0 || out.ID.Nonce != o.o.Nonce {
			continue // answered already
		}
		s := o.pending[at]
		if out.Stale {
			s.stale = true
			continue
		}
		o.pauses[s.kind].last = 0
		if s.kind != staging {
			o.returning = returning{writes: len(s.writes), since: now, took: now.Sub(s.gathered)}
		}
		o.pending = slices.Delete(o.pending, at, at+1)
		answer := Answer{Writes: s.writes, Outcome: *out, Gathered: s.gathered}
		if slices.Contains(s.writes, nil) {
			answer.Writes, answer.Outcome.Data = s.waiting(), s.waitedFor(out.Data)
		}
		o.out.Answers = append(o.out.Answers, answer)
	}
	if a.Jumped {
		o.pending = slices.DeleteFunc(o.pending, func(s *sent) bool {
			unknown := s.epoch <= a.Epoch && !s.stale
			if unknown {
				o.giveUp(s, ErrLeaderLost) // nobody here can know their outcome (19)
			}
			return unknown
		})
	}
	// What was sent in an earlier epoch and isn't applied by now never will be (10).
	o.takeBack(func(s *sent) bool { return s.stale || s.epoch < a.Epoch })
}

func (o *origin) giveUp(s *sent, err error) {
	o.out.Answers = append(o.out.Answers, Answer{Writes: s.waiting(), Err: err, Gathered: s.gathered})
}

// waiting returns the writes of s that aren't answered.
func (s *sent) waiting() []*Write {
	return slices.DeleteFunc(slices.Clone(s.writes), func(w *Write) bool { return w == nil })
}

// waitedFor returns those of the replies to s whose writers aren't answered yet.
func (s *sent) waitedFor(replies []byte) (waited []byte) {
	for _, w := range s.writes {
		_, rest, _ := statemachine.CutReply(replies)
		if w != nil {
			waited = append(waited, replies[:len(replies)-len(rest)]...)
		}
		replies = rest
	}
	return waited
}

// takeBack queues the writes of some submissions again, in their order and ahead of later
// ones. None of them is or will be applied. It reports of which kinds there are any.
func (o *origin) takeBack(which func(*sent) bool) (any [kinds]bool) {
	for i := len(o.pending) - 1; i >= 0; i-- {
		if s := o.pending[i]; which(s) {
			any[s.kind] = true
			o.pending = slices.Delete(o.pending, i, i+1)
			o.queues[s.kind] = append(s.waiting(), o.queues[s.kind]...)
		}
	}
	return any
}

// refused takes back what the leader has refused, or the link couldn't send.
func (o *origin) refused(now time.Time, r Refusal) {
	if r.Nonce != o.o.Nonce {
		return
	}
	refused := o.takeBack(func(s *sent) bool { return s.number >= r.First && s.number <= r.Last })
	for kind := range o.pauses {
		if p := &o.pauses[kind]; refused[kind] {
			p.last = min(max(2*p.last, retryPause), retryPauseLimit)
			p.until = now.Add(p.last)
		}
	}
}

// dropLate answers the writers whose time is over.
func (o *origin) dropLate(now time.Time) {
	for kind := range o.queues {
		o.queues[kind] = slices.DeleteFunc(o.queues[kind], func(w *Write) bool {
			late := now.After(w.Deadline)
			if late {
				o.out.Answers = append(o.out.Answers, Answer{Writes: []*Write{w}, Err: ErrTimeout})
			}
			return late
		})
	}
	o.pending = slices.DeleteFunc(o.pending, func(s *sent) bool {
		if !now.After(s.due) {
			return false
		}
		late := s.cutLate(now)
		if len(late) > 0 {
			o.out.Answers = append(o.out.Answers, Answer{Writes: late, Err: ErrTimeout, Gathered: s.gathered}) // they may yet be applied
		}
		return s.due.IsZero()
	})
}

// cutLate takes the writes whose time is over out of s, and notes in s.due when the next
// one's is; zero if none is left.
func (s *sent) cutLate(now time.Time) (late []*Write) {
	s.due = time.Time{}
	for i, w := range s.writes {
		if w == nil {
			continue
		}
		switch due := w.Deadline.Add(lateness); {
		case now.After(due):
			late = append(late, w)
			s.writes[i] = nil
		case s.due.IsZero() || due.Before(s.due):
			s.due = due
		}
	}
	return late
}

// stop answers all writers with err.
func (o *origin) stop(err error) {
	for _, s := range o.pending {
		o.giveUp(s, err)
	}
	o.pending = nil
	for kind := range o.queues {
		o.out.Answers = append(o.out.Answers, Answer{Writes: o.queues[kind], Err: err})
		o.queues[kind] = nil
	}
}
