package actors

import (
	"errors"
	"sync/atomic"
	"time"

	"copse/actors/disk"
	"copse/actors/raft"
	"copse/statemachine/metric"
)

// outcome is how a write that this member was asked for came out.
type outcome uint8

const (
	outcomeDone     outcome = iota // applied, whatever v2 answers
	outcomeTimeout                 // given up: it may yet be applied
	outcomeOverload                // refused: the mailbox was full
	outcomeNoSpace                 // refused: the disk reserve
	outcomeStopped                 // the member stops: it may yet be applied
	outcomeFailed                  // refused by the engine
	outcomeCount
)

var outcomeNames = [outcomeCount]string{"done", "timeout", "overload", "no_space", "stopped", "failed"}

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return outcomeDone
	case errors.Is(err, raft.ErrTimeout), errors.Is(err, errLeaderLost):
		return outcomeTimeout
	case errors.Is(err, errOverloaded):
		return outcomeOverload
	case errors.Is(err, disk.ErrNoSpace):
		return outcomeNoSpace
	case errors.Is(err, raft.ErrStopped):
		return outcomeStopped
	default:
		return outcomeFailed
	}
}

// writeMeasures are what a shard measures of its writes.
type writeMeasures struct {
	outcomes [outcomeCount]atomic.Uint64
	pending  atomic.Int64      // in a batch, and not answered
	batch    *metric.Histogram // writes in one raft entry
	commit   *metric.Histogram // from a batch's being full to its answer
}

func newWriteMeasures() writeMeasures {
	return writeMeasures{
		batch:  metric.NewHistogram(1, 2, 4, 8, 16, 32, 64, 128, batchCommandsLimit),
		commit: metric.NewDurations(),
	}
}

func (m *writeMeasures) gathered(writes int) {
	m.batch.Observe(int64(writes))
	m.pending.Add(int64(writes))
}

func (m *writeMeasures) settled(writes int, took time.Duration, err error) {
	m.pending.Add(-int64(writes))
	m.commit.Observe(int64(took))
	m.outcomes[outcomeOf(err)].Add(uint64(writes))
}

// readMeasures are what a read lane measures of its rounds.
type readMeasures struct {
	rounds *metric.Histogram // seconds for a round of read-index
	failed atomic.Uint64     // rounds
}

func (m *readMeasures) round(began time.Time, err error) {
	m.rounds.ObserveSince(began)
	if err != nil {
		m.failed.Add(1)
	}
}
