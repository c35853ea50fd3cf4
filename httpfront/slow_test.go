package httpfront_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/httpfront"
)

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) lines(t *testing.T) (list []map[string]any) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range strings.Split(strings.TrimSpace(j.text.String()), "\n") {
		var m map[string]any
		if line == "" {
			continue
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		list = append(list, m)
	}
	return list
}

// slowSite is a server to which every request is slow that takes limit.
func slowSite(t *testing.T, limit time.Duration, level slog.Level) (*site, *journal) {
	j := &journal{}
	log := slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: level}))
	return serve(t, httpfront.Options{Requests: httpfront.Requests{SlowRequest: limit}, Log: log}), j
}

func TestSlowRequestsAreLoggedStageByStage(t *testing.T) {
	s, j := slowSite(t, time.Nanosecond, slog.LevelWarn)
	s.backend.queued, s.backend.applied = 5*time.Microsecond, 7*time.Microsecond
	s.send(form("PUT", "/v2/keys/secret", "value=hidden"))
	s.send(get("/v2/keys/secret?recursive=true"))
	s.eventually(func() bool { return len(j.lines(t)) == 2 })
	list := j.lines(t)
	put, read := list[0], list[1]
	for key, want := range map[string]any{
		"level": "WARN", "msg": "slow request", "component": "http", "method": "PUT", "route": "/v2/keys", "code": 201.0,
		"queue_s": 5e-06, "apply_s": 7e-06,
	} {
		if put[key] != want {
			t.Errorf("PUT: %s is %v want %v", key, put[key], want)
		}
	}
	if read["method"] != "GET" || read["code"] != 200.0 || read["size_b"].(float64) < 10 {
		t.Errorf("GET: %v", read)
	}
	for line, keys := range map[*map[string]any][]string{&put: {"dur_s", "parse_s", "write_s", "size_b"}, &read: {"dur_s", "serve_s", "write_s"}} {
		for _, key := range keys {
			if _, ok := (*line)[key].(float64); !ok {
				t.Errorf("no %s in %v", key, *line)
			}
		}
	}
	if text := j.text.String(); strings.Contains(text, "secret") || strings.Contains(text, "hidden") {
		t.Errorf("the log tells what isn't its business:\n%s", text)
	}
}

// TestTheSizeOfASlowAnswerInPartsIsTold: an answer that is printed as it is sent, but whose length is known.
func TestTheSizeOfASlowAnswerInPartsIsTold(t *testing.T) {
	s, j := slowSite(t, time.Nanosecond, slog.LevelWarn)
	const size = 100 << 10
	s.send(form("PUT", "/v2/keys/a", "value="+strings.Repeat("v", size)))
	s.eventually(func() bool { return len(j.lines(t)) == 1 })
	if got, ok := j.lines(t)[0]["size_b"].(float64); !ok || got < size || got > 2*size {
		t.Errorf("got %v", j.lines(t)[0])
	}
}

func TestTheKeyOfASlowRequestIsToldAtDebugOnly(t *testing.T) {
	s, j := slowSite(t, time.Nanosecond, slog.LevelDebug)
	s.send(get("/v2/keys/secret?prevValue=hidden"))
	s.eventually(func() bool { return len(j.lines(t)) >= 1 })
	if line := j.lines(t)[0]; line["path"] != "/v2/keys/secret" {
		t.Errorf("%v", line)
	}
	if text := j.text.String(); strings.Contains(text, "hidden") {
		t.Errorf("the log tells a value:\n%s", text)
	}
}

func TestWhatIsQuickIsNotLogged(t *testing.T) {
	s, j := slowSite(t, time.Hour, slog.LevelWarn)
	s.backend.parts = []string{strings.Repeat("a", 1<<20), "b"} // long enough to be looked at
	s.send(get("/v2/keys/parts"))
	s.send(form("PUT", "/v2/keys/a", "value=1"))
	s.stop()
	if list := j.lines(t); len(list) != 0 {
		t.Errorf("%v", list)
	}
}

func TestASlowClientShowsInTheWriteStage(t *testing.T) {
	const limit = 50 * time.Millisecond
	s, j := slowSite(t, limit, slog.LevelWarn)
	s.backend.parts = []string{strings.Repeat("a", 16<<20), "b\n"}
	c := s.dial()
	began := time.Now()
	if _, err := io.WriteString(c, lines("GET /v2/keys/parts HTTP/1.1", "Host: h", "Connection: close")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	// The client takes nothing until the limit is past; its socket doesn't hold
	// all of the answer.
	s.eventually(func() bool { return time.Since(began) > 2*limit })
	readAll(t, c)
	s.eventually(func() bool { return len(j.lines(t)) == 1 })
	line := j.lines(t)[0]
	if line["write_s"].(float64) < limit.Seconds() {
		t.Errorf("%v", line)
	}
}

func TestManySlowRequestsAreFewLines(t *testing.T) {
	s, j := slowSite(t, time.Nanosecond, slog.LevelWarn)
	const requests = 500
	began := time.Now()
	s.send(strings.Repeat(get("/version"), requests))
	seconds := int(time.Since(began)/time.Second) + 2
	s.stop()
	if n := len(j.lines(t)); n == 0 || n > 10*seconds {
		t.Errorf("%d lines for %d slow requests in %d seconds", n, requests, seconds)
	}
}
