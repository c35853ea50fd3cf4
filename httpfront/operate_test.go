package httpfront_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"copse/httpfront"
	"copse/httpfront/ops"
	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"
)

func TestLogLevelsAreSetAsInEtcd(t *testing.T) {
	const untouched = slog.Level(99)
	level := untouched
	s := serve(t, httpfront.Options{SetLogLevel: func(l slog.Level) { level = l }})
	badJSON := answer{400, "", jsonT, message("Invalid json body")}
	unknown := func(name string) answer {
		return answer{400, "", jsonT, `{"message":"Invalid log level ` + name + `"}`}
	}
	done := answer{204, "", "", ""}
	// As etcd 3.4.23 answers.
	for body, c := range map[string]struct {
		want  answer
		level slog.Level
	}{
		`{"Level":"DEBUG"}`:        {done, slog.LevelDebug},
		`{"level":"info"}`:         {done, slog.LevelInfo},
		`{"LEVEL":"TRACE"}`:        {done, slog.LevelDebug - 4},
		`{"Level":"critical"}`:     {done, slog.LevelError + 4},
		`{"Level":"Error"}`:        {done, slog.LevelError},
		`{"Level":"W"} trailing`:   {done, slog.LevelWarn},
		`{"Level":"2","Other":{}}`: {done, slog.LevelInfo},
		`{"Level":"zz"}`:           {unknown("zz"), untouched},
		`{"Level":"ſ<"}`:           {unknown(`ſ\u003c`), untouched},
		`{"Level":""}`:             {unknown(""), untouched},
		`{}`:                       {unknown(""), untouched},
		`null`:                     {unknown(""), untouched},
		``:                         {badJSON, untouched},
		`x`:                        {badJSON, untouched},
		`[]`:                       {badJSON, untouched},
		`"x"`:                      {badJSON, untouched},
		`{"Level":1}`:              {badJSON, untouched},
	} {
		level = untouched
		request := lines("PUT /config/local/log HTTP/1.1", "Host: h", "Content-Length: "+itoa(len(body))) + body
		if got := parse(t, s.send(request)); got != c.want || level != c.level {
			t.Errorf("%s: got %+v and level %v want %+v and %v", body, got, level, c.want, c.level)
		}
	}
	for _, m := range []string{"GET", "POST", "DELETE"} {
		want := answer{405, "PUT", text, "Method Not Allowed\n"}
		if got := parse(t, s.send(lines(m+" /config/local/log HTTP/1.1", "Host: h"))); got != want {
			t.Errorf("%s: got %+v want %+v", m, got, want)
		}
	}
}

// farListener is a listener whose clients come from another machine.
type farListener struct{ net.Listener }

type farConn struct{ net.Conn }

func (l farListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return farConn{c}, err
}

func (farConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4000}
}

// serveFar is serve for clients of another machine.
func serveFar(t *testing.T, o httpfront.Options) (s *site, stop func()) {
	t.Helper()
	s = serve(t, o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(farListener{ln}) }()
	return s, func() {
		if err := errors.Join(s.server.Stop(t.Context()), <-served); err != nil {
			t.Error(err)
		}
	}
}

func TestOnlyThisMachineSetsTheLogLevelWhileAuthIsOff(t *testing.T) {
	s, stop := serveFar(t, httpfront.Options{SetLogLevel: func(slog.Level) { t.Error("the level was set") }})
	defer stop()
	want := answer{403, "", jsonT, message("While auth is off, the log level is changed from this machine only")}
	body := `{"Level":"DEBUG"}`
	if got := parse(t, s.send(lines("PUT /config/local/log HTTP/1.1", "Host: h", "Content-Length: "+itoa(len(body)))+body)); got != want {
		t.Errorf("got %+v want %+v", got, want)
	}
}

