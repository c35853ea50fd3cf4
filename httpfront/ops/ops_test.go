package ops_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"copse/httpfront/ops"
	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// well and ill are checks.
func well(name string) ops.Check { return ops.Check{Name: name, Ok: func() error { return nil }} }

func ill(name, why string) ops.Check {
	return ops.Check{Name: name, Ok: func() error { return errors.New(why) }}
}

func TestChecksAnswerLikeKubernetes(t *testing.T) {
	for name, c := range map[string]struct {
		checks ops.Checks
		query  string
		ok     bool
		body   string
	}{
		"all is well":   {ops.Checks{well("a"), well("b")}, "", true, "ok"},
		"nothing to do": {nil, "", true, "ok"},
		"verbose":       {ops.Checks{well("a"), well("b")}, "verbose", true, "[+]a ok\n[+]b ok\nreadyz check passed\n"},
		"something is wrong": {ops.Checks{well("a"), ill("b", "it is late")}, "", false,
			"[+]a ok\n[-]b failed: it is late\nreadyz check failed\n"},
		"it is excluded": {ops.Checks{well("a"), ill("b", "it is late")}, "exclude=b", true, "ok"},
		"it is excluded, and verbose": {ops.Checks{ill("b", "it is late"), well("a")}, "exclude=b&verbose=1", true,
			"[+]b excluded: ok\n[+]a ok\nreadyz check passed\n"},
		"two are excluded": {ops.Checks{ill("b", "late"), ill("a", "early")}, "exclude=b&exclude=a", true, "ok"},
		"what doesn't exist is excluded": {ops.Checks{ill("b", "it is late")}, "exclude=x", false,
			"[-]b failed: it is late\nwarn: there is no check \"x\" to exclude\nreadyz check failed\n"},
	} {
		query, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		if ok, body := c.checks.Answer("readyz", query); ok != c.ok || body != c.body {
			t.Errorf("%s: got %v %q want %v %q", name, ok, body, c.ok, c.body)
		}
	}
}

// port serves o on a port until the test ends, and returns its URL.
func port(t *testing.T, o ops.Options) string {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := ops.NewServer(o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Stop(context.Background())
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return "http://" + ln.Addr().String()
}

func fetch(t *testing.T, method, url string) (*http.Response, string) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestTheOperationsPort(t *testing.T) {
	healthy := true
	base := port(t, ops.Options{
		Live:    ops.Checks{well("alive")},
		Ready:   ops.Checks{well("leader"), ill("disk", "full")},
		Healthy: func() bool { return healthy },
		Scrape:  func(w *metric.Writer) { w.Counter("a_total", "A.", 1) },
	})
	for _, c := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/livez", 200, "ok"},
		{"GET", "/livez?verbose", 200, "[+]alive ok\nlivez check passed\n"},
		{"HEAD", "/livez", 200, ""},
		{"GET", "/readyz", 503, "[+]leader ok\n[-]disk failed: full\nreadyz check failed\n"},
		{"GET", "/readyz?exclude=disk", 200, "ok"},
		{"GET", "/health", 200, `{"health":"true"}`},
		{"POST", "/health", 405, "Method Not Allowed\n"},
		{"GET", "/metrics", 200, "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"},
		{"GET", "/debug/pprof/", 404, "404 page not found\n"},
		{"GET", "/debug/pprof/heap", 404, "404 page not found\n"},
		{"GET", "/v2/keys", 404, "404 page not found\n"},
	} {
		if resp, body := fetch(t, c.method, base+c.path); resp.StatusCode != c.code || body != c.body {
			t.Errorf("%s %s: got %d %q want %d %q", c.method, c.path, resp.StatusCode, body, c.code, c.body)
		}
	}
	healthy = false
	if resp, body := fetch(t, "GET", base+"/health"); resp.StatusCode != 503 || body != `{"health":"false"}`+"\n" {
		t.Errorf("/health: got %d %q", resp.StatusCode, body)
	}
	resp, body := fetch(t, "GET", base+"/metrics")
	if _, err := metrictest.Parse([]byte(body)); err != nil || resp.Header.Get("Content-Type") != metric.ContentType {
		t.Errorf("%v, as %s", err, resp.Header.Get("Content-Type"))
	}
}

func TestProfilesAreServedWhereAskedFor(t *testing.T) {
	base := port(t, ops.Options{Pprof: true, Hosts: []string{"m1.example.com"}})
	if resp, body := fetch(t, "GET", base+"/debug/pprof/goroutine?debug=1"); resp.StatusCode != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("got %d %.100q", resp.StatusCode, body)
	}
	// Waits are recorded for who asks, and not any longer.
	for _, kind := range []string{"mutex", "block"} {
		if resp, body := fetch(t, "GET", base+"/debug/pprof/"+kind+"?debug=1"); resp.StatusCode != 200 || !strings.Contains(body, "cycles/second") {
			t.Errorf("%s: got %d %.100q", kind, resp.StatusCode, body)
		}
	}
	if n := runtime.SetMutexProfileFraction(-1); n != 0 {
		t.Errorf("one wait in %d is still recorded", n)
	}
}

// Another site can make its name mean this address. It must not read what shows keys and
// values; probes and metrics, which show none, are asked for by any name.
func TestWhatShowsKeysAnswersToItsOwnNames(t *testing.T) {
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	base := port(t, ops.Options{
		Live: ops.Checks{well("alive")}, Ready: ops.Checks{well("leader")}, Healthy: func() bool { return true }, Scrape: func(*metric.Writer) {},
		Page: page, Pprof: true, Hosts: []string{"m1.example.com"},
	})
	for path, shows := range map[string]bool{
		"/ui/": true, "/v2/keys/": true, "/version": true, "/debug/pprof/": true, "/debug/pprof/cmdline": true, "/debug/pprof/heap": true,
		"/livez": false, "/readyz": false, "/health": false, "/metrics": false,
	} {
		for host, own := range map[string]bool{
			"127.0.0.1": true, "[::1]:2381": true, "localhost:2381": true, "M1.example.com:2381": true,
			"evil.example": false, "127.0.0.1.evil.example:2381": false,
		} {
			req, err := http.NewRequest(http.MethodGet, base+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			want := http.StatusOK
			if shows && !own {
				want = http.StatusMisdirectedRequest
			}
			if resp.StatusCode != want {
				t.Errorf("%s of %s: got %d want %d", path, host, resp.StatusCode, want)
			}
		}
	}
}

func TestStopBeforeServe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := ops.NewServer(ops.Options{Log: slog.New(slog.DiscardHandler)})
	s.Stop(context.Background())
	if err := s.Serve(ln); err != nil {
		t.Errorf("serve: %v", err)
	}
	if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		c.Close()
		t.Error("the address is still served")
	}
}

func TestAProbeThatHangsIsCutOffByTheStop(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := ops.NewServer(ops.Options{Log: slog.New(slog.DiscardHandler), Live: ops.Checks{{Name: "slow", Ok: func() error {
		close(asked)
		<-answer
		return nil
	}}}})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	past, cancel := context.WithCancel(context.Background())
	cancel()
	s.Stop(past)
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("read %d, %v from a server that has stopped", n, err)
	}
	close(answer)
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}
