package raft

import (
	"testing"
	"time"
)

func TestTicks(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct{ heartbeat, election, request, want time.Duration }{
		{100 * ms, time.Second, time.Second, 100 * ms},
		{200 * ms, time.Second, time.Second, 100 * ms},
		{150 * ms, 1500 * ms, time.Second, 75 * ms}, // two of them are a heartbeat
		{time.Second, 10 * time.Second, time.Second, 100 * ms},
		{100 * ms, 500 * ms, time.Second, 50 * ms}, // or there would be three lengths of an election
		{25 * ms, 250 * ms, time.Second, 25 * ms},
		{ms, 5 * ms, time.Second, ms},
		{100 * ms, time.Second, 60 * ms, 25 * ms},
		{100 * ms, time.Second, time.Nanosecond, ms}, // whatever is set
	} {
		o := Options{Heartbeat: tt.heartbeat, Election: tt.election, RequestTimeout: tt.request}
		if got := tick(o); got != tt.want {
			t.Errorf("heartbeat %v, election %v: ticks of %v, want %v", tt.heartbeat, tt.election, got, tt.want)
		}
	}
}
