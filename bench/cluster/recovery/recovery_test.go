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

// What is acknowledged and gone is a loss, whatever the client has given up before.
func TestWhatCameBeforeCoversNothing(t *testing.T) {
	w := &writer{unknown: map[int]bool{3: true}}
	for _, tt := range []struct {
		have, than written
		want       bool
	}{
		{written{3, 9}, written{23, 8}, true},
		{written{3, 7}, written{23, 8}, false}, // 23 was written over it, and is lost
		{written{4, 9}, written{24, 8}, false}, // 4 was acknowledged, or refused
		{written{}, written{23, 8}, false},
	} {
		if got := w.cameLater(tt.have, tt.than); got != tt.want {
			t.Errorf("%v behind %v: %v", tt.have, tt.than, got)
		}
	}
}
