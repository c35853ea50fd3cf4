package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"copse/bench/cluster/fleet"
	"copse/bench/v2api"
)

const (
	dir = "/figures"
	// attemptLimit bounds how long a client waits before it tries another member.
	attemptLimit = time.Second
	// ownKeys is the number of keys of each writer.
	ownKeys = 20
)

// writer writes ever larger numbers to its own keys, through one member after
// another.
type writer struct {
	id     int
	fleet  *fleet.Fleet
	client *http.Client
	member int
	pace   *time.Ticker // nil: as fast as the answers come
	pad    string

	mu      sync.Mutex
	acked   [ownKeys]written // what was acknowledged last, by key
	times   []ack            // since they were last taken
	unknown map[int]bool     // numbers whose outcome nobody told
	total   *atomic.Int64
}

// written is a number, and the index at which it was written.
type written struct {
	number int
	index  uint64
}

// ack is an acknowledged write.
type ack struct{ begin, end time.Time }

func newWriter(f *fleet.Fleet, id int, o options, total *atomic.Int64) *writer {
	return &writer{
		id: id, fleet: f, member: id % len(f.Members), pad: strings.Repeat("v", o.value), total: total,
		unknown: map[int]bool{}, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}},
	}
}

func (w *writer) run(ctx context.Context) {
	defer w.client.CloseIdleConnections()
	for n := 1; ctx.Err() == nil; n++ {
		if w.pace != nil {
			select {
			case <-ctx.Done():
				return
			case <-w.pace.C:
			}
		}
		w.put(n)
	}
}

func (w *writer) put(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptLimit)
	defer cancel()
	r := v2api.Request{Method: http.MethodPut, Key: fmt.Sprintf("%s/w%d/k%d", dir, w.id, n%ownKeys), Value: fmt.Sprintf("%d %s", n, w.pad)}
	begin := time.Now()
	reply, err := v2api.Do(ctx, w.client, w.fleet.Members[w.member].URL, &r)
	end := time.Now()
	outcome, ev, _ := reply.Parse(err)
	if outcome != v2api.Acked {
		if outcome == v2api.Unknown {
			w.mu.Lock()
			w.unknown[n] = true
			w.mu.Unlock()
		}
		w.member = (w.member + 1) % len(w.fleet.Members)
		if end.Sub(begin) < 10*time.Millisecond { // a refused connection fails at once
			time.Sleep(10 * time.Millisecond)
		}
		return
	}
	w.total.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked[n%ownKeys] = written{n, ev.Index()}
	w.times = append(w.times, ack{begin, end})
}

// after returns when the first write that began after a moment was acknowledged.
func (w *writer) after(moment time.Time) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.times {
		if a.begin.After(moment) {
			return a.end, true
		}
	}
	return time.Time{}, false
}

func (w *writer) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times = nil
}

// snapshot returns the numbers acknowledged so far.
func (w *writer) snapshot() [ownKeys]written {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked
}

// startWriters runs the load until the function that it returns is called.
func startWriters(f *fleet.Fleet, o options, rate int) (writers []*writer, total *atomic.Int64, stop func()) {
	total = &atomic.Int64{}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for id := range o.writers {
		w := newWriter(f, id, o, total)
		if rate > 0 {
			w.pace = time.NewTicker(time.Second * time.Duration(o.writers) / time.Duration(rate))
		}
		writers = append(writers, w)
		group.Go(func() { w.run(ctx) })
	}
	return writers, total, func() {
		cancel()
		group.Wait()
		for _, w := range writers {
			if w.pace != nil {
				w.pace.Stop()
			}
		}
	}
}

// cameLater reports whether a write whose outcome nobody told came behind one that the writer sent later.
func (w *writer) cameLater(have written, than written) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unknown[have.number] && have.index > than.index
}

// lost reads all keys, through the log, and counts those whose value is older than what had been
// acknowledged before. One that its client has given up, and that came behind the later one by its index,
// is counted apart; what was there before that is a loss all the same.
func lost(f *fleet.Fleet, member int, writers []*writer) (gone, covered int, err error) {
	before := make([][ownKeys]written, len(writers))
	for i, w := range writers {
		before[i] = w.snapshot()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r := v2api.Request{Method: http.MethodGet, Key: dir, Recursive: true, Quorum: true}
	reply, err := v2api.Do(ctx, v2api.NewClient(nil, 0), f.Members[member].URL, &r)
	outcome, ev, _ := reply.Parse(err)
	if outcome != v2api.Acked {
		return 0, 0, fmt.Errorf("read everything: %v, status %d: %v", outcome, reply.Status, err)
	}
	nodes := map[string]v2api.Node{}
	v2api.Flatten(&ev.Node, nodes)
	for i, numbers := range before {
		for k, want := range numbers {
			node := nodes[fmt.Sprintf("%s/w%d/k%d", dir, i, k)]
			value, _, _ := strings.Cut(node.Value, " ")
			number, _ := strconv.Atoi(value)
			switch have := (written{number, node.Modified}); {
			case number >= want.number:
			case writers[i].cameLater(have, want):
				covered++
			default:
				gone++
			}
		}
	}
	return gone, covered, nil
}

// index is the index in a member's header.
func index(f *fleet.Fleet, member int) uint64 {
	ctx, cancel := context.WithTimeout(context.Background(), attemptLimit)
	defer cancel()
	reply, err := v2api.Do(ctx, v2api.NewClient(nil, 0), f.Members[member].URL, &v2api.Request{Method: http.MethodGet, Key: dir + "/w0/k0"})
	if err != nil {
		return 0
	}
	return reply.Index
}
