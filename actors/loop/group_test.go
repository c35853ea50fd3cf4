package loop_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"copse/actors/loop"
)

// part is a member of a group that notes what happens to it.
type part struct {
	name  string
	log   *journal
	stop  chan struct{}
	once  sync.Once
	fails error // run returns it at once
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func newPart(name string, log *journal) *part {
	return &part{name: name, log: log, stop: make(chan struct{})}
}

func (p *part) run() error {
	if p.fails == nil {
		<-p.stop
	}
	p.log.add("end " + p.name)
	return p.fails
}

func (p *part) halt() {
	p.once.Do(func() {
		p.log.add("stop " + p.name)
		close(p.stop)
	})
}

func TestGroupStopsInReverseOrderAndAwaitsEach(t *testing.T) {
	var log journal
	var g loop.Group
	for _, name := range []string{"a", "b", "c"} {
		p := newPart(name, &log)
		g.Add(name, p.run, p.halt)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Run(ctx); err != nil {
		t.Errorf("Run: got %v, want no error", err)
	}
	want := []string{"stop c", "end c", "stop b", "end b", "stop a", "end a"}
	if !slices.Equal(log.lines, want) {
		t.Errorf("order: got %v, want %v", log.lines, want)
	}
}

func TestGroupEndsWhenOnePartFails(t *testing.T) {
	var log journal
	var g loop.Group
	cause := errors.New("no disk")
	a, b, c := newPart("a", &log), newPart("b", &log), newPart("c", &log)
	b.fails = cause
	for _, p := range []*part{a, b, c} {
		g.Add(p.name, p.run, p.halt)
	}
	err := g.Run(context.Background())
	if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "b: ") {
		t.Errorf("Run: got %q, want %q with the part's name before it", err, cause)
	}
	want := []string{"end b", "stop c", "end c", "stop b", "stop a", "end a"}
	if !slices.Equal(log.lines, want) {
		t.Errorf("order: got %v, want %v", log.lines, want)
	}
}

func TestGroupKeepsTheErrorOfAPartThatFailsWhileStopping(t *testing.T) {
	cause := errors.New("no disk")
	var g loop.Group
	stop := make(chan struct{})
	g.Add("a", func() error { <-stop; return cause }, func() { close(stop) })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Run(ctx); !errors.Is(err, cause) {
		t.Errorf("Run: got %v, want %v", err, cause)
	}
}

func TestEmptyGroupWaitsForItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var g loop.Group
	go func() { done <- g.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: got %v, want no error", err)
	}
}
