package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copse/bench/peer"
)

// stub is a server that knows one watched key, and nothing of etcd else.
type stub struct {
	mu     sync.Mutex
	wake   chan struct{} // closed by the next PUT
	puts   atomic.Int64
	broken bool // ends a watch without an event
}

func startStub(t *testing.T, broken bool) (*stub, string) {
	s := &stub{wake: make(chan struct{}), broken: broken}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, strings.TrimPrefix(server.URL, "http://")
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPut:
		s.puts.Add(1)
		s.mu.Lock()
		close(s.wake)
		s.wake = make(chan struct{})
		s.mu.Unlock()
		fmt.Fprintln(w, r.FormValue("value"))
	case r.URL.Query().Get("wait") == "true":
		s.mu.Lock()
		wake := s.wake
		s.mu.Unlock()
		w.(http.Flusher).Flush()
		<-wake
		if s.broken {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintln(w, `{"action":"set"}`)
	default:
		http.NotFound(w, r)
	}
}

// All are parked, woken by one PUT, and parked again on the same connections.
func TestLongPollsParksAndWakes(t *testing.T) {
	const n, rounds = 100, 3
	_, address := startStub(t, false)
	l, err := openLongPolls(address, "/watched", n)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	w, err := dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	for range rounds {
		if err := l.park(); err != nil {
			t.Fatal(err)
		}
		if err := w.put("/watched", "x"); err != nil {
			t.Fatal(err)
		}
		if err := l.woken(); err != nil {
			t.Fatal(err)
		}
	}
	for fd, p := range l.parked {
		if !strings.Contains(string(p.answer), `{"action":"set"}`) {
			t.Fatalf("connection %d got %q", fd, p.answer)
		}
	}
}

// A watch that ends without an event must not pass for one that was woken.
func TestLongPollsNoticesBrokenWatch(t *testing.T) {
	_, address := startStub(t, true)
	l, err := openLongPolls(address, "/watched", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	w, err := dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if err := l.park(); err != nil {
		t.Fatal(err)
	}
	if err := w.put("/watched", "x"); err != nil {
		t.Fatal(err)
	}
	if err := l.woken(); err == nil {
		t.Fatal("no error from watches that were cut off")
	}
}

func TestSpreadDoesEachOnceAndEndsAtTheFirstError(t *testing.T) {
	s, address := startStub(t, false)
	if err := spread(address, 7, 1000, func(w *wire, i int) error { return w.put(keyOf(i), "v") }); err != nil {
		t.Fatal(err)
	}
	if got := s.puts.Load(); got != 1000 {
		t.Errorf("got %d writes, want 1000", got)
	}
	wrong := errors.New("wrong")
	err := spread(address, 7, 1000, func(*wire, int) error { return wrong })
	if err != wrong {
		t.Errorf("got %v, want %v", err, wrong)
	}
	err = spread(address, 1, 1, func(w *wire, _ int) error {
		status, _, err := w.get("/missing")
		return fmt.Errorf("status %d, %v", status, err)
	})
	if want := "status 404, <nil>"; err.Error() != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestMarkdownShowsMediansAndRatio(t *testing.T) {
	r := newResults(newLineup(peer.Copse, peer.Etcd35).all())
	r.turn("copse")
	r.add("memory", byteCount, 9, 1, 2)
	r.turn("etcd35")
	r.add("memory", byteCount, 4, 12)
	r.note("a note")
	want := "| median | copse | etcd35 | copse : etcd35 |\n| --- | ---: | ---: | ---: |\n| memory | 2 B | 8 B | 0.25 |\n\na note\n"
	if got := r.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCurveShowsGrowthAndPlateau(t *testing.T) {
	var samples []sample
	for i := range 60 {
		samples = append(samples, sample{time.Duration(i+1) * time.Second, float64(min(i, 30)) * (1 << 20), int64(i)})
	}
	got := curve("copse", samples)
	if want := strings.Repeat("█", 33); !strings.Contains(got, "▁▁▁▁▂▂▂▂") || !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
	if rows := strings.Count(got, "MiB |"); rows != 10 {
		t.Errorf("got %d rows, want 10", rows)
	}
}
