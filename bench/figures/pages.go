package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"copse/bench/peer"
)

// pages measures reads of 1,000 keys: a whole directory of as many, and pages of a directory of -n. A server
// without pages has to send all of it.
func pages(o options, s *peer.Server, r *results) error {
	const few, many, page = "/pages/few", "/pages/many", perDirectory
	value := strings.Repeat("v", o.value)
	for dir, n := range map[string]int{few: page, many: o.n} {
		err := spread(s.Address, o.writers, n, func(w *wire, i int) error { return w.put(pageKey(dir, i), value) })
		if err != nil {
			return fmt.Errorf("fill %s: %w", dir, err)
		}
	}
	reads := []struct{ name, target string }{{fmt.Sprintf("all of a directory of %d", page), few}}
	if s.Kind.IsCopse() {
		middle := pageKey(many, o.n/2)
		reads = append(reads, []struct{ name, target string }{
			{fmt.Sprintf("a page of %d of a directory of %d", page, page), few + fmt.Sprintf("?limit=%d", page)},
			{fmt.Sprintf("the first page of %d of a directory of %d", page, o.n), many + fmt.Sprintf("?limit=%d", page)},
			{fmt.Sprintf("a page of %d from the middle of a directory of %d", page, o.n), many + fmt.Sprintf("?limit=%d&after=%s", page, middle)},
		}...)
	}
	reads = append(reads, struct{ name, target string }{fmt.Sprintf("all of a directory of %d", o.n), many})
	for _, read := range reads {
		before, err := cpuTime(s.PID())
		if err != nil {
			return err
		}
		for range o.rounds {
			begin := time.Now()
			if err := readAll(s.Address, read.target); err != nil {
				return fmt.Errorf("%s: %w", read.name, err)
			}
			r.add(read.name, millis, time.Since(begin).Seconds())
		}
		after, err := cpuTime(s.PID())
		if err != nil {
			return err
		}
		r.add(read.name+", CPU time of the server", millis, (after-before).Seconds()/float64(o.rounds))
	}
	return nil
}

func pageKey(dir string, i int) string { return fmt.Sprintf("%s/k%07d", dir, i) }

// readAll reads an answer to its end.
func readAll(address, target string) error {
	answer, err := http.Get("http://" + address + "/v2/keys" + target)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}
