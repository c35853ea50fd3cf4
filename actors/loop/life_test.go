package loop_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"copse/actors/loop"
	"copse/actors/loop/looptest"
)

// idler is the smallest actor.
type idler struct {
	life  loop.Life
	ended atomic.Bool // its loop has returned
}

func newIdler() *idler { return &idler{life: loop.NewLife()} }

func (a *idler) Run() error {
	if !a.life.Begin() {
		return nil
	}
	defer a.life.End()
	defer a.ended.Store(true)
	<-a.life.Stopping()
	return nil
}

func (a *idler) Stop() { a.life.Halt() }

func TestAnActorStartsAndStops(t *testing.T) {
	looptest.StartStop(t, func() looptest.Actor { return newIdler() })
}

func TestHaltWaitsForTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newIdler()
		go a.Run()
		synctest.Wait() // the loop waits for the stop
		for range 8 {
			go func() {
				a.Stop()
				if !a.ended.Load() {
					t.Error("Stop returned before the loop did")
				}
			}()
		}
		synctest.Wait()
		if !a.life.Halting() {
			t.Error("Halting: got false after Halt")
		}
		select {
		case <-a.life.Done():
		default:
			t.Error("Done is open after Halt")
		}
	})
}

func TestABellWakesOnceHoweverOftenItRings(t *testing.T) {
	bell := loop.NewBell()
	bell.Ring()
	bell.Ring()
	<-bell
	select {
	case <-bell:
		t.Error("the bell rang twice")
	default:
	}
}

func TestTheContextOfALoopEndsWithHaltOrTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, halt := range []bool{true, false} {
			life := loop.NewLife()
			life.Begin()
			ctx, end := life.Context()
			if ctx.Err() != nil {
				t.Error("done at once")
			}
			if halt {
				go life.Halt()
				<-ctx.Done()
			}
			end() // its goroutine ends, or synctest fails
			if ctx.Err() == nil {
				t.Errorf("halt %v: not done", halt)
			}
			life.End()
		}
	})
}
