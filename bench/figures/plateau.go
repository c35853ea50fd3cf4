package main

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"copse/bench/peer"
)

// sample is the size of the data directory at one moment.
type sample struct {
	at     time.Duration
	disk   float64
	writes int64
}

// plateau overwrites the same keys all the time, and samples the disk usage.
func plateau(o options, s *peer.Server, r *results) error {
	value := strings.Repeat("v", o.value)
	put := func(w *wire, i int) error { return w.put(keyOf(i%o.n), value) }
	samples, writes, err := sampled(o, s, time.Second, put, func(at time.Duration, writes int64) (sample, error) {
		disk, err := diskUse(s.DataDir)
		return sample{at, disk, writes}, err
	})
	if err != nil {
		return err
	}
	thirds := len(samples) / 3
	r.add("writes", plainNumber, float64(writes))
	r.add("data directory, most in the first third", mebibytes, most(samples[:thirds]))
	r.add("most in the second third", mebibytes, most(samples[thirds:2*thirds]))
	r.add("most in the last third", mebibytes, most(samples[2*thirds:]))
	r.note(curve(r.now, samples))
	return nil
}

var errOver = fmt.Errorf("the time is over")

// sampled puts the server under a load for o.duration, and looks at it every so often. It returns
// what it has seen, and the number of requests. The clients have ended when it returns.
func sampled[T any](o options, s *peer.Server, every time.Duration, request func(w *wire, i int) error, look func(at time.Duration, requests int64) (T, error)) (samples []T, total int64, err error) {
	var requests atomic.Int64
	var over atomic.Bool
	done := make(chan error, 1)
	go func() {
		const endless = 1 << 40
		done <- spread(s.Address, o.writers, endless, func(w *wire, i int) error {
			if over.Load() {
				return errOver
			}
			requests.Add(1)
			return request(w, i)
		})
	}()
	begin := time.Now()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for time.Since(begin) < o.duration {
		select {
		case err := <-done:
			return nil, 0, fmt.Errorf("the clients ended: %w", err)
		case <-tick.C:
		}
		var now T
		if now, err = look(time.Since(begin), requests.Load()); err != nil {
			break
		}
		samples = append(samples, now)
	}
	over.Store(true)
	if ended := <-done; err == nil && ended != errOver {
		err = ended
	}
	if err == nil && len(samples) < 3 {
		err = fmt.Errorf("%v is too short for a curve", o.duration)
	}
	return samples, requests.Load(), err
}

func most(samples []sample) float64 {
	var top float64
	for _, s := range samples {
		top = max(top, s.disk)
	}
	return top
}

// curve draws the samples as a line of blocks and a table of ten rows.
func curve(name string, samples []sample) string {
	const width, rows = 60, 10
	blocks := []rune("▁▂▃▄▅▆▇█")
	top := most(samples)
	var line strings.Builder
	for part := range parts(samples, width) {
		line.WriteRune(blocks[min(len(blocks)-1, int(most(part)/top*float64(len(blocks))))])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, data directory over time, full height %s:\n\n    %s\n\n| time | writes | data directory |\n| ---: | ---: | ---: |\n",
		name, mebibytes(top), line.String())
	for part := range parts(samples, rows) {
		last := part[len(part)-1]
		fmt.Fprintf(&b, "| %.0f s | %d | %s |\n", last.at.Seconds(), last.writes, mebibytes(last.disk))
	}
	return b.String()
}

// parts cuts samples into at most n of about the same length.
func parts[T any](samples []T, n int) iter.Seq[[]T] {
	return slices.Chunk(samples, (len(samples)+n-1)/n)
}