func TestProbesAndScrapesOnTheClientPort(t *testing.T) {
	well := ops.Check{Name: "a", Ok: func() error { return nil }}
	ill := ops.Check{Name: "b", Ok: func() error { return errors.New("it is late") }}
	s := serve(t, httpfront.Options{
		Live:   ops.Checks{well},
		Ready:  ops.Checks{well, ill},
		Scrape: func(w *metric.Writer) { w.Counter("a_total", "A.", 1) },
	})
	for request, want := range map[string]answer{
		"GET /livez":                   {200, "", text, "ok"},
		"HEAD /livez":                  {200, "", text, ""},
		"GET /livez?verbose=1":         {200, "", text, "[+]a ok\nlivez check passed\n"},
		"GET /readyz":                  {503, "", text, "[+]a ok\n[-]b failed: it is late\nreadyz check failed\n"},
		"GET /readyz?exclude=b":        {200, "", text, "ok"},
		"GET /readyz?x=%zz&exclude=b":  {200, "", text, "ok"},
		"PUT /readyz":                  {405, "GET,HEAD", text, "Method Not Allowed\n"},
		"GET /metrics":                 {200, "", metric.ContentType, "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"},
		"POST /metrics":                {405, "GET,HEAD", text, "Method Not Allowed\n"},
		"POST /debug/vars":             {405, "GET", text, "Method Not Allowed\n"},
		"GET /livez/":                  {404, "", text, "404 page not found\n"},
		"GET /config/local/logs":       {404, "", text, "404 page not found\n"},
		"GET /readyz?exclude=b&stream": {200, "", text, "ok"},
	} {
		if got := parse(t, s.send(lines(request+" HTTP/1.1", "Host: h"))); got != want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", request, got, want)
		}
	}
}

func TestDebugVarsAreEtcds(t *testing.T) {
	s := serve(t, httpfront.Options{})
	got := parse(t, s.send(get("/debug/vars")))
	var vars map[string]json.RawMessage
	if err := json.Unmarshal([]byte(got.body), &vars); err != nil || got.kind != "application/json; charset=utf-8" {
		t.Fatalf("%v: %.200q as %s", err, got.body, got.kind)
	}
	if got, want := string(vars["raft.status"]), `{"id":"ddd67b312462fd7b","term":2,"commit":5,"lead":"ddd67b312462fd7b","raftState":"StateLeader","applied":5}`; got != want {
		t.Errorf("raft.status: got %s want %s", got, want)
	}
	for _, name := range []string{"cmdline", "file_descriptor_limit", "memstats"} {
		if len(vars[name]) < 3 {
			t.Errorf("%s is %s", name, vars[name])
		}
	}
}

// scrape is what the server has counted.
func (s *site) scrape() metrictest.Scrape {
	s.t.Helper()
	var w metric.Writer
	s.server.WriteMetrics(&w)
	scrape, err := metrictest.Parse(w.Bytes())
	if err != nil {
		s.t.Fatalf("%v in\n%s", err, w.Bytes())
	}
	return scrape
}

