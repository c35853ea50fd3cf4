package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// reading is the result of one run of a workload on one server.
type reading struct {
	rate     float64 // answers each second
	cpu      float64 // of the server, microseconds for each answer
	client   float64 // of the client, the same
	others   float64 // cores used by everything else on the machine
	memory   float64 // resident, after the run
	p50, p99 float64 // seconds
	p999     float64
	written  float64 // bytes that the server wrote to disk, for each answer
	delays   *hdrhistogram.Histogram
}

// comparison is one workload's readings, by server, one for each round.
type comparison struct {
	workload workload
	readings map[string][]reading
}

// runRequests runs the table: round by round, in a round workload by workload,
// in a workload server by server, so that other work on the machine
// affects all of them alike. Each round has fresh servers.
func runRequests(o requestOptions) ([]*comparison, error) {
	var comparisons []*comparison
	for _, w := range workloads() {
		if o.only.MatchString(w.short) {
			comparisons = append(comparisons, &comparison{workload: w, readings: make(map[string][]reading)})
		}
	}
	if len(comparisons) == 0 {
		return nil, fmt.Errorf("no workload is called %v", o.only)
	}
	for round := range o.rounds {
		if err := runRound(o, round, comparisons); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
	}
	return comparisons, nil
}

func runRound(o requestOptions, round int, comparisons []*comparison) (err error) {
	var field []*target
	defer func() { err = errors.Join(err, closeAll(field)) }()
	many := slices.ContainsFunc(comparisons, func(b *comparison) bool { return b.workload.needsMany() })
	for _, s := range o.servers.all() {
		progress("round %d: start and fill %s", round+1, s.name)
		t, err := launch(s)
		if err != nil {
			return err
		}
		field = append(field, t)
		if err := fillBench(t.address, many); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := t.pause(); err != nil {
			return err
		}
	}
	var bare *target
	if o.limits {
		if bare, err = launchBareLike(field[0]); err != nil {
			return err
		}
		field = append(field, bare)
	}
	for _, b := range comparisons {
		these := field
		if o.limits && b.workload.limit != bareLimit {
			these = field[:len(field)-1]
		}
		if err := b.inTurn(o, round, these); err != nil {
			return err
		}
		if o.limits && b.workload.limit == raftLimit {
			r, err := runRaft(b.workload.connections, o.warm, o.duration)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", b.workload.name, raftName, err)
			}
			b.note(raftName, r)
		}
	}
	return nil
}

// inTurn runs the workload on one server after the other, starting with another one
// in each round.
func (b *comparison) inTurn(o requestOptions, round int, field []*target) error {
	for i := range field {
		t := field[(i+round)%len(field)]
		r, err := runOne(o, b.workload, t)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", b.workload.name, t.name, err)
		}
		b.note(t.name, r)
	}
	return nil
}

func (b *comparison) note(server string, r reading) {
	b.readings[server] = append(b.readings[server], r)
	progress("  %-56s %-15s %9.0f/s  p50 %8s p99 %8s  cpu %6.1f us  client %5.1f us  others %.2f cores",
		b.workload.name, server, r.rate, micros(r.p50), micros(r.p99), r.cpu, r.client, r.others)
}

// runOne runs a workload on one server, which is stopped before and afterwards.
func runOne(o requestOptions, w workload, t *target) (r reading, err error) {
	if err := t.proceed(); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.pause()) }()
	if w.before != nil {
		if err := w.before(t); err != nil {
			return r, err
		}
	}
	c, err := connect(t.address, w.connections, w.depth, w.source(t.address))
	if err != nil {
		return r, err
	}
	defer c.close()
	if w.aside != "" {
		stop, err := startAside(t.address, w.aside)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	warm, measured := w.spans(c, o)
	if _, err := warm(); err != nil {
		return r, err
	}
	c.delay = newDelays()
	before, err := look(t.pid)
	if err != nil {
		return r, err
	}
	took, err := measured()
	if err != nil {
		return r, err
	}
	after, err := look(t.pid)
	if err != nil {
		return r, err
	}
	r = newReading(c.answered, took, after.since(before), c.delay)
	c.delay = nil
	if r.memory, err = resident(t.pid); err != nil {
		return r, err
	}
	return r, c.drain()
}

