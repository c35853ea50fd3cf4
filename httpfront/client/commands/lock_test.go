package commands

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"copse/httpfront/client/v2"
)

func TestALockThatCannotBeHadSaysWhy(t *testing.T) {
	nobody := "http://127.0.0.1:1"
	noAPI, _ := answers(t, http.NotFound)
	page, _ := answers(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>") })
	held, _ := answers(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet:
			w.WriteHeader(http.StatusPreconditionFailed)
			fmt.Fprint(w, `{"errorCode":105,"message":"Key already exists","cause":"/k","index":3}`)
		case r.FormValue("wait") == "true":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			fmt.Fprint(w, `{"action":"get","node":{"key":"/k","value":"other","createdIndex":3,"modifiedIndex":3}}`)
		}
	})
	silent, _ := answers(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			_ = r.ParseForm() // so that the end of the connection is noticed
			<-r.Context().Done()
		}
	})
	for _, tt := range []struct {
		endpoint, flags string
		code            int
		want            []string // lines
	}{
		{nobody, "--wait=100ms", exitNoLock, []string{"No lock on /k yet, and it is tried again: no server answers; ", "no lock on /k: not within 100ms: no server answers; error #0: dial tcp"}},
		{noAPI, "--wait=1m", exitNoLock, []string{"no lock on /k: 404 Not Found"}},
		{page, "--wait=1m", exitNoLock, []string{"no lock on /k: the answer isn't one of the v2 API"}},
		{held, "--wait=100ms", exitNoLock, []string{"no lock on /k: another has had it for 100ms"}},
		{silent, "--wait=100ms", exitNoLock, []string{"no lock on /k: no server has answered within 100ms"}},
		{nobody, "--ttl=10000000000", exitUsage, []string{"--ttl must be at least 2 seconds, as the lock is refreshed in between, and at most 31536000"}},
		{nobody, "--ttl=1", exitUsage, []string{"--ttl must be at least 2 seconds"}},
	} {
		code, stdout, stderr := perform(t, "", tt.endpoint, "lock "+tt.flags+" /k true")
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		if code != tt.code || stdout != "" || len(lines) != len(tt.want) {
			t.Errorf("%s: exit code %d\n%s%s", tt.want, code, stdout, stderr)
			continue
		}
		for i, want := range tt.want {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("said %q, want %q", lines[i], want)
			}
		}
	}
}

// What the lock protects has ended when the next holder may have it.
func TestALockIsGivenUpBeforeItExpires(t *testing.T) {
	hangs, _ := answers(t, func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		<-r.Context().Done()
	})
	c, err := v2.New(v2.Options{Endpoints: []string{hangs}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const ttl = 2 * time.Second
	l := &lease{client: c, key: "/k", ttl: ttl, until: time.Now().Add(ttl)}
	if err := l.keep(t.Context()); !errors.Is(err, errLost) || time.Now().After(l.until) {
		t.Errorf("%v, %v before the end", err, time.Until(l.until))
	}
}
