package main

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFailoverMeasures(t *testing.T) {
	if err := run([]string{"failover", "-kills", "1", "-writers", "4", "-server", "etcd34"}); err != nil {
		t.Error(err)
	}
}

func TestJoinMeasures(t *testing.T) {
	if err := run([]string{"join", "-keys", "500", "-rate", "100", "-writers", "4", "-server", "etcd34"}); err != nil {
		t.Error(err)
	}
}

func TestSpread(t *testing.T) {
	var times []time.Duration
	for i := range 20 {
		times = append(times, time.Duration(20-i)*time.Second)
	}
	if got, want := spread(times), "p50 11s, p99 20s, longest 20s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnknownFigure(t *testing.T) {
	if run([]string{"beauty"}) == nil || run(nil) == nil {
		t.Error("measured")
	}
}
