package httpfront_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"copse/httpfront"
)

// stalledLog is a log that nobody reads until it is released.
type stalledLog struct {
	journal
	released chan struct{}
}

func (l *stalledLog) Write(p []byte) (int, error) {
	<-l.released
	return l.journal.Write(p)
}

// TestALogThatNobodyReadsKeepsNobodyWaiting has every request logged: as slow, and for its body.
func TestALogThatNobodyReadsKeepsNobodyWaiting(t *testing.T) {
	j := &stalledLog{released: make(chan struct{})}
	s := serve(t, httpfront.Options{Requests: httpfront.Requests{SlowRequest: time.Nanosecond}, Log: slog.New(slog.NewJSONHandler(j, nil))})
	released := false
	release := func() {
		if !released {
			released = true
			close(j.released)
		}
	}
	defer release() // else the server couldn't stop
	put := strings.Replace(form("PUT", "/v2/keys/a", `{"value":1}`), "application/x-www-form-urlencoded", "application/json", 1)
	for _, text := range []string{put, get("/v2/keys/a"), get("/v2/keys/a?quorum=true"), get("/version"), get("/v2/members")} {
		c := s.dial()
		for range 20 {
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
		}
		wantAnswers(t, bufio.NewReader(c), 20)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.server.Stop(ctx); err != context.Canceled {
		t.Errorf("stopped, with %v, before the log was written", err)
	}
	release()
	if err := s.server.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	text := j.text.String()
	for _, want := range []string{`"component":"http"`, "slow request", "isn't a form"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the log:\n%s", want, text)
		}
	}
}
