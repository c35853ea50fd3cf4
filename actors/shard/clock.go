package shard

import (
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// clock is the shard's time, which its leader writes into each batch. It must never be ahead of the
// time in which clients could keep their keys:
//
//   - it runs by this machine's monotonic clock, which nobody can set, and not by the time of
//     day of any member;
//   - a time of more than ClockRuns in which no batch with writes was applied here doesn't count:
//     there is no quorum, the order shard has none or is too slow, the disk hangs or the process is
//     stopped;
//   - a new leader goes on from the last time in the log, less ClockRuns, since the leader
//     before it may have run ahead by that much.
//
// Nodes expire that were due when a batch was proposed which has been applied since: until
// then, every owner could refresh a key.
type clock struct {
	wanted  bool // it is to run once all batches of earlier leaders are applied
	running bool
	shift   int64
	day     func(time.Time) int64 // the time of day
	time    int64                 // at since
	since   time.Time             // when a batch with writes was last applied here
	counts  bool                  // time without a leader counts too: Options.CountOutages
}

func newClock(o Options) clock {
	if o.DayTime == nil {
		o.DayTime = time.Time.UnixNano
	}
	return clock{counts: o.CountOutages, day: o.DayTime}
}

// shiftSlack is how far the time of day that clients see may be behind the leader's own. It is never
// ahead, so that no key is seen to expire early. It is set to the middle, so that it doesn't change,
// and with it each expiration that clients see, whenever the two clocks run apart a little.
const shiftSlack = int64(5 * time.Millisecond)

// start sets the clock of a new leader, which has applied all batches of earlier leaders. last
// is the time in the last of them.
func (c *clock) start(now time.Time, last tree.Clock) {
	*c = clock{wanted: true, running: true, since: now, shift: last.Shift, counts: c.counts, day: c.day}
	switch own := c.day(now); {
	case !last.Known():
		c.time, c.shift = own, -shiftSlack/2
	case c.counts:
		c.time = max(last.Time, own-last.Shift)
	default:
		c.time = last.Time - int64(statemachine.ClockRuns)
	}
}

// passed returns the shard's time.
func (c *clock) passed(now time.Time) int64 {
	gone := max(0, now.Sub(c.since))
	if gone > statemachine.ClockRuns && !c.counts {
		gone = 0
	}
	return c.time + int64(gone)
}

// confirm notes that a batch of this leader's, with writes, has been applied.
func (c *clock) confirm(now time.Time) {
	if c.running {
		c.time, c.since = c.passed(now), now
	}
}

// read returns the clock to put into a batch; the zero Clock if it isn't running.
func (c *clock) read(now time.Time) tree.Clock {
	if !c.running {
		return tree.Clock{}
	}
	at := c.passed(now)
	if shift := c.day(now) - at; shift < c.shift || shift > c.shift+shiftSlack {
		c.shift = shift - shiftSlack/2
	}
	return tree.Clock{Time: at, Shift: c.shift}
}
