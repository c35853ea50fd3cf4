package actors

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Group owns the goroutines of the long-lived parts of a server: it starts
// them in the order of Add, stops them in the reverse order, and waits for
// each before it stops the one below. The zero Group is ready to use.
type Group struct {
	members []member
}

type member struct {
	name string
	run  func() error
	stop func()
}

// Add appends a part, before Run. run works until stop is called or
// something goes wrong; stop may be called at any moment, also before run, and
// more than once.
func (g *Group) Add(name string, run func() error, stop func()) {
	g.members = append(g.members, member{name: name, run: run, stop: stop})
}

// Run starts every part, waits until ctx is done or a part returns, and stops
// them all. It returns when every part has, with the first error that one gave.
func (g *Group) Run(ctx context.Context) error {
	type ending struct {
		member int
		err    error
	}
	// One slot for each part: none of them ever waits to report its end.
	endings := make(chan ending, len(g.members))
	for i, m := range g.members {
		go func() { endings <- ending{member: i, err: m.run()} }()
	}

	ended := make([]bool, len(g.members))
	var first error
	note := func(e ending) {
		ended[e.member] = true
		if e.err != nil && first == nil {
			first = fmt.Errorf("%s: %w", g.members[e.member].name, e.err)
		}
	}
	select {
	case <-ctx.Done():
	case e := <-endings:
		note(e)
	}
	for i := len(g.members) - 1; i >= 0; i-- {
		g.members[i].stop()
		for !ended[i] {
			note(<-endings)
		}
	}
	return first
}

// life is the beginning and the end of one actor's loop. It makes Stop
// idempotent, legal before the start, and return only after the loop has.
type life struct {
	stop chan struct{} // closed: the loop shall end
	done chan struct{} // closed: the loop has ended, or will never begin

	begun atomic.Bool // whoever sets it closes done
	ask   sync.Once   // closes stop
}

func newLife() life {
	return life{stop: make(chan struct{}), done: make(chan struct{})}
}

// begin reports whether the loop may run. It may once, and not after halt; a
// loop that may run calls end when it is through.
func (l *life) begin() bool { return l.begun.CompareAndSwap(false, true) }

func (l *life) end() { close(l.done) }

// halt asks the loop to end and waits until it has.
func (l *life) halt() {
	l.ask.Do(func() { close(l.stop) })
	if l.begin() {
		l.end()
	}
	<-l.done
}

// halting reports whether halt has been called.
func (l *life) halting() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}
