package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"copse/bench/peer"
)

// perDirectory is how many keys share a directory.
const perDirectory = 1000

func keyOf(i int) string { return string(appendKey(nil, i)) }

func appendKey(dst []byte, i int) []byte {
	return fmt.Appendf(dst, "/load/d%04d/k%04d", i/perDirectory, i%perDirectory)
}

// manyKeys measures memory, disk and restart with many keys.
func manyKeys(o options, s *peer.Server, r *results) error {
	value := strings.Repeat("v", o.value)
	begin := time.Now()
	err := spread(s.Address, o.writers, o.n, func(w *wire, i int) error {
		if (i+1)%100_000 == 0 {
			fmt.Fprintf(os.Stderr, "  %d keys after %v\n", i+1, time.Since(begin).Round(time.Second))
		}
		return w.put(keyOf(i), value)
	})
	if err != nil {
		return err
	}
	took := time.Since(begin)
	filled, err := resident(s.PID())
	if err != nil {
		return err
	}
	const settle = 30 * time.Second
	time.Sleep(settle)
	settled, err := resident(s.PID())
	if err != nil {
		return err
	}
	disk, err := diskUse(s.DataDir)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("fill, %d keys of %d bytes over %d connections", o.n, o.value, o.writers), rate, float64(o.n)/took.Seconds())
	r.add("resident memory after the fill", mebibytes, filled)
	r.add(fmt.Sprintf("resident memory after %v more", settle), mebibytes, settled)
	r.add("data directory", mebibytes, disk)

	begin = time.Now()
	if err := s.Stop(); err != nil {
		return err
	}
	r.add("stop by SIGTERM", seconds, time.Since(begin).Seconds())
	first, err := firstAnswer(s, keyOf(o.n/2), value)
	if err != nil {
		return err
	}
	r.add("start to the first answer to a GET of a key", seconds, first.Seconds())
	time.Sleep(idle)
	restarted, err := resident(s.PID())
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("resident memory %v after the restart", idle), mebibytes, restarted)
	return nil
}

// firstAnswer starts the server again and asks for a key until it comes.
func firstAnswer(s *peer.Server, key, value string) (time.Duration, error) {
	begin := time.Now()
	if err := s.Relaunch(); err != nil {
		return 0, err
	}
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		if found(s.Address, key, value) {
			return time.Since(begin), nil
		}
		select {
		case <-s.Done():
			return 0, fmt.Errorf("the restarted server ended: %s", s.LogTail())
		case <-poll.C:
		}
		if time.Since(begin) > 5*time.Minute {
			return 0, fmt.Errorf("no answer after the restart")
		}
	}
}

func found(address, key, value string) bool {
	w, err := dial(address)
	if err != nil {
		return false
	}
	defer w.close()
	status, body, err := w.get(key)
	return err == nil && status == 200 && strings.Contains(body, `"value":"`+value+`"`)
}
