package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"copse/bench/peer"
)

// soaked has the resources that a server holds at one moment. They have to stay flat however long it
// runs.
type soaked struct {
	at                                time.Duration
	requests                          int64
	memory, files, goroutines, onDisk float64
}

// soak has a server do all kinds of things for a long time: overwrites, reads, keys that
// come and expire, removals, listings, connections that come and go.
func soak(o options, s *peer.Server, r *results) error {
	request := func(w *wire, i int) error { return soakRequest(o, w, i) }
	samples, requests, err := sampled(o, s, max(time.Second, o.duration/300), request, func(at time.Duration, requests int64) (soaked, error) {
		now, err := soakedNow(s)
		now.at, now.requests = at, requests
		return now, err
	})
	if err != nil {
		return err
	}
	r.add("requests", plainNumber, float64(requests))
	for _, q := range soakQuantities {
		for i, part := range slices.Collect(parts(samples, 3)) {
			r.add(fmt.Sprintf("%s, most in third %d", q.name, i+1), q.format, mostOf(part, q.of))
		}
	}
	r.note(soakCurves(r.now, samples))
	return nil
}

// soakRequest is the i-th request of the load: seven of ten overwrite a key.
func soakRequest(o options, w *wire, i int) error {
	key := keyOf(i / 10 % o.n)
	switch i % 10 {
	case 0:
		_, _, err := w.get(key) // it may not be there yet
		return err
	case 1:
		return w.put(fmt.Sprintf("/soak/%d?ttl=5", i%100_000), "v")
	case 2:
		w.out = fmt.Appendf(w.out[:0], "DELETE /v2/keys/soak/%d HTTP/1.1\r\nHost: %s\r\n\r\n", (i-1000)%100_000, w.host)
		_, _, err := w.ask()
		return err
	}
	if i%100_000 == 3 { // another connection from now on
		w.close()
		next, err := dial(w.host)
		if err != nil {
			return err
		}
		*w = *next
	}
	return w.put(key, strings.Repeat("v", o.value))
}

func soakedNow(s *peer.Server) (now soaked, err error) {
	if now.memory, err = resident(s.PID()); err != nil {
		return now, err
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID()))
	if err != nil {
		return now, err
	}
	now.files = float64(len(open))
	counted, err := scrape(s.Address)
	if err != nil {
		return now, err
	}
	now.goroutines = counted["go_goroutines"]
	now.onDisk, err = diskUse(s.DataDir)
	return now, err
}

var soakQuantities = []struct {
	name   string
	format func(float64) string
	of     func(soaked) float64
}{
	{"memory", mebibytes, func(s soaked) float64 { return s.memory }},
	{"open files", plainNumber, func(s soaked) float64 { return s.files }},
	{"goroutines", plainNumber, func(s soaked) float64 { return s.goroutines }},
	{"data directory", mebibytes, func(s soaked) float64 { return s.onDisk }},
}

func plainNumber(v float64) string { return fmt.Sprintf("%.0f", v) }

func mostOf(samples []soaked, of func(soaked) float64) (top float64) {
	for _, s := range samples {
		top = max(top, of(s))
	}
	return top
}

// soakCurves is a table of ten moments.
func soakCurves(name string, samples []soaked) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s over time, the most in each part:\n\n| until | requests |", name)
	for _, q := range soakQuantities {
		fmt.Fprintf(&b, " %s |", q.name)
	}
	b.WriteString("\n| ---: | ---: |" + strings.Repeat(" ---: |", len(soakQuantities)) + "\n")
	for part := range parts(samples, 10) {
		last := part[len(part)-1]
		fmt.Fprintf(&b, "| %.0f s | %d |", last.at.Seconds(), last.requests)
		for _, q := range soakQuantities {
			fmt.Fprintf(&b, " %s |", q.format(mostOf(part, q.of)))
		}
		b.WriteString("\n")
	}
	return b.String()
}
