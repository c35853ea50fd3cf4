package loop

import (
	"context"
	"sync"
	"sync/atomic"
)

// Life tracks the start and the end of an actor's loop. It makes the actor's Stop
// idempotent, safe before the start, and blocking until the loop has returned.
//
//	func (a *Actor) Run() error {
//		if !a.life.Begin() {
//			return nil
//		}
//		defer a.life.End()
//		...
//	}
//
//	func (a *Actor) Stop() { a.life.Halt() }
type Life struct {
	stopping chan struct{} // closed: the loop has to return
	done     chan struct{} // closed: the loop has returned, or will never run

	begun atomic.Bool // whoever sets it closes done
	ask   sync.Once   // closes stopping
}

// NewLife returns the Life of an actor that has not been started yet.
func NewLife() Life {
	return Life{stopping: make(chan struct{}), done: make(chan struct{})}
}

// Begin reports whether the loop may run: only once, and not after Halt. If it
// may, the loop must call End before it returns.
func (l *Life) Begin() bool { return l.begun.CompareAndSwap(false, true) }

// End records that the loop has returned.
func (l *Life) End() { close(l.done) }

// Halt asks the loop to return and waits until it has.
func (l *Life) Halt() {
	l.ask.Do(func() { close(l.stopping) })
	if l.Begin() {
		l.End()
	}
	<-l.done
}

// Stopping is closed once Halt has been called.
func (l *Life) Stopping() <-chan struct{} { return l.stopping }

// Done is closed once the loop has returned, or can no longer be started.
func (l *Life) Done() <-chan struct{} { return l.done }

// Context returns a context that is done once Halt has been called, for what the loop asks
// others to do. The loop calls end before it returns.
func (l *Life) Context() (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-l.stopping:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel()
		watch.Wait()
	}
}

// Halting reports whether Halt has been called.
func (l *Life) Halting() bool {
	select {
	case <-l.stopping:
		return true
	default:
		return false
	}
}
