package loop

import (
	"context"
	"fmt"
)

// Group owns the goroutines of a server's long-lived parts. It starts them in
// the order they were added, stops them in reverse order, and waits for each one
// to finish before it stops the one added before it. The zero Group is ready to
// use.
type Group struct {
	parts []part
}

type part struct {
	name string
	run  func() error
	stop func()
}

// Add appends a part; it must not be called after Run. run blocks until stop is
// called or the part fails. stop must be safe to call at any time, even before
// run has begun, and more than once.
func (g *Group) Add(name string, run func() error, stop func()) {
	g.parts = append(g.parts, part{name: name, run: run, stop: stop})
}

// Run starts every part, waits until ctx is done or a part returns, and then
// stops them all. It returns once every part has returned, with the first error
// any of them gave.
func (g *Group) Run(ctx context.Context) error {
	type ending struct {
		part int
		err  error
	}
	// One slot per part, so that none ever blocks when it reports its end.
	endings := make(chan ending, len(g.parts))
	for i, p := range g.parts {
		go func() { endings <- ending{part: i, err: p.run()} }()
	}

	ended := make([]bool, len(g.parts))
	var first error
	note := func(e ending) {
		ended[e.part] = true
		if e.err != nil && first == nil {
			first = fmt.Errorf("%s: %w", g.parts[e.part].name, e.err)
		}
	}
	select {
	case <-ctx.Done():
	case e := <-endings:
		note(e)
	}
	for i := len(g.parts) - 1; i >= 0; i-- {
		g.parts[i].stop()
		for !ended[i] {
			note(<-endings)
		}
	}
	return first
}
