package actors

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"copse/actors/disk"
	"copse/actors/raft"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// Limits of a shard's write path.
const (
	batchCommandsLimit = 256     // commands in one raft entry: each may tell of a large value that goes
	batchBytesLimit    = 1 << 20 // bytes at which a batch is full
	inflightLimit      = 8       // raft entries under way
	orphansLimit       = 64      // raft entries under way that may be lost
	orphansLook        = 20 * time.Millisecond
)

// gatherTime is how long what comes gathers while an entry is under way, at most: an
// entry costs as much as ten writes in it, so the next one waits until the last is
// settled, which takes less where the quorum is near and its disks are quick.
const gatherTime = 2 * time.Millisecond

// entry is one raft entry: the writes of one batch, as proposed.
type entry struct {
	writes   []*write
	cmd      []byte
	gathered time.Time
	deadline time.Time
	proposed time.Time
	term     uint64 // raft's, before e was proposed
	proposal raft.Request
}

// probe is a round of a linearizable read that is under way, and raft's term before
// it began: it tells which orphans have been lost. It may be lost itself, so it is
// given up after patience.
type probe struct {
	proposal raft.Request
	term     uint64
	patience time.Duration
}

// Shard is the actor that owns the write path of one data shard: it gathers
// its mailbox into batches, proposes each as one raft entry, and answers the
// writers when their entry is applied here.
type Shard struct {
	// Fixed after NewShard.
	*door
	id      uint64
	replica uint64
	host    *raft.Host
	holds   chan hold

	// Owned by Run.
	inflight []*entry  // in the order of their proposals
	latest   time.Time // the last of them was proposed
	orphans  []*entry  // perhaps lost on their way to a leader; their outcome is open
	probe    probe
	unsent   []*entry // provably not in the log; to be proposed again
	held     held     // nothing is proposed meanwhile
	spare    []*entry // done with; to be used again
}

// NewShard returns the actor of the shard id on this member.
func NewShard(id, replica uint64, host *raft.Host, timeout time.Duration, disk *disk.Watch) *Shard {
	return &Shard{door: newDoor(timeout, disk), id: id, replica: replica, host: host, holds: make(chan hold)}
}

// Run is the actor's loop; it returns once Stop is called and all writers have
// been answered.
func (s *Shard) Run() error {
	if !s.life.Begin() {
		return nil
	}
	defer s.life.End()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for !s.life.Halting() {
		s.answerHolds()
		var in <-chan *write
		gathering := s.gathering()
		if !gathering && len(s.inflight) < inflightLimit && len(s.unsent) == 0 && !s.held.on() {
			in = s.mailbox.Messages()
		}
		var settled = raft.Request{}.Settled()
		if len(s.inflight) > 0 {
			settled = s.inflight[0].proposal.Settled()
		}
		s.setAlarm(alarm, gathering)
		select {
		case w := <-in:
			if e := s.gather(w); e != nil {
				s.propose(e)
			}
		case r := <-settled:
			head := s.takeHead()
			data, raftIndex, err := head.proposal.Outcome(r)
			s.settle(head, data, raftIndex, err)
		case <-s.host.LeaderChanged(s.id):
			s.orphan()
			s.letGo(time.Now())
		case h := <-s.holds:
			s.hold(h)
		case <-alarm.C:
			s.letGo(time.Now())
			s.expireLate(time.Now())
			s.retry()
		case <-s.life.Stopping():
		}
	}
	s.finish()
	return nil
}

// gathering reports whether what comes now waits for what is under way.
func (s *Shard) gathering() bool {
	return len(s.inflight) > 0 && time.Since(s.latest) < gatherTime
}

// setAlarm makes the loop wake up when an entry is late, to try again, or to
// gather no longer.
func (s *Shard) setAlarm(alarm *time.Timer, gathering bool) {
	switch {
	case len(s.unsent) > 0, s.held.on():
		alarm.Reset(raft.RetryPause)
	case gathering:
		alarm.Reset(gatherTime)
	case len(s.orphans) > 0:
		alarm.Reset(orphansLook)
	case len(s.inflight) > 0:
		alarm.Reset(time.Until(s.inflight[0].proposed.Add(s.host.AnswerTimeout())))
	default:
		alarm.Stop()
	}
}

// gather makes a batch of w and what else waits; nil if all of that has waited
// too long already.
func (s *Shard) gather(w *write) *entry {
	runtime.Gosched() // whoever is about to write comes first, and is in the batch
	e := s.newEntry()
	now := time.Now()
	size := 0
	for w != nil {
		if now.After(w.deadline) {
			w.reply <- s.refused(raft.ErrTimeout)
		} else {
			e.writes = append(e.writes, w)
			size += w.cmd.Size()
		}
		if len(e.writes) >= batchCommandsLimit || size >= batchBytesLimit {
			break
		}
		select {
		case w = <-s.mailbox.Messages():
		default:
			w = nil
		}
	}
	if len(e.writes) == 0 {
		s.recycle(e)
		return nil
	}
	e.cmd = tree.AppendBatch(e.cmd[:0], s.replica, len(e.writes))
	for _, w := range e.writes {
		e.cmd = tree.AppendCommand(e.cmd, w.cmd)
	}
	e.gathered, e.deadline = now, e.writes[0].deadline
	s.measures.gathered(len(e.writes))
	return e
}

func (s *Shard) newEntry() *entry {
	if n := len(s.spare); n > 0 {
		e := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return e
	}
	return &entry{}
}

func (s *Shard) propose(e *entry) {
	var err error
	e.term = s.host.Term(s.id)
	e.proposal, err = s.host.Propose(s.id, e.cmd)
	if err != nil {
		s.settle(e, nil, 0, err)
		return
	}
	e.proposed = time.Now()
	s.inflight = append(s.inflight, e)
	s.latest = e.proposed
}

