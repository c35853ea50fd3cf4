package raft

import (
	"errors"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"
)

const (
	// lateness is how long after dragonboat's own time-out an answer is given up:
	// dragonboat's clock stands still while its disk does.
	lateness = 500 * time.Millisecond
	// retryPause is how long to wait before a request that failed with ErrUnsent is
	// made again.
	retryPause = 5 * time.Millisecond
)

// ErrUnsent says that a request did not enter the raft log and may be made again:
// dragonboat is busy, or the shard has no leader at the moment.
var ErrUnsent = errors.New("no leader is known")

// Errors whose text v2 clients see as a cause.
var (
	ErrTimeout = errors.New("etcdserver: request timed out")
	ErrStopped = errors.New("etcdserver: server stopped")
)

// Proposer gets commands into the raft logs, and makes reads linearizable. It may be
// used from many goroutines.
type Proposer struct {
	nh      *dragonboat.NodeHost
	o       Options
	leaders *Leaders
	// sessions are what dragonboat wants with each proposal, by shard id. They are
	// no-op sessions, since it keeps no client sessions for stores on disk.
	sessions []*client.Session
}

func newProposer(nh *dragonboat.NodeHost, o Options, leaders *Leaders) *Proposer {
	p := &Proposer{nh: nh, o: o, leaders: leaders}
	for shard := range leaders.shards {
		p.sessions = append(p.sessions, nh.GetNoOPSession(uint64(shard)))
	}
	return p
}

// Request is a proposal, or a round of read-index, under way. The zero Request never
// settles.
type Request struct{ rs *dragonboat.RequestState }

// Propose starts to put cmd, which it copies, into the shard's log. It fails with
// ErrUnsent if trying again is safe, or with another error.
func (p *Proposer) Propose(shard uint64, cmd []byte) (Request, error) {
	rs, err := p.nh.Propose(p.sessions[shard], cmd, p.o.RequestTimeout)
	return Request{rs}, refusal(err)
}

// readIndex starts a round of read-index: once it has completed, reads of the shard
// see everything that was acknowledged before the call.
func (p *Proposer) readIndex(shard uint64, timeout time.Duration) (Request, error) {
	rs, err := p.nh.ReadIndex(shard, timeout)
	return Request{rs}, refusal(err)
}

func refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dragonboat.ErrSystemBusy), errors.Is(err, dragonboat.ErrShardNotReady),
		errors.Is(err, dragonboat.ErrShardNotFound), errors.Is(err, dragonboat.ErrShardNotInitialized):
		return ErrUnsent
	default:
		return err
	}
}

// result receives the result, once. outcome has to be called with it.
func (r Request) result() <-chan dragonboat.RequestResult {
	if r.rs == nil {
		return nil
	}
	return r.rs.AppliedC()
}

// outcome interprets what result has delivered. If err is nil, data is the state
// machine's answer and raftIndex the entry's index. The error is ErrUnsent if the
// entry is certain not to be in the log; with any other, it may be.
func (r Request) outcome(result dragonboat.RequestResult) (data []byte, raftIndex uint64, err error) {
	defer r.rs.Release()
	switch {
	case result.Completed():
		answer := result.GetResult()
		return answer.Data, answer.Value, nil
	case result.Dropped():
		return nil, 0, ErrUnsent
	case result.Timeout():
		return nil, 0, ErrTimeout
	default:
		return nil, 0, ErrStopped
	}
}

// Settled reports, without waiting, whether dragonboat has done with the request, and
// whether it is certain not to be in the log. It must not be called again after it has
// reported that it is done.
func (r Request) Settled() (done, dropped bool) {
	select {
	case result := <-r.result():
		_, _, err := r.outcome(result)
		return true, errors.Is(err, ErrUnsent)
	default:
		return false, false
	}
}

// AnswerTimeout is how long to wait for an outcome before it must be considered lost:
// a live leader answers within an election time-out, unless its disk is slow.
func (p *Proposer) AnswerTimeout() time.Duration {
	return min(2*p.o.Election, p.o.RequestTimeout)
}

// nextReadTimeout is the time-out for a round of read-index after one with the
// time-out last has failed; last is 0 for the first. If a round is lost with a leader,
// or reaches a new one too early, it is never answered. So the first round gets
// little time; later ones get more, in case the leader is just slow.
func (p *Proposer) nextReadTimeout(last time.Duration) time.Duration {
	return min(max(2*last, p.o.Heartbeat), p.AnswerTimeout())
}

// do repeats start while it fails with ErrUnsent, and waits for its request. It gives
// up at the request time-out, or when stop is closed.
func (p *Proposer) do(stop <-chan struct{}, start func() (Request, error)) (data []byte, raftIndex uint64, err error) {
	late := time.NewTimer(p.o.RequestTimeout + lateness)
	defer late.Stop()
	for {
		r, err := start()
		if err == nil {
			select {
			case result := <-r.result():
				data, raftIndex, err = r.outcome(result)
			case <-late.C:
				return nil, 0, ErrTimeout
			case <-stop:
				return nil, 0, ErrStopped
			}
		}
		if !errors.Is(err, ErrUnsent) {
			return data, raftIndex, err
		}
		select {
		case <-time.After(retryPause):
		case <-late.C:
			return nil, 0, ErrTimeout
		case <-stop:
			return nil, 0, ErrStopped
		}
	}
}

// Execute proposes one command in an entry of its own and returns its reply.
func (p *Proposer) Execute(stop <-chan struct{}, shard uint64, c *tree.Command) (tree.Reply, error) {
	cmd := tree.AppendCommand(tree.AppendBatch(nil, p.o.Replica, 1), c)
	data, raftIndex, err := p.do(stop, func() (Request, error) { return p.Propose(shard, cmd) })
	if err != nil {
		return tree.Reply{}, err
	}
	r, _, _ := statemachine.CutReply(data)
	r.State.RaftIndex, r.State.RaftTerm = raftIndex, p.leaders.HighestTerm()
	return r, nil
}

// Confirm waits until reads of the shard see everything that was acknowledged before
// the call. A round of read-index leaves no trace, so if one may have been lost,
// another is tried.
func (p *Proposer) Confirm(stop <-chan struct{}, shard uint64) error {
	began := time.Now()
	var timeout time.Duration
	for {
		timeout = p.nextReadTimeout(timeout)
		_, _, err := p.do(stop, func() (Request, error) { return p.readIndex(shard, timeout) })
		if !errors.Is(err, ErrTimeout) || time.Since(began) >= p.o.RequestTimeout {
			return err
		}
	}
}
