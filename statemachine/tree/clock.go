package tree

import "math"

// Clock is what time it is for the keys of a shard. Its leader says so in each batch, by a clock
// that nobody can set (actors/shard/clock.go); the zero Clock means that none has said so yet.
//
// Time is what expirations are stored and compared in, in nanoseconds: it begins at the
// time of day, and doesn't run while nothing can be written. Shift is what to add to
// it for the time of day, so that clients see when a key will expire.
type Clock struct{ Time, Shift int64 }

// Known reports whether a leader has said what time it is.
func (c Clock) Known() bool { return c.Time != 0 }

// Now is the time of day.
func (c Clock) Now() int64 { return addTime(c.Time, c.Shift) }

// Shown is the time of day at which a node expires that is stored with expires; 0: never.
func (c Clock) Shown(expires int64) int64 {
	if expires == 0 || c.Shift == 0 {
		return expires
	}
	return nonzero(addTime(expires, c.Shift))
}

// Stored is what to store for a node that expires at the given time of day; 0: never.
func (c Clock) Stored(shown int64) int64 {
	if shown == 0 || c.Shift == 0 {
		return shown
	}
	return nonzero(addTime(shown, -c.Shift))
}

// Receive makes the times of c, which a member with a clock of its own has written, those
// of the batch that c is in: a time to live counts from there. An expiry is for what was due at a
// time of the shard, not later than the batch.
func (c Clock) Receive(cmd *Command) {
	if !c.Known() {
		return
	}
	if cmd.Op == OpExpire {
		cmd.Now = addTime(min(cmd.Now, c.Time), c.Shift)
		return
	}
	if cmd.Expires != 0 {
		cmd.Expires = nonzero(addTime(c.Now(), cmd.Expires-cmd.Now))
	}
	cmd.Now = c.Now()
}

// nonzero keeps an expiration from meaning never.
func nonzero(at int64) int64 {
	if at == 0 {
		return 1
	}
	return at
}

// addTime adds without overflow.
func addTime(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
