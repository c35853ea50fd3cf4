package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"copse/bench/stores"
)

// peerWork is a row of the table of peers.
type peerWork struct {
	short   string
	workers int // each with a connection of its own, and one request under way
	puts    bool
}

var peerWorks = []peerWork{
	{"get-1", 1, false}, {"get-64", 64, false},
	{"put-1", 1, true}, {"put-64", 64, true}, {"put-256", 256, true},
}

func (w *peerWork) workload() workload {
	name, value := "read one of %d keys, %d connections", 0
	if w.puts {
		name, value = "overwrite one of %d keys, %d connections", valueSize
	}
	return workload{name: fmt.Sprintf(name, perDirectory, w.workers), short: w.short, connections: w.workers, value: value}
}

// peers measures the same work on servers with other APIs, each by a client of its own kind. The
// clients differ in what they cost, and they share the machine: the server's CPU time tells most.
func peers(args []string) error {
	var o requestOptions
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	o.pattern(flags, "short names of the work (get-1, get-64, put-1, put-64, put-256)")
	o.timing(flags, 3, 2*time.Second, 4*time.Second)
	if err := flags.Parse(args); err != nil {
		return err
	}
	var comparisons []*comparison
	var works []peerWork
	for _, w := range peerWorks {
		if o.only.MatchString(w.short) {
			works = append(works, w)
			comparisons = append(comparisons, &comparison{workload: w.workload(), readings: map[string][]reading{}})
		}
	}
	for round := range o.rounds {
		for i := range stores.Kinds {
			kind := &stores.Kinds[(i+round)%len(stores.Kinds)]
			progress("round %d: %s", round+1, kind.Name)
			if err := measureKind(o, kind, works, comparisons); err != nil {
				return fmt.Errorf("round %d: %s: %w", round+1, kind.Name, err)
			}
		}
	}
	fmt.Printf("`go run ./figures peers %s` (%s; commit %s)\n\n%s", strings.Join(args, " "), machine(), commit(), peerTable(comparisons))
	return nil
}

// measureKind starts a server, measures all work on it, and stops it.
func measureKind(o requestOptions, kind *stores.Kind, works []peerWork, comparisons []*comparison) (err error) {
	s, err := kind.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := fillKind(kind, s); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	for i := range works {
		r, err := measureWork(o, kind, s, &works[i])
		if err != nil {
			return fmt.Errorf("%s: %w", works[i].short, err)
		}
		comparisons[i].note(kind.Name, r)
	}
	return nil
}

func peerKey(i int) string { return fmt.Sprintf("k%04d", i) }

var peerValue = bytes.Repeat([]byte("v"), valueSize)

func fillKind(kind *stores.Kind, s *stores.Server) error {
	c, err := kind.Dial(s)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range perDirectory {
		if err := c.Put(peerKey(i), peerValue); err != nil {
			return err
		}
	}
	return nil
}

func measureWork(o requestOptions, kind *stores.Kind, s *stores.Server, w *peerWork) (r reading, err error) {
	var work []func() error
	for range w.workers {
		c, err := kind.Dial(s)
		if err != nil {
			return r, err
		}
		defer c.Close()
		do := func() error { return c.Get(peerKey(rand.IntN(perDirectory))) }
		if w.puts {
			do = func() error { return c.Put(peerKey(rand.IntN(perDirectory)), peerValue) }
		}
		work = append(work, do)
	}
	if _, _, err := workFor(o.warm, work); err != nil {
		return r, err
	}
	before, err := look(s.PID)
	if err != nil {
		return r, err
	}
	n, delays, err := workFor(o.duration, work)
	if err != nil {
		return r, err
	}
	after, err := look(s.PID)
	if err != nil {
		return r, err
	}
	r = newReading(n, o.duration, after.since(before), delays)
	r.memory, err = resident(s.PID)
	return r, err
}

// peerTable has the servers of each work, and the ratios of copse to the others.
func peerTable(comparisons []*comparison) string {
	var t strings.Builder
	t.WriteString(tableHead)
	for _, b := range comparisons {
		name := "**" + b.workload.name + "**"
		for _, kind := range stores.Kinds {
			b.line(&t, name, kind.Name)
			name = ""
		}
		for _, kind := range stores.Kinds[1:] {
			b.compare(&t, stores.Kinds[0].Name, kind.Name)
		}
	}
	return t.String()
}
