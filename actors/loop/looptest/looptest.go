package looptest

import (
	"sync"
	"testing"
)

// Actor is what a loop.Group runs.
type Actor interface {
	// Run blocks until Stop, or until the actor fails.
	Run() error
	// Stop makes Run return and waits until it has.
	Stop()
}

const (
	rounds     = 20 // actors that are started and stopped concurrently
	goroutines = 8  // that start, and as many that stop, one actor
)

// StartStop checks the life cycle of the actors that create returns, a new one
// from each call: Stop before Run is legal and keeps the loop from running; Stop
// may be called again; Run after Stop returns at once; and many goroutines may
// start and stop one actor. A Stop that hangs, or a Run that ignores Stop, hangs
// the test. That Stop waits for the loop is tested once, for loop.Life.
func StartStop(t *testing.T, create func() Actor) {
	t.Helper()
	t.Run("stopped before it is started", func(t *testing.T) {
		a := create()
		a.Stop()
		a.Stop()
		if err := a.Run(); err != nil {
			t.Errorf("Run after Stop: got %v, want no error", err)
		}
	})
	t.Run("stopped again after it has run", func(t *testing.T) {
		a := create()
		ended := run(t, a)
		a.Stop()
		<-ended
		a.Stop()
	})
	t.Run("started and stopped by many goroutines", func(t *testing.T) {
		for range rounds {
			contend(t, create())
		}
	})
}

// run starts a and returns a channel that is closed when Run has returned.
func run(t *testing.T, a Actor) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := a.Run(); err != nil {
			t.Errorf("Run: got %v, want no error", err)
		}
	}()
	return ended
}

// contend has many goroutines start and stop a at the same time.
func contend(t *testing.T, a Actor) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for range goroutines {
		all.Go(func() {
			<-start
			if err := a.Run(); err != nil {
				t.Errorf("Run: got %v, want no error", err)
			}
		})
		all.Go(func() {
			<-start
			a.Stop()
		})
	}
	close(start)
	all.Wait()
}
