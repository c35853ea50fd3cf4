package shard

import (
	"errors"
	"sync/atomic"
	"time"

	"copse/statemachine/metric"
	"copse/statemachine/tree"
)

// outcome is what became of a write that a client requested of this member.
type outcome uint8

const (
	outcomeDone     outcome = iota // applied, whatever v2 answers
	outcomeTimeout                 // given up: it may yet be applied
	outcomeOverload                // refused: the mailbox was full
	outcomeNoSpace                 // refused: the disk reserve
	outcomeStopped                 // the member stops: it may yet be applied
	outcomeCount
)

var outcomeNames = [outcomeCount]string{"done", "timeout", "overload", "no_space", "stopped"}

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return outcomeDone
	case errors.Is(err, ErrOverloaded):
		return outcomeOverload
	case errors.Is(err, ErrNoSpace):
		return outcomeNoSpace
	case errors.Is(err, ErrStopped):
		return outcomeStopped
	default:
		return outcomeTimeout
	}
}

// Measures are what a shard's actor measures of its writes.
type Measures struct {
	Batch    *metric.Histogram // writes in one raft entry proposed here
	Commit   *metric.Histogram // from gathering a submission to answering its writes
	pending  atomic.Int64      // writes taken in and not answered
	outcomes [outcomeCount]atomic.Uint64
}

func newMeasures() Measures {
	return Measures{
		Batch:  metric.NewHistogram(1, 2, 4, 8, 16, 32, 64, 128, batchCommandsLimit),
		Commit: metric.NewDurations(),
	}
}

func (m *Measures) settled(writes int, took time.Duration, err error) {
	if took > 0 {
		m.Commit.Observe(int64(took))
	}
	m.outcomes[outcomeOf(err)].Add(uint64(writes))
}

// counted returns how many of the writes count as a client's: of a value in parts only the last one, or what failed.
func (a *Answer) counted() int {
	if a.Err == nil && len(a.Writes) > 0 && a.Writes[0].Command.Op == tree.OpStage {
		return 0
	}
	return len(a.Writes)
}

// Outcomes yields the number of writes with each outcome, by its name.
func (m *Measures) Outcomes(yield func(result string, writes uint64) bool) {
	for i := range m.outcomes {
		if !yield(outcomeNames[i], m.outcomes[i].Load()) {
			return
		}
	}
}

// Failed is the number of writes that were turned away or given up.
func (m *Measures) Failed() (n uint64) {
	for i := range m.outcomes {
		if outcome(i) != outcomeDone {
			n += m.outcomes[i].Load()
		}
	}
	return n
}
