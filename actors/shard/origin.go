package shard

import (
	"errors"
	"slices"
	"time"

	"copse/statemachine/tree"
)

// nobody leads.
const nobody = 0

// Why a write has no reply, in the words of v2's causes. Its outcome is unknown, unless
// it never left this member.
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
}

func (w *Write) answer(r tree.Reply) {
	if w.notify != nil {
		w.notify(r)
		return
	}
	w.reply <- r
}

// origin is the part of the core that every member has: it sends the writes of this
// member's clients to the leader, numbered, and settles them by what this member's own
// replica applies.
type origin struct {
	o   *Options
	out *Effects

	queues  [kinds][]*Write // to be sent next
	turn    int             // of the two kinds
	pending []*sent         // not settled, in the order of their numbers
	number  uint64          // of the last submission
	base    uint64          // of the first one to the present leader; 0: none yet
	latest  time.Time       // when the last was sent
	probed  time.Time       // when the leader was last asked what became of them
	retry   time.Time       // nothing is sent before
	pause   time.Duration   // the next one, after a refusal
}

// sent is a submission under way.
type sent struct {
	number   uint64
	epoch    uint64
	writes   []*Write
	gathered time.Time
}

// take puts writes at the end of the queues.
func (o *origin) take(writes []*Write) {
	for _, w := range writes {
		kind := o.kind(w)
		o.queues[kind] = append(o.queues[kind], w)
	}
}

func (o *origin) kind(w *Write) int {
	if o.o.Sharded && w.Command.InRoot() {
		return root
	}
	return plain
}

func (o *origin) waiting() int { return len(o.queues[plain]) + len(o.queues[root]) }

// newLead notes that another leads, or the same in another term. What is under way to
// the last one stays there until this member's replica shows that it is applied, or
// that it never will be (10).
func (o *origin) newLead() { o.base, o.retry, o.pause = 0, time.Time{}, 0 }

// underWay is how many submissions to the present leader are not settled.
func (o *origin) underWay() (n int) {
	for _, s := range o.pending {
		if o.base != 0 && s.number >= o.base {
			n++
		}
	}
	return n
}

// open says whether something may be sent to a leader that is another member; see gate.
func (o *origin) open(now time.Time) (bool, time.Duration) {
	return gate(now, o.underWay(), o.latest)
}

// next returns what is to be sent to another member that leads in the epoch: writes,
// or a probe if those before have been out for long. A probe is a submission like any
// other, so the leader refuses what it never got before it.
func (o *origin) next(now time.Time, epoch uint64) *Submission {
	if open, _ := o.open(now); open {
		if s := o.gather(now, epoch); s != nil {
			return s
		}
	}
	i := slices.IndexFunc(o.pending, func(s *sent) bool { return o.base != 0 && s.number >= o.base })
	if i < 0 || now.Sub(o.pending[i].gathered) < o.o.Patience || now.Sub(o.probed) < o.o.Patience {
		return nil
	}
	o.probed = now
	return o.submission(now, epoch, plain, nil)
}

// gather makes a submission of what waits; nil if nothing does.
func (o *origin) gather(now time.Time, epoch uint64) *Submission {
	kind := o.turn
	if len(o.queues[kind]) == 0 {
		kind = 1 - kind
	}
	n, size := 0, 0
	for _, w := range o.queues[kind] {
		if n == batchCommandsLimit || size >= batchBytesLimit {
			break
		}
		n++
		size += w.Command.Size()
	}
	if n == 0 {
		return nil
	}
	writes := slices.Clone(o.queues[kind][:n])
	o.queues[kind] = slices.Delete(o.queues[kind], 0, n)
	o.turn = 1 - kind
	s := o.submission(now, epoch, kind, writes)
	s.Commands = make([]byte, 0, size)
	for _, w := range writes {
		s.Commands = tree.AppendCommand(s.Commands, w.Command)
	}
	o.pending = append(o.pending, &sent{number: s.ID.Number, epoch: epoch, writes: writes, gathered: now})
	return s
}

func (o *origin) submission(now time.Time, epoch uint64, kind int, writes []*Write) *Submission {
	o.number++
	if o.base == 0 {
		o.base = o.number
	}
	o.latest = now
	s := &Submission{
		ID:    tree.RequestID{Replica: o.o.Self, Nonce: o.o.Nonce, Number: o.number},
		Epoch: epoch, Base: o.base, Root: kind == root, Count: len(writes),
	}
	for _, w := range writes {
		s.Indexes += w.Command.Indexes()
		if w.Deadline.After(s.Deadline) {
			s.Deadline = w.Deadline
		}
	}
	return s
}

// applied settles what this member's replica has told of.
func (o *origin) applied(now time.Time, a *Applied) {
	for i := range a.Outcomes {
		out := &a.Outcomes[i]
		at := slices.IndexFunc(o.pending, func(s *sent) bool { return s.number == out.ID.Number })
		if at < 0 || out.ID.Nonce != o.o.Nonce {
			continue // answered already
		}
		s := o.pending[at]
		o.pending = slices.Delete(o.pending, at, at+1)
		if out.Stale {
			o.putBack(s)
			continue
		}
		o.pause = 0
		o.out.Answers = append(o.out.Answers, Answer{Writes: s.writes, Outcome: *out, Gathered: s.gathered})
	}
	o.pending = slices.DeleteFunc(o.pending, func(s *sent) bool {
		switch {
		case a.Jumped && s.epoch <= a.Epoch:
			o.giveUp(s, ErrLeaderLost) // nobody here can know (10)
		case s.epoch < a.Epoch:
			o.putBack(s) // it wasn't applied, and never will be (10)
		default:
			return false
		}
		return true
	})
}

func (o *origin) giveUp(s *sent, err error) {
	o.out.Answers = append(o.out.Answers, Answer{Writes: s.writes, Err: err, Gathered: s.gathered})
}

// putBack has the writes of s sent again, before those that came later: none of them is
// or will be applied.
func (o *origin) putBack(s *sent) {
	if len(s.writes) == 0 {
		return
	}
	kind := o.kind(s.writes[0])
	o.queues[kind] = append(s.writes, o.queues[kind]...)
}

// refused takes back what the leader has refused, or the link didn't send.
func (o *origin) refused(now time.Time, r Refusal) {
	if r.Nonce != o.o.Nonce {
		return
	}
	any := false
	for i := len(o.pending) - 1; i >= 0; i-- { // the last first, to keep their order
		s := o.pending[i]
		if s.number >= r.First && s.number <= r.Last {
			o.pending = slices.Delete(o.pending, i, i+1)
			o.putBack(s)
			any = true
		}
	}
	if any {
		o.pause = min(max(2*o.pause, retryPause), retryPauseLimit)
		o.retry = now.Add(o.pause)
	}
}

// dropLate answers those whose time is over.
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
		late := len(s.writes) > 0 && now.After(s.writes[0].Deadline.Add(lateness))
		if late {
			o.giveUp(s, ErrTimeout) // it may yet be applied
		}
		return late
	})
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
