package ops_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"copse/httpfront/ops"
	"copse/statemachine/metric"
)

// part is a member and a disk; err is the answer of all checks.
type part struct{ err error }

func (p *part) CheckAlive() error    { return p.err }
func (p *part) CheckLeader() error   { return p.err }
func (p *part) CheckCaughtUp() error { return p.err }
func (p *part) CheckReserve() error  { return p.err }
func (p *part) CheckSame() error     { return p.err }
func (p *part) Summary() string      { return "a summary" }

func TestProbesFollowTheServersLife(t *testing.T) {
	s := ops.NewStatus(func(w *metric.Writer) { w.Counter("always_total", "A.", 1) })
	expect := func(when string, live, ready, healthy bool, why string) {
		t.Helper()
		ok, body := s.Live().Answer("livez", nil)
		if ok != live {
			t.Errorf("%s: alive %v, %s", when, ok, body)
		}
		if ok, body = s.Ready().Answer("readyz", url.Values{"verbose": {""}}); ok != ready || !strings.Contains(body, why) {
			t.Errorf("%s: ready %v, want %q in %s", when, ok, why, body)
		}
		if s.Healthy() != healthy {
			t.Errorf("%s: healthy %v", when, !healthy)
		}
	}
	expect("at the start", true, false, false, "[-]started failed: the member is starting\n")
	s.WaitFor("patience")
	expect("while it waits", true, false, false, "[-]started failed: patience\n")
	p := &part{}
	healthy := true
	s.Watch(&ops.Parts{Member: p, Disk: p, Healthy: func() bool { return healthy }, Metrics: []func(*metric.Writer){func(w *metric.Writer) { w.Counter("part_total", "P.", 1) }}})
	expect("with parts", true, false, false, "[-]started failed: the member hasn't caught up")
	s.Serving()
	expect("while it serves", true, true, true, "[+]started ok\n")
	healthy = false
	expect("without a quorum", true, true, false, "")
	healthy = true
	p.err = errors.New("it is broken")
	expect("when all is broken", false, false, true, "[-]caught-up failed: it is broken\n")
	p.err = nil

	ctx, cancel := context.WithCancel(context.Background())
	var run func() error
	var stop func()
	s.AddDrain(ctx, time.Hour, func(_ string, r func() error, st func()) { run, stop = r, st })
	ended := make(chan error, 1)
	go func() { ended <- run() }()
	cancel()
	late := time.After(time.Minute)
	for ready := true; ready; {
		ready, _ = s.Ready().Answer("readyz", nil)
		select {
		case <-late:
			t.Fatal("a server that drains is ready")
		case <-time.After(time.Millisecond):
		}
	}
	expect("while it drains", true, false, true, "[-]draining failed: the server is about to stop\n")
	stop()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var w metric.Writer
	s.Scrape(&w)
	for _, name := range []string{"always_total 1", "part_total 1", "process_"} {
		if !strings.Contains(string(w.Bytes()), name) {
			t.Errorf("a scrape lacks %s", name)
		}
	}
}
