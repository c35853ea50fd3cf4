package main

import (
	"fmt"
	"time"

	"copse/bench/peer"
)

// eventStreams measures what a stream of server-sent events costs, beside a long-poll: memory
// while it is parked, and the time until an event has reached all of them.
func eventStreams(o options, s *peer.Server, r *results) error {
	w, err := dial(s.Address)
	if err != nil {
		return err
	}
	defer w.close()
	kinds := []struct{ name, accept string }{{"long-polls", "*/*"}}
	if s.Kind.IsCopse() {
		kinds = append(kinds, struct{ name, accept string }{"streams of server-sent events", "text/event-stream"})
	}
	for _, kind := range kinds {
		if err := crowdOf(o, s, r, w, kind.name, kind.accept); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return nil
}

func crowdOf(o options, s *peer.Server, r *results, w *wire, name, accept string) error {
	if err := w.put("/watched", "x"); err != nil {
		return err
	}
	time.Sleep(idle)
	before, _, err := memory(s)
	if err != nil {
		return err
	}
	l, err := openLongPolls(s.Address, "/watched", o.n)
	if err != nil {
		return err
	}
	defer l.close()
	l.accept(accept)
	if err := l.park(); err != nil {
		return err
	}
	time.Sleep(idle)
	parked, _, err := memory(s)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("resident memory for each of %d %s", o.n, name), byteCount, (parked-before)/float64(o.n))
	for round := range o.rounds {
		if round > 0 && !l.streams {
			if err := l.park(); err != nil {
				return err
			}
		}
		time.Sleep(100 * time.Millisecond) // the server is done with parking
		l.forget()
		begin := time.Now()
		answered := make(chan error, 1)
		go func() { answered <- w.put("/watched", "x") }()
		if err := l.woken(); err != nil {
			return err
		}
		r.add(fmt.Sprintf("from a PUT to the last of %d %s", o.n, name), millis, time.Since(begin).Seconds())
		if err := <-answered; err != nil {
			return err
		}
	}
	return nil
}
