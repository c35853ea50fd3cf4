package shard

import (
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// TestUpcoming has what an expirer is to submit, and when, ten seconds after the shard's time began.
func TestUpcoming(t *testing.T) {
	now := lifeStart
	begin := now.UnixNano()
	said := func(epoch uint64, ago time.Duration) statemachine.Heard {
		return statemachine.Heard{Clock: tree.Clock{Time: begin + int64(10*time.Second)}, Epoch: epoch, At: now.Add(-ago)}
	}
	at := func(d time.Duration) int64 { return begin + int64(d) }
	for _, test := range []struct {
		name  string
		clock statemachine.Heard
		at    int64
		due   int64
		wait  time.Duration
	}{
		{"due by what was said", said(7, 0), at(10 * time.Second), at(10 * time.Second), 0},
		{"due soon", said(7, 100*time.Millisecond), at(10*time.Second + 300*time.Millisecond), at(10 * time.Second), 200 * time.Millisecond},
		{"due later: the time has to be said until then", said(7, 100*time.Millisecond), at(time.Minute), at(10 * time.Second), sayEvery - 100*time.Millisecond},
		// What an earlier leader said doesn't show that writes get through to this one.
		{"due by what an earlier leader said", said(6, 0), at(9 * time.Second), nothingDue, 0},
		{"due later, and an earlier leader said the time", said(6, 0), at(time.Minute), nothingDue, 0},
		{"due by the time of day, as nobody has said the time", statemachine.Heard{}, at(time.Second), now.UnixNano(), time.Second},
	} {
		if due, wait := upcoming(now, test.clock, 7, test.at); due != test.due || wait != test.wait {
			t.Errorf("%s: got %v in %v, want %v in %v", test.name, due, wait, test.due, test.wait)
		}
	}
}
