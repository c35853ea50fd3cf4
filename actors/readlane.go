package actors

import (
	"time"

	"copse/statemachine/metric"
)

// readMailboxLimit is how many linearizable reads may wait for a round.
const readMailboxLimit = 16384

// ReadLane is the actor that makes reads of one shard linearizable. Reads that
// wait at the same time share one round of raft's read-index, which takes no
// log entry; the read itself is then done by whoever asked.
type ReadLane struct {
	host    *Host
	shard   uint64
	life    life
	mailbox Mailbox[chan error]

	measures readMeasures
}

// NewReadLane returns the read lane of the shard.
func NewReadLane(host *Host, shard uint64) *ReadLane {
	l := &ReadLane{host: host, shard: shard, life: newLife(), measures: readMeasures{rounds: metric.NewDurations()}}
	l.mailbox = NewMailbox[chan error](readMailboxLimit, l.life.stop)
	return l
}

// Wait returns once reads of this member see all that was acknowledged before
// the call, or says after limit at the latest why they may not.
func (l *ReadLane) Wait(limit time.Duration) error {
	late := time.NewTimer(limit)
	defer late.Stop()
	reply := make(chan error, 1)
	if l.life.halting() || !l.mailbox.Offer(reply) {
		return errOverloaded
	}
	select {
	case err := <-reply:
		return err
	case <-late.C:
		return errTimeout
	case <-l.life.done:
	}
	select {
	case err := <-reply:
		return err
	default:
		return errStopped
	}
}

// Run is the actor's loop.
func (l *ReadLane) Run() error {
	if !l.life.begin() {
		return nil
	}
	defer l.life.end()
	var waiting []chan error
	for {
		select {
		case first := <-l.mailbox.Messages():
			waiting = l.gather(append(waiting[:0], first))
		case <-l.life.stop:
			return nil
		}
		began := time.Now()
		err := l.host.Confirm(l.life.stop, l.shard)
		l.measures.round(began, err)
		for _, reply := range waiting {
			reply <- err
		}
	}
}

// gather adds all that wait now.
func (l *ReadLane) gather(waiting []chan error) []chan error {
	for {
		select {
		case next := <-l.mailbox.Messages():
			waiting = append(waiting, next)
		default:
			return waiting
		}
	}
}

// Stop ends the loop and waits for it.
func (l *ReadLane) Stop() { l.life.halt() }
