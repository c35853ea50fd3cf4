package loop

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestALevelLetsGoOfWhoHasWhatHeWaitsFor(t *testing.T) {
	var l Level
	ended, end := context.WithCancel(context.Background())
	end()
	if l.Raise(3); l.Wait(ended, 3) != nil || l.At() != 3 {
		t.Error("a level that is reached is waited for")
	}
	if err := l.Wait(ended, 4); !errors.Is(err, context.Canceled) || len(l.waiting) != 0 || l.next.Load() != 0 {
		t.Errorf("a wait that ended: %v, and %d wait", err, len(l.waiting))
	}
	if l.Raise(2); l.At() != 3 {
		t.Error("the level fell")
	}
}

// However raises, waits and ends interleave, nobody is forgotten, and nobody is let go early.
func TestWaitersOfALevel(t *testing.T) {
	var l Level
	const top, waiters = 2000, 200
	var all sync.WaitGroup
	for i := range uint64(waiters) {
		r := rand.New(rand.NewPCG(i, 7))
		all.Go(func() {
			ctx, end := context.WithCancel(context.Background())
			defer end()
			if i%4 == 0 {
				all.Go(end)
			}
			for range 20 {
				n := 1 + r.Uint64N(top)
				if err := l.Wait(ctx, n); err == nil && l.At() < n || err != nil && i%4 != 0 {
					t.Errorf("a wait for %d ended at %d: %v", n, l.At(), err)
				}
			}
		})
	}
	for n := range uint64(top) {
		l.Raise(n + 1)
	}
	all.Wait()
	if len(l.waiting) != 0 || l.next.Load() != 0 {
		t.Errorf("%d still wait, for %d", len(l.waiting), l.next.Load())
	}
}

func TestALevelHoldsOnlySoManyWaiters(t *testing.T) {
	var l Level
	ctx, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range levelLimit {
		w := &levelWaiter{level: math.MaxUint64 - uint64(i), reached: make(chan struct{})}
		if !l.add(w) {
			t.Fatal("turned away too early")
		}
		all.Go(func() {
			<-ctx.Done()
			l.remove(w)
		})
	}
	if err := l.Wait(ctx, 1); !errors.Is(err, ErrCrowded) {
		t.Errorf("one too many: %v", err)
	}
	end()
	all.Wait()
	if len(l.waiting) != 0 {
		t.Errorf("%d still wait", len(l.waiting))
	}
}
