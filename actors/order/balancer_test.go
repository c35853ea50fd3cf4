package order

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"copse/actors/loop/looptest"
	"copse/statemachine"
)

func TestWantedLeader(t *testing.T) {
	voters := map[uint64]bool{9: true, 2: true, 5: true}
	for slot, want := range []uint64{2, 5, 9, 2, 5} {
		if got := WantedLeader(slot, voters); got != want {
			t.Errorf("slot %d: got %d, want %d", slot, got, want)
		}
	}
	if got := WantedLeader(3, nil); got != 0 {
		t.Errorf("without voters: got %d", got)
	}
}

// fakeGroups fakes raft groups with the voters 1, 2 and 3.
type fakeGroups struct {
	leads map[uint64]time.Time // since when this member leads the shard
	lags  map[uint64]bool      // by member
	fails bool                 // transfers have no effect
	calls []string
}

func (g *fakeGroups) Leads(shard uint64) (time.Time, bool) {
	since, leads := g.leads[shard]
	return since, leads
}

func (g *fakeGroups) Voters(uint64) map[uint64]bool {
	return map[uint64]bool{1: true, 2: true, 3: true}
}

func (g *fakeGroups) Ready(_ context.Context, member, _, _ uint64) error {
	if g.lags[member] {
		return errors.New("it lags")
	}
	return nil
}

func (g *fakeGroups) Transfer(_ context.Context, member, shard uint64) bool {
	g.calls = append(g.calls, fmt.Sprintf("%d to %d", shard, member))
	if !g.fails {
		delete(g.leads, shard)
	}
	return !g.fails
}

func TestTheBalancerMovesOneLeaderAtATime(t *testing.T) {
	now := time.Now()
	long := now.Add(-time.Minute)
	g := &fakeGroups{leads: map[uint64]time.Time{}, lags: map[uint64]bool{}}
	b := NewBalancer(1, []uint64{10, 11, 12, 13}, g, slog.New(slog.DiscardHandler))
	expect := func(what string, want ...string) {
		t.Helper()
		b.move(t.Context(), now)
		if !slices.Equal(g.calls, want) {
			t.Errorf("%s: transferred %v, want %v", what, g.calls, want)
		}
		g.calls = nil
	}
	expect("leads nothing")
	for _, shard := range []uint64{10, 11, 12, 13} {
		g.leads[shard] = long
	}
	expect("leads everything", "11 to 2")
	expect("the next", "12 to 3")
	expect("the rest is its own")
	g.leads[11] = now.Add(-time.Second)
	now = now.Add(time.Minute)
	g.leads[11] = now.Add(-time.Second)
	expect("a leader that has just come")
	g.leads[11], g.lags[2] = long, true
	expect("the wanted leader lags")
	g.lags[2], g.fails = false, true
	expect("a transfer that comes to nothing", "11 to 2")
	expect("it is not tried again at once")
	now = now.Add(balanceRetry)
	g.fails = false
	expect("but later", "11 to 2")
}

func TestStartAndStop(t *testing.T) {
	closed := NewClosedIndex(1, 1<<20, nil)
	for name, create := range map[string]func() looptest.Actor{
		"Balancer": func() looptest.Actor {
			return NewBalancer(1, []uint64{10}, &fakeGroups{}, slog.New(slog.DiscardHandler))
		},
		"Spanning": func() looptest.Actor {
			return NewSpanning(SpanningOptions{Closed: closed, Window: 10, Machines: []*statemachine.Machine{}})
		},
	} {
		t.Run(name, func(t *testing.T) { looptest.StartStop(t, create) })
	}
}