// spans returns the two parts of a run, the warm-up and the measurement. Each lasts
// for a time or, with w.each, for a number of requests.
func (w workload) spans(c *client, o requestOptions) (warm, measured func() (time.Duration, error)) {
	if w.each == 0 {
		return func() (time.Duration, error) { return c.run(o.warm) },
			func() (time.Duration, error) { return c.run(o.duration) }
	}
	return func() (time.Duration, error) { return c.runUntil(w.each) },
		func() (time.Duration, error) { return c.runUntil(2 * w.each) }
}

func newReading(answered int64, took time.Duration, used usage, delays *hdrhistogram.Histogram) reading {
	n := float64(max(answered, 1))
	at := func(percent float64) float64 { return float64(delays.ValueAtQuantile(percent)) / 1e9 }
	return reading{
		rate:   float64(answered) / took.Seconds(),
		cpu:    used.server.Seconds() * 1e6 / n,
		client: used.client.Seconds() * 1e6 / n,
		others: used.others.Seconds() / took.Seconds(),
		p50:    at(50),
		p99:    at(99),
		p999:   at(99.9),

		written: float64(used.written) / n,
		delays:  delays,
	}
}

// asidePause is the time from the start of one GET aside to the start of the next, so
// that all servers have the same work, however fast they are.
const asidePause = 250 * time.Millisecond

// startAside requests one target repeatedly until stop is called.
func startAside(address, path string) (stop func() error, err error) {
	c, err := connect(address, 1, 1, &prepared{
		requests: [][]byte{getRequest(address, path)},
		pick:     func(int, int64) int { return 0 },
		codes:    []int{200},
	})
	if err != nil {
		return nil, err
	}
	over := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		again := time.NewTicker(asidePause)
		defer again.Stop()
		for n := int64(1); ; n++ {
			if err := c.more(n); err != nil {
				done <- err
				return
			}
			select {
			case <-over:
				done <- nil
				return
			case <-again.C:
			}
		}
	}()
	return func() error {
		close(over)
		err := <-done
		c.close()
		return err
	}, nil
}

// launchBareLike starts the bare handler with one of the server's own answers.
func launchBareLike(t *target) (*target, error) {
	if err := t.proceed(); err != nil {
		return nil, err
	}
	sample, err := rawAnswer(t.address, benchKey(1))
	if err = errors.Join(err, t.pause()); err != nil {
		return nil, fmt.Errorf("a sample for the bare handler: %w", err)
	}
	return launchBare(sample)
}

// rawAnswer is the answer to a GET of the key as sent over the wire.
func rawAnswer(address, key string) (string, error) {
	conn, err := net.DialTimeout("tcp", address, answerLimit)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return "", err
	}
	if _, err := conn.Write(getRequest(address, key)); err != nil {
		return "", err
	}
	var text recorder
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &text)), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	return string(text), nil
}

// recorder keeps everything written to it.
type recorder []byte

func (r *recorder) Write(b []byte) (int, error) {
	*r = append(*r, b...)
	return len(b), nil
}

func (w *workload) needsMany() bool {
	switch w.short {
	case "recursive", "put-quiet", "put-beside":
		return true
	}
	return false
}

func micros(seconds float64) string {
	switch {
	case seconds >= 10e-3:
		return fmt.Sprintf("%.1f ms", seconds*1e3)
	case seconds >= 1e-3:
		return fmt.Sprintf("%.2f ms", seconds*1e3)
	default:
		return fmt.Sprintf("%.0f us", seconds*1e6)
	}
}
