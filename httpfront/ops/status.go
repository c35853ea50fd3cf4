package ops

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"copse/statemachine/metric"
)

// Status knows how far a server has come, from its start to its end, and answers
// probes from it. It exists before the parts of the server do. Its methods may be
// called from any goroutine.
type Status struct {
	waits    atomic.Pointer[string] // why clients aren't served yet; nil once they are
	parts    atomic.Pointer[Parts]  // nil until they exist
	draining atomic.Bool
	always   []func(*metric.Writer)
	service  atomic.Pointer[service] // nil: there is no service manager
	news     chan struct{}           // capacity 1; rings when waits or draining have changed
}

// Parts are the parts of a running server that probes and scrapes ask.
type Parts struct {
	Member interface {
		CheckAlive() error
		CheckLeader() error
		CheckCaughtUp() error
		CheckSame() error
		Summary() string // leader and index, in a line
	}
	Disk interface {
		CheckAlive() error
		CheckReserve() error
	}
	Healthy func() bool            // what /health says of a server that serves
	Metrics []func(*metric.Writer) // write what each part counts
}

// NewStatus returns the Status of a server that has just begun to start. A scrape
// has the metrics that always write even before there are parts.
func NewStatus(always ...func(*metric.Writer)) *Status {
	s := &Status{always: always, news: make(chan struct{}, 1)}
	s.WaitFor("the member is starting")
	return s
}

// WaitFor records what the start waits for, in words for an operator.
func (s *Status) WaitFor(what string) {
	s.waits.Store(&what)
	s.ring()
}

// Serving records that clients are served from now on.
func (s *Status) Serving() {
	s.waits.Store(nil)
	s.ring()
}

func (s *Status) ring() {
	select {
	case s.news <- struct{}{}:
	default: // it rings already
	}
}

// Watch makes probes and scrapes ask the parts from now on. The start then waits for
// the member to catch up.
func (s *Status) Watch(p *Parts) {
	s.parts.Store(p)
	s.WaitFor("the member hasn't caught up with its cluster yet")
}

// Live are the checks of /livez. A part that doesn't exist yet is no reason to kill
// the server.
func (s *Status) Live() Checks {
	return Checks{
		{Name: "disk", Ok: s.ask(nil, func(p *Parts) error { return p.Disk.CheckAlive() })},
		{Name: "apply", Ok: s.ask(nil, func(p *Parts) error { return p.Member.CheckAlive() })},
	}
}

// Ready are the checks of /readyz.
func (s *Status) Ready() Checks {
	absent := errors.New("it doesn't run yet")
	return Checks{
		{Name: "started", Ok: func() error {
			if why := s.waits.Load(); why != nil {
				return errors.New(*why)
			}
			return nil
		}},
		{Name: "leader", Ok: s.ask(absent, func(p *Parts) error { return p.Member.CheckLeader() })},
		{Name: "caught-up", Ok: s.ask(absent, func(p *Parts) error { return p.Member.CheckCaughtUp() })},
		{Name: "same-data", Ok: s.ask(absent, func(p *Parts) error { return p.Member.CheckSame() })},
		{Name: "disk-reserve", Ok: s.ask(absent, func(p *Parts) error { return p.Disk.CheckReserve() })},
		{Name: "draining", Ok: func() error {
			if s.draining.Load() {
				return errors.New("the server is about to stop")
			}
			return nil
		}},
	}
}

// ask makes a check of the parts, which gives absent while there are none.
func (s *Status) ask(absent error, check func(*Parts) error) func() error {
	return func() error {
		if p := s.parts.Load(); p != nil {
			return check(p)
		}
		return absent
	}
}

// Healthy is the answer to /health.
func (s *Status) Healthy() bool {
	p := s.parts.Load()
	return p != nil && s.waits.Load() == nil && p.Healthy()
}

// Scrape writes every metric of the process.
func (s *Status) Scrape(w *metric.Writer) {
	for _, write := range s.always {
		write(w)
	}
	if p := s.parts.Load(); p != nil {
		for _, write := range p.Metrics {
			write(w)
		}
	}
	metric.WriteProcess(w)
}

// AddDrain adds a part to a group that ends, and so ends the group, when ctx does and
// the delay has passed. In between /readyz fails, for load balancers to notice.
func (s *Status) AddDrain(ctx context.Context, delay time.Duration, add func(name string, run func() error, stop func())) {
	end := make(chan struct{})
	add("drain", func() error {
		select {
		case <-ctx.Done():
		case <-end:
			return nil
		}
		s.draining.Store(true)
		s.ring()
		late := time.NewTimer(delay)
		defer late.Stop()
		select {
		case <-late.C:
		case <-end:
		}
		return nil
	}, sync.OnceFunc(func() { close(end) }))
}
