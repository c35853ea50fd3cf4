package main

import (
	"fmt"
	"time"

	"copse/bench/peer"
)

// idle is how long a server is left alone before its memory is read.
const idle = 5 * time.Second

// watchers measures how much memory a parked long-poll costs the server.
func watchers(o options, s *peer.Server, r *results) error {
	w, err := dial(s.Address)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.put("/watched", "x"); err != nil {
		return err
	}
	time.Sleep(idle)
	rss, anon, err := memory(s)
	if err != nil {
		return err
	}
	begin := time.Now()
	l, err := openLongPolls(s.Address, "/watched", o.n)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.park(); err != nil {
		return err
	}
	took := time.Since(begin)
	time.Sleep(idle)
	rssParked, anonParked, err := memory(s)
	if err != nil {
		return err
	}
	r.add("resident memory before", mebibytes, rss)
	r.add(fmt.Sprintf("resident memory with %d parked long-polls, after %v idle", o.n, idle), mebibytes, rssParked)
	r.add("resident memory per watcher", byteCount, (rssParked-rss)/float64(o.n))
	r.add("anonymous memory per watcher", byteCount, (anonParked-anon)/float64(o.n))
	r.add("time to connect and park them all", seconds, took.Seconds())
	// The figure is worthless if they aren't watching.
	if err := w.put("/watched", "y"); err != nil {
		return err
	}
	if err := l.woken(); err != nil {
		return err
	}
	if err := l.park(); err != nil {
		return err
	}
	time.Sleep(idle)
	rssAgain, _, err := memory(s)
	if err != nil {
		return err
	}
	r.add("resident memory per watcher, all woken and parked again", byteCount, (rssAgain-rss)/float64(o.n))
	return nil
}

func memory(s *peer.Server) (rss, anon float64, err error) {
	if rss, err = resident(s.PID()); err != nil {
		return 0, 0, err
	}
	anon, err = anonymous(s.PID())
	return rss, anon, err
}

// watchPut measures how long a PUT takes that wakes all watchers of its
// key, compared with one on a key without watchers, while all are parked.
func watchPut(o options, s *peer.Server, r *results) error {
	w, err := dial(s.Address)
	if err != nil {
		return err
	}
	defer w.close()
	l, err := openLongPolls(s.Address, "/watched", o.n)
	if err != nil {
		return err
	}
	defer l.close()
	for range o.rounds {
		if err := l.park(); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond) // the server is done with parking
		begin := time.Now()
		if err := w.put("/unwatched", "x"); err != nil {
			return err
		}
		r.add(fmt.Sprintf("PUT on an unwatched key, %d watchers elsewhere", o.n), millis, time.Since(begin).Seconds())

		time.Sleep(100 * time.Millisecond)
		begin = time.Now()
		answered := make(chan error, 1)
		var took time.Duration
		go func() {
			err := w.put("/watched", "x")
			took = time.Since(begin)
			answered <- err
		}()
		if err := l.woken(); err != nil {
			return err
		}
		r.add("from that PUT to the last watcher's whole body", millis, time.Since(begin).Seconds())
		if err := <-answered; err != nil {
			return err
		}
		r.add(fmt.Sprintf("PUT on the key with %d watchers, its own answer", o.n), millis, took.Seconds())
	}
	return nil
}
