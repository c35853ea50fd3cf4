package main

import (
	"fmt"
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
	var writes atomic.Int64
	var over atomic.Bool
	done := make(chan error, 1)
	begin := time.Now()
	go func() {
		const endless = 1 << 40
		done <- spread(s.Address, o.writers, endless, func(w *wire, i int) error {
			if over.Load() {
				return errOver
			}
			writes.Add(1)
			return w.put(keyOf(i%o.n), value)
		})
	}()
	samples, err := sampleDisk(s, o.duration, begin, &writes, done)
	over.Store(true)
	if err != nil {
		return err
	}
	if err := <-done; err != errOver {
		return err
	}
	thirds := len(samples) / 3
	r.add("writes", func(v float64) string { return fmt.Sprintf("%.0f", v) }, float64(writes.Load()))
	r.add("data directory, most in the first third", mebibytes, most(samples[:thirds]))
	r.add("most in the second third", mebibytes, most(samples[thirds:2*thirds]))
	r.add("most in the last third", mebibytes, most(samples[2*thirds:]))
	r.note(curve(r.now, samples))
	return nil
}

var errOver = fmt.Errorf("the time is over")

func sampleDisk(s *peer.Server, d time.Duration, begin time.Time, writes *atomic.Int64, done <-chan error) ([]sample, error) {
	var samples []sample
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for time.Since(begin) < d {
		select {
		case err := <-done:
			return nil, fmt.Errorf("the writers ended: %w", err)
		case <-tick.C:
		}
		disk, err := diskUse(s.DataDir)
		if err != nil {
			return nil, err
		}
		samples = append(samples, sample{time.Since(begin), disk, writes.Load()})
	}
	if len(samples) < 3 {
		return nil, fmt.Errorf("%v is too short for a curve", d)
	}
	return samples, nil
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
func parts(samples []sample, n int) func(func([]sample) bool) {
	return slices.Chunk(samples, (len(samples)+n-1)/n)
}
