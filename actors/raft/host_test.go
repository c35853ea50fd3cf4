package raft

import (
	"testing"
	"time"
)

func TestTicks(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		heartbeat, election time.Duration
		alone               bool
		request, want       time.Duration
	}{
		{100 * ms, time.Second, false, time.Second, 50 * ms},
		{100 * ms, time.Second, true, time.Second, 100 * ms},
		{time.Second, 10 * time.Second, false, time.Second, 50 * ms},
		{time.Second, 10 * time.Second, true, time.Second, 100 * ms},
		{100 * ms, 500 * ms, true, time.Second, 50 * ms}, // or there would be three lengths of an election
		{25 * ms, 250 * ms, false, time.Second, 12 * ms},
		{ms, 5 * ms, false, time.Second, ms},
		{100 * ms, time.Second, true, 60 * ms, 30 * ms},
	} {
		o := Options{Heartbeat: tt.heartbeat, Election: tt.election, RequestTimeout: tt.request}
		if got := tick(o, tt.alone); got != tt.want {
			t.Errorf("heartbeat %v, election %v, alone %v: ticks of %v, want %v", tt.heartbeat, tt.election, tt.alone, got, tt.want)
		}
	}
}