func (s *Shard) takeHead() *entry {
	head := s.inflight[0]
	copy(s.inflight, s.inflight[1:])
	s.inflight = s.inflight[:len(s.inflight)-1]
	return head
}

// settle answers the writers of e, or puts e back if it never entered the log.
func (s *Shard) settle(e *entry, data []byte, raftIndex uint64, err error) {
	if errors.Is(err, raft.ErrUnsent) {
		s.unsent = append(s.unsent, e)
		return
	}
	term := s.host.Term(s.id)
	took := time.Since(e.gathered)
	s.measures.settled(len(e.writes), took, err)
	for i, w := range e.writes {
		var r tree.Reply
		if err != nil {
			r = failed(err)
		} else {
			r, data, _ = statemachine.CutReply(data)
			r.State.RaftIndex, r.State.RaftTerm = raftIndex, term
		}
		r.Queued, r.Applied = e.gathered.Sub(w.deadline.Add(-s.timeout)), took
		w.reply <- r
		e.writes[i] = nil
	}
	s.recycle(e)
}

// Few spare entries are kept, and none with the buffer of a rare, huge batch.
const (
	spareLimit      = 2
	spareBytesLimit = 4 << 20
)

func (s *Shard) recycle(e *entry) {
	if len(s.spare) < spareLimit && cap(e.cmd) <= spareBytesLimit {
		*e = entry{writes: e.writes[:0], cmd: e.cmd[:0]}
		s.spare = append(s.spare, e)
	}
}

// retry proposes again what never entered the log.
func (s *Shard) retry() {
	if s.held.on() {
		return
	}
	again := s.unsent
	s.unsent = nil
	for _, e := range again {
		s.propose(e)
	}
}

// orphan sets aside what is under way when the leader changes, or takes long: it
// may have been lost with the old one, or on the way to it, which nobody tells,
// and what comes next mustn't wait for that.
func (s *Shard) orphan() {
	if len(s.orphans)+len(s.inflight) > orphansLimit {
		return
	}
	s.orphans = append(s.orphans, s.inflight...)
	clear(s.inflight)
	s.inflight = s.inflight[:0]
}

// settleOrphans answers the writers of orphans whose outcome is known by now, that
// went down with their leader, or that are late.
func (s *Shard) settleOrphans(now time.Time) {
	lost := s.lostBefore()
	kept := s.orphans[:0]
	for _, e := range s.orphans {
		select {
		case r := <-e.proposal.Settled():
			data, raftIndex, err := e.proposal.Outcome(r)
			s.settle(e, data, raftIndex, err)
		default:
			switch {
			case e.term < lost:
				s.settle(e, nil, 0, errLeaderLost)
			case now.After(e.deadline.Add(raft.Lateness)):
				s.settle(e, nil, 0, raft.ErrTimeout)
			default:
				kept = append(kept, e)
			}
		}
	}
	clear(s.orphans[len(kept):])
	s.orphans = kept
}

// lostBefore returns the raft term before which an orphan without an outcome was
// lost, as far as anyone can tell: this replica has applied all that the leader of
// that term found in the log. (It may still turn up: a member that was asleep may
// pass it on. So it isn't proposed again.)
func (s *Shard) lostBefore() uint64 {
	if len(s.orphans) == 0 {
		s.probe = probe{}
		return 0
	}
	if !s.probe.proposal.UnderWay() {
		term, patience := s.host.Term(s.id), s.host.NextReadTimeout(s.probe.patience)
		p, err := s.host.ReadIndex(s.id, patience)
		if err != nil {
			return 0 // nobody leads; asked again
		}
		s.probe = probe{proposal: p, term: term, patience: patience}
	}
	select {
	case r := <-s.probe.proposal.Settled():
		_, _, err := s.probe.proposal.Outcome(r)
		if err == nil {
			term := s.probe.term
			s.probe = probe{}
			return term
		}
		s.probe = probe{patience: s.probe.patience}
	default:
	}
	return 0
}

// expireLate gives up what is past its deadline. Of an entry that is under
// way, the outcome stays unknown: it may still be applied.
func (s *Shard) expireLate(now time.Time) {
	if len(s.inflight) > 0 && now.Sub(s.inflight[0].proposed) >= s.host.AnswerTimeout() {
		s.orphan()
	}
	s.settleOrphans(now)
	for len(s.inflight) > 0 && now.After(s.inflight[0].deadline.Add(raft.Lateness)) {
		s.settle(s.takeHead(), nil, 0, raft.ErrTimeout)
	}
	kept := s.unsent[:0]
	for _, e := range s.unsent {
		if now.After(e.deadline) {
			s.settle(e, nil, 0, raft.ErrTimeout)
			continue
		}
		kept = append(kept, e)
	}
	s.unsent = kept
}

// finish answers everybody: what is in the log already is waited for, what
// isn't is refused.
func (s *Shard) finish() {
	for len(s.inflight) > 0 {
		head := s.takeHead()
		late := time.NewTimer(time.Until(head.deadline.Add(raft.Lateness)))
		select {
		case r := <-head.proposal.Settled():
			data, raftIndex, err := head.proposal.Outcome(r)
			s.settle(head, data, raftIndex, err)
		case <-late.C:
			s.settle(head, nil, 0, raft.ErrTimeout)
		}
		late.Stop()
	}
	s.settleOrphans(time.Now())
	for _, e := range slices.Concat(s.orphans, s.unsent) {
		s.settle(e, nil, 0, raft.ErrStopped)
	}
	s.orphans, s.unsent = nil, nil
	for {
		select {
		case w := <-s.mailbox.Messages():
			w.reply <- s.refused(raft.ErrStopped)
		default:
			return
		}
	}
}
