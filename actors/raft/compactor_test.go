package raft

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"copse/actors/loop/looptest"
)

// fakeLog fakes a log to compact and the state machine that applies it.
type fakeLog struct {
	mu           sync.Mutex
	bytes, index uint64
	err          error
	calls        []string
}

func (l *fakeLog) Flush(<-chan struct{}) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, "flush")
	return nil
}

func (l *fakeLog) Compact(shard, overhead uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, fmt.Sprintf("compact shard %d, keep %d", shard, overhead))
	return l.err
}

func (l *fakeLog) compact(shard, overhead uint64) (Request, error) {
	return Request{}, l.Compact(shard, overhead)
}

func (l *fakeLog) AppliedBytes() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

func (l *fakeLog) RaftIndex() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index
}

// apply applies entries, and sets the result of compacting from now on.
func (l *fakeLog) apply(bytes, entries uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes, l.index, l.err = l.bytes+bytes, l.index+entries, err
}

func (l *fakeLog) took() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.calls = nil }()
	return l.calls
}

func TestTheCompactorBoundsTheBytesOfALog(t *testing.T) {
	broken := errors.New("busy")
	type step struct {
		bytes, entries uint64
		err            error
		want           []string
	}
	tests := map[string]struct {
		steps  []step
		atStop []string
	}{
		"little is left alone":        {[]step{{999, 50, nil, nil}}, nil},
		"the limit":                   {[]step{{1000, 50, nil, []string{"flush", "compact shard 3, keep 10"}}}, nil},
		"counted from the last time":  {[]step{{1000, 50, nil, []string{"flush", "compact shard 3, keep 10"}}, {999, 10, nil, nil}, {1, 15, nil, []string{"flush", "compact shard 3, keep 5"}}}, nil},
		"many entries":                {[]step{{1, 59, nil, nil}, {1, 1, nil, []string{"flush", "compact shard 3, keep 12"}}, {1, 59, nil, nil}}, nil},
		"keeps some of a full log":    {[]step{{1, 6000, nil, []string{"flush", "compact shard 3, keep 12"}}}, nil},
		"tried again after a failure": {[]step{{1000, 50, broken, []string{"flush", "compact shard 3, keep 10"}}, {0, 0, nil, []string{"flush", "compact shard 3, keep 10"}}, {0, 0, nil, nil}}, nil},
		"much is left at the stop": {[]step{{1000, 50, nil, []string{"flush", "compact shard 3, keep 10"}}, {999, 1, nil, nil}, {finalBytes, 5, broken, []string{"flush", "compact shard 3, keep 1"}}},
			[]string{"compact shard 3, keep 12"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &fakeLog{}
				c := newCompactor(l, 3, l, 1000, 60, slog.New(slog.DiscardHandler))
				ended := make(chan error, 1)
				go func() { ended <- c.Run() }()
				synctest.Wait()
				for i, s := range tt.steps {
					l.apply(s.bytes, s.entries, s.err)
					time.Sleep(compactEvery)
					synctest.Wait()
					if got := l.took(); !slices.Equal(got, s.want) {
						t.Errorf("step %d: got %q, want %q", i, got, s.want)
					}
				}
				c.Stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if got := l.took(); !slices.Equal(got, tt.atStop) {
					t.Errorf("at the stop: got %q, want %q", got, tt.atStop)
				}
			})
		})
	}
}

// A slow compaction doesn't delay the stop for long.
func TestTheStopWaitsABoundedTimeForTheLastCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLog{}
		c := newCompactor(l, 1, l, 1<<30, 60, slog.New(slog.DiscardHandler))
		go c.Run()
		synctest.Wait()
		l.apply(finalBytes, 1, nil)
		began := time.Now()
		c.Stop()
		if got := l.took(); !slices.Equal(got, []string{"compact shard 1, keep 12"}) || time.Since(began) != finalWait {
			t.Errorf("got %q, stopped after %v", got, time.Since(began))
		}
	})
}

func TestTheCompactorStartsAndStops(t *testing.T) {
	looptest.StartStop(t, func() looptest.Actor {
		l := &fakeLog{}
		return newCompactor(l, 1, l, 1, 1, slog.New(slog.DiscardHandler))
	})
}
