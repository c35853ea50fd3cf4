package shard

import (
	"slices"
	"time"
)

// What is under way, at the leader and from a member to it, and whether more may be.

// gate says whether a submission or batch may be sent while n others are under way, the
// latest of which was sent at latest. If not, wait is how long to wait; 0 means until one of
// them is settled.
func gate(now time.Time, n int, latest time.Time) (open bool, wait time.Duration) {
	switch gathered := now.Sub(latest); {
	case n == 0:
		return true, 0
	case n >= inflightLimit:
		return false, 0
	case gathered >= gatherTime:
		return true, 0
	default:
		return false, gatherTime - gathered
	}
}

// underWay counts the batches with writes, except those that take so long that they may be lost. Those with parts
// of large values don't count, since nothing waits for them.
func (l *leader) underWay(now time.Time) (n int) {
	for _, b := range l.batches {
		if l.counts(now, b) {
			n++
		}
	}
	return n
}

func (l *leader) counts(now time.Time, b *batch) bool {
	return len(b.parts) > 0 && !b.stages() && !l.overdue(now, b)
}

// overdue reports whether b has taken so long that it may be lost. Neither later batches
// nor closing wait for it any longer.
func (l *leader) overdue(now time.Time, b *batch) bool {
	return b.sent && now.Sub(b.proposed) >= l.o.Patience
}

// roomy reports whether another batch may be gathered.
func (l *leader) roomy(now time.Time) bool {
	if l.paused || l.clock.wanted && !l.clock.running || slices.ContainsFunc(l.batches, func(b *batch) bool { return !b.sent }) {
		return false
	}
	n := l.underWay(now)
	if l.o.Sharded {
		return l.asks.asking == nil && n < rangesLimit && !now.Before(l.asks.retry)
	}
	open, _ := gate(now, n, l.latest)
	return open
}

// staging reports whether a batch of parts is under way that may not be lost.
func (l *leader) staging(now time.Time) bool {
	return slices.ContainsFunc(l.batches, func(b *batch) bool { return b.stages() && !l.overdue(now, b) })
}

// bytesUnderWay is the size of those that underWay counts.
func (l *leader) bytesUnderWay(now time.Time) (bytes int) {
	for _, b := range l.batches {
		if l.counts(now, b) {
			bytes += len(b.cmd)
		}
	}
	return bytes
}

// underWay returns the submissions to the leader of the epoch that are not settled.
func (o *origin) underWay(epoch uint64) []*sent {
	i := slices.IndexFunc(o.pending, func(s *sent) bool { return s.epoch == epoch })
	if i < 0 {
		return nil
	}
	return o.pending[i:] // none is of a later epoch
}

// open says whether something may be sent to the leader of the epoch, another member;
// see gate.
func (o *origin) open(now time.Time, epoch uint64) (bool, time.Duration) {
	waiting := o.underWay(epoch)
	return gate(now, len(waiting)-stages(waiting), o.latest)
}

// stages counts the submissions of parts of large values.
func stages(list []*sent) (n int) {
	for _, s := range list {
		if s.kind == staging {
			n++
		}
	}
	return n
}