func TestRequestsAreCountedByTemplateNotByKey(t *testing.T) {
	s := serve(t, httpfront.Options{})
	for _, request := range []string{
		form("PUT", "/v2/keys/secret/a", "value=1"), form("PUT", "/v2/keys/secret/a", "value=2"),
		form("POST", "/v2/keys/secret", "value=3"),
		get("/v2/keys/secret/a"), get("/v2/keys/secret/b"), get("/v2/keys?quorum=true"), get("/v2/keys?wait=x"),
		get("/v2/keys/secret?wait=true&waitIndex=1"),
		lines("DELETE /v2/keys/secret/a HTTP/1.1", "Host: h"),
		get("/v2/members"), get("/v2/members/secret"), get("/health"), get("/readyz"), get("/secret"),
		lines("OPTIONS /v2/keys HTTP/1.1", "Host: h"),
		lines("not HTTP"),
	} {
		s.send(request)
	}
	const requests = "copse_http_requests_total"
	got := s.scrape()
	for _, c := range []struct {
		labels []string
		want   float64
	}{
		{[]string{"method", "PUT", "route", "/v2/keys", "code", "201"}, 1},
		{[]string{"method", "PUT", "route", "/v2/keys", "code", "200"}, 1},
		{[]string{"method", "POST", "route", "/v2/keys", "code", "201"}, 1},
		{[]string{"method", "GET", "route", "/v2/keys", "code", "200"}, 1},
		{[]string{"method", "GET", "route", "/v2/keys", "code", "404"}, 1},
		{[]string{"method", "GET", "route", "/v2/keys", "code", "400"}, 1},
		{[]string{"method", "GET", "route", "/v2/keys?quorum=true", "code", "200"}, 1},
		{[]string{"method", "GET", "route", "/v2/keys?wait=true", "code", "400"}, 1},
		{[]string{"method", "DELETE", "route", "/v2/keys", "code", "200"}, 1},
		{[]string{"method", "GET", "route", "/v2/members", "code", "200"}, 1},
		{[]string{"method", "GET", "route", "/v2/members", "code", "404"}, 1},
		{[]string{"method", "GET", "route", "/health", "code", "200"}, 2},
		{[]string{"method", "GET", "route", "other", "code", "404"}, 1},
		{[]string{"method", "OTHER", "route", "other", "code", "200"}, 1},
		{[]string{"method", "OTHER", "route", "other", "code", "400"}, 1},
		{nil, 16},
	} {
		if n, _ := got.Value(requests, c.labels...); n != c.want {
			t.Errorf("%v: got %v want %v", c.labels, n, c.want)
		}
	}
	for name, want := range map[string]float64{
		"copse_http_request_duration_seconds_count":  16,
		"copse_watch_outdated_total":                 1,
		"etcd_http_received_total":                   8,
		"etcd_http_failed_total":                     2,
		"etcd_http_successful_duration_second_count": 8,
		"etcd_debugging_store_watch_requests_total":  1,
		"copse_http_in_flight":                       0,
	} {
		if n, ok := got.Value(name); n != want || !ok {
			t.Errorf("%s: got %v want %v", name, n, want)
		}
	}
	if n, _ := got.Value("etcd_http_received_total", "method", "QGET"); n != 1 {
		t.Errorf("%v quorum reads", n)
	}
	for _, f := range got {
		for _, p := range f.Samples {
			for _, value := range p.Labels {
				if strings.Contains(value, "secret") || strings.Contains(value, "127.0.0.1") {
					t.Errorf("%s tells %q", p.Name, value)
				}
			}
		}
	}
}

func TestRequestsInFlightAndParkedAreGauges(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.backend.hold, s.backend.held = make(chan struct{}), make(chan struct{})
	writer, idle := s.dial(), s.dial()
	if _, err := io.WriteString(writer, form("PUT", "/v2/keys/a", "value=1")); err != nil {
		t.Fatal(err)
	}
	<-s.backend.held
	if _, err := io.WriteString(idle, get("/version")); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	poll, stream := s.dial(), s.dial()
	for c, query := range map[io.ReadWriter]string{poll: "?wait=true", stream: "?wait=true&stream=true"} {
		if _, err := io.WriteString(c, get("/v2/keys/a"+query)); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(want map[string]float64) {
		t.Helper()
		var got map[string]float64
		s.eventually(func() bool {
			scrape := s.scrape()
			got = map[string]float64{}
			got["in flight"], _ = scrape.Value("copse_http_in_flight")
			got["idle"], _ = scrape.Value("copse_http_connections", "state", "idle")
			got["parked"], _ = scrape.Value("copse_http_connections", "state", "parked")
			got["polls"], _ = scrape.Value("copse_watchers", "kind", "poll")
			got["streams"], _ = scrape.Value("copse_watchers", "kind", "stream")
			for name, n := range want {
				if got[name] != n {
					return false
				}
			}
			return true
		})
	}
	wait(map[string]float64{"in flight": 1, "idle": 1, "parked": 2, "polls": 1, "streams": 1})
	_ = poll.Close()
	_ = stream.Close()
	close(s.backend.hold)
	wait(map[string]float64{"in flight": 0, "idle": 2, "parked": 0, "polls": 0, "streams": 0})
}

// eventually polls for what nothing announces.
func (s *site) eventually(ok func() bool) {
	s.t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			s.t.Fatal("never came true")
		}
	}
}
