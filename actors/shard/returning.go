package shard

import "time"

// returning are writers who were answered together. Where clients write all the time, most
// of them write again at once; what went with the first of them would be a small entry, and
// the others would wait until it is applied. So while nothing is under way, what waits goes
// when most of them are back, or after as long as they took before.
//
// Where writers come and go, fewer are expected each time, and soon none. The time counts from
// the answer, so nothing waits longer because others come.
type returning struct {
	writes int
	since  time.Time     // when they were answered
	took   time.Duration // from when their writes were sent until then
}

// returningLeast is how many are worth waiting for. So a lone writer never waits, nor do two or three.
const returningLeast = 4

// wait is how long a number of writes that could be sent should wait for more; 0: not at all.
// Those who are still missing may be one and a tenth.
func (r returning) wait(now time.Time, writes int) time.Duration {
	if r.writes < returningLeast || writes >= r.writes-1-r.writes/10 {
		return 0
	}
	return max(0, min(r.took, gatherTime)-now.Sub(r.since))
}

// expects is how long the leader's next batch should wait for more writes than those in the
// inbox and the member's own.
func (l *leader) expects(now time.Time, own int) time.Duration {
	if l.underWay(now) > 0 {
		return 0
	}
	for kind, inbox := range l.inbox {
		for _, s := range inbox {
			if kind != staging {
				own += s.Count
			}
		}
	}
	if own == 0 {
		return 0
	}
	return l.returning.wait(now, own)
}

// expects is how long the next submission should wait for more writes.
func (o *origin) expects(now time.Time, epoch uint64) time.Duration {
	waiting := o.writers()
	if waiting == 0 || len(o.underWay(epoch)) > 0 {
		return 0
	}
	return o.returning.wait(now, waiting)
}

// expects is how long what could be sent should wait for more writes.
func (c *Core) expects(now time.Time) time.Duration {
	switch c.lead.Member {
	case nobody:
		return 0
	case c.o.Self:
		return c.leader.expects(now, c.origin.writers())
	default:
		return c.origin.expects(now, c.lead.Term)
	}
}
