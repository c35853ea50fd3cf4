package main

import (
	"fmt"
	"time"

	"copse/bench/peer"
)

// eventStreams measures what a stream costs, of server-sent events or as v2 has them, beside a long-poll: memory
// while it is parked, and the time until an event has reached all of them.
func eventStreams(o options, s *peer.Server, r *results) error {
	w, err := dial(s.Address)
	if err != nil {
		return err
	}
	defer w.close()
	type kind struct {
		name   string
		choose func(*longPolls)
	}
	kinds := []kind{{"long-polls", func(*longPolls) {}}, {"streams (stream=true)", (*longPolls).stream}}
	if s.Kind.IsCopse() {
		kinds = append(kinds, kind{"streams of server-sent events", (*longPolls).serverSent})
	}
	for _, kind := range kinds {
		if err := crowdOf(o, s, r, w, kind.name, kind.choose); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return nil
}

func crowdOf(o options, s *peer.Server, r *results, w *wire, name string, choose func(*longPolls)) error {
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
	choose(l)
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
