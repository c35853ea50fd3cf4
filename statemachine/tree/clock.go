package tree

import "math"

// Clock is the time by which the keys of a shard expire. Its leader writes it into each batch, from
// a clock that nobody can set (actors/shard/clock.go). The zero Clock means that no leader has yet.
//
// Expirations are stored and compared in Time, in nanoseconds: it begins at the time of day, and
// doesn't run while nothing can be written. Time plus Shift is the time of day, at which clients
// see that a key will expire.
type Clock struct{ Time, Shift int64 }

// Known reports whether a leader has written the time yet.
func (c Clock) Known() bool { return c.Time != 0 }

// Now is the time of day.
func (c Clock) Now() int64 { return addTime(c.Time, c.Shift) }

// Shown returns the time of day at which a node that is stored with expires will expire; 0: never.
func (c Clock) Shown(expires int64) int64 {
	if expires == 0 || c.Shift == 0 {
		return expires
	}
	return nonzero(addTime(expires, c.Shift))
}

// Stored is the inverse of Shown: the time to store for a node that expires at a time of day.
func (c Clock) Stored(shown int64) int64 {
	if shown == 0 || c.Shift == 0 {
		return shown
	}
	return nonzero(addTime(shown, -c.Shift))
}

// Receive replaces the times in cmd, which a member wrote by its own clock, by those of the batch
// that has the Clock c: a time to live counts from the batch. An expiry has a time of the shard,
// which becomes that of the batch if it is later.
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
