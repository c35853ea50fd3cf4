package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"copse/config/certs/tlstest"
	"copse/statemachine/metric/metrictest"
)

// serveVariable makes the test's binary be copse.
const serveVariable = "COPSE_TEST_SERVE"

// lines are the log's, as JSON.
func (p *program) lines() (list []map[string]any) {
	p.t.Helper()
	for line := range strings.Lines(p.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			p.t.Fatalf("%v: %s", err, line)
		}
		list = append(list, m)
	}
	return list
}

// said counts the lines with the message.
func (p *program) said(message string) (n int) {
	for _, line := range p.lines() {
		if line["msg"] == message {
			n++
		}
	}
	return n
}

// await waits until the log holds text.
func (p *program) await(text string) {
	p.t.Helper()
	limit := time.After(time.Minute)
	for !strings.Contains(p.log.String(), text) {
		select {
		case <-p.log.grew:
		case <-limit:
			p.t.Fatalf("never said %q:\n%s", text, p.log)
		}
	}
}

func fetch(t *testing.T, c *http.Client, target string) (int, string) {
	t.Helper()
	resp, err := c.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never came true: %s", what)
		}
	}
}

// scrape reads all metrics from a port.
func scrape(t *testing.T, c *http.Client, base string) metrictest.Scrape {
	t.Helper()
	code, text := fetch(t, c, base+"/metrics")
	s, err := metrictest.Parse([]byte(text))
	if err != nil || code != 200 {
		t.Fatalf("%s/metrics: %d, %v", base, code, err)
	}
	return s
}

// busyServer has served something of everything, over TLS.
func busyServer(t *testing.T) (p *program, c *http.Client, operations string) {
	t.Helper()
	operations = "http://" + freeAddress(t)
	a := tlstest.New(t)
	p = startTLS(t, a, t.TempDir(), "--listen-metrics-urls="+operations)
	c = clientTLS(t, a, "")
	p.do(c, "PUT", "/v2/keys/secret/a", url.Values{"value": {"hidden"}})
	p.do(c, "PUT", "/v2/keys/secret/a", url.Values{"value": {"hidden"}, "prevExist": {"false"}})
	p.do(c, "GET", "/v2/keys/secret/a?quorum=true", nil)
	p.do(c, "GET", "/v2/keys/secret/a?wait=true&waitIndex=1", nil)
	p.do(c, "GET", "/health", nil)
	return p, c, operations
}

func TestEveryNameOfTheDashboardAndTheAlertsIsInALiveScrape(t *testing.T) {
	p, c, operations := busyServer(t)
	defer p.stop()
	live := scrape(t, c, operations)
	for name := range scrape(t, c, p.client) {
		if live[name] == nil {
			t.Errorf("%s is on the client port only", name)
		}
	}
	for name, f := range live {
		if !regexp.MustCompile(`^(copse|etcd|go|process|dragonboat)_`).MatchString(name) {
			t.Errorf("%s belongs to nobody", name)
		}
		for _, s := range f.Samples {
			for label, value := range s.Labels {
				if strings.Contains(value, "secret") || strings.Contains(value, "127.0.0.1") || label == "key" || label == "user" {
					t.Errorf("%s tells %s=%q", s.Name, label, value)
				}
			}
		}
	}
	expressions := 0
	for where, list := range map[string][]string{"the dashboard": dashboard(t), "the alerts": alerts(t)} {
		for _, expression := range list {
			expressions++
			for _, trouble := range unknownIn(live, expression) {
				t.Errorf("%s: %s, in %s", where, trouble, expression)
			}
		}
	}
	if expressions < 50 {
		t.Errorf("only %d expressions were found", expressions)
	}
}

// dashboard lists the expressions of the dashboard's panels.
func dashboard(t *testing.T) (list []string) {
	t.Helper()
	var d struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
		Templating struct{ List []struct{ Query string } }
	}
	text, err := os.ReadFile("deploy/grafana/copse.json")
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, panel := range d.Panels {
		if panel.Title == "" || panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("the panel %q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			list = append(list, target.Expr)
		}
	}
	for _, variable := range d.Templating.List {
		list = append(list, variable.Query)
	}
	return list
}

// alerts lists the expressions of the alerts, and checks that each is explained.
func alerts(t *testing.T) (list []string) {
	t.Helper()
	var f struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	text, err := os.ReadFile("deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&f); err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("docs/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			list = append(list, r.Expr)
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["runbook"] != "docs/OPERATING.md#"+strings.ToLower(r.Alert) {
				t.Errorf("%s lacks a severity, a summary or a runbook", r.Alert)
			}
			if !strings.Contains(string(manual), "\n### "+r.Alert+"\n") {
				t.Errorf("%s is not in docs/OPERATING.md", r.Alert)
			}
		}
	}
	return list
}

var (
	metricWord = regexp.MustCompile(`\b(?:copse|etcd|go|process|dragonboat)_[a-z0-9_]+\b`)
	selector   = regexp.MustCompile(`([a-z_][a-z0-9_]*)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"[^"]*"`)
)

// unknownIn lists the metrics, and the labels asked of them, that an expression
// names and no scrape has.
func unknownIn(live metrictest.Scrape, expression string) (list []string) {
	family := func(name string) *metrictest.Family {
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && live[base] != nil && (suffix == "" || live[base].Kind == "histogram" || live[base].Kind == "summary") {
				return live[base]
			}
		}
		return nil
	}
	for _, name := range metricWord.FindAllString(expression, -1) {
		if f := family(name); f == nil {
			list = append(list, name+" is in no scrape")
		} else if f.Kind == "histogram" && f.Name == name {
			list = append(list, name+" is a histogram, which has no samples of that name")
		}
	}
	for _, s := range selector.FindAllStringSubmatch(expression, -1) {
		f := family(s[1])
		if f == nil {
			continue
		}
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			// Prometheus adds these two.
			if label := m[1]; label != "job" && label != "instance" && !slices.ContainsFunc(f.Samples, func(p metrictest.Sample) bool { _, ok := p.Labels[label]; return ok }) {
				list = append(list, fmt.Sprintf("%s has no label %s", f.Name, label))
			}
		}
	}
	return list
}

func TestProbesAnswerOnBothPorts(t *testing.T) {
	operations := "http://" + freeAddress(t)
	p := start(t, t.TempDir(), "--listen-metrics-urls", operations)
	defer p.stop()
	c := client(t)
	for _, base := range []string{p.client, operations} {
		for path, want := range map[string]string{
			"/livez":          "ok",
			"/readyz":         "ok",
			"/health":         `{"health":"true"}`,
			"/livez?verbose":  "[+]disk ok\n[+]apply ok\nlivez check passed\n",
			"/readyz?verbose": "[+]started ok\n[+]leader ok\n[+]caught-up ok\n[+]disk-reserve ok\n[+]draining ok\nreadyz check passed\n",
		} {
			if code, body := fetch(t, c, base+path); code != 200 || body != want {
				t.Errorf("%s%s: %d %q", base, path, code, body)
			}
		}
		if code, _ := fetch(t, c, base+"/debug/pprof/"); code != 404 {
			t.Errorf("%s serves profiles", base)
		}
	}
}

func TestProfilesAreServedIfEnabled(t *testing.T) {
	operations := "http://" + freeAddress(t)
	p := start(t, t.TempDir(), "--listen-metrics-urls", operations, "--enable-pprof")
	defer p.stop()
	if code, body := fetch(t, client(t), operations+"/debug/pprof/goroutine?debug=1"); code != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("%d %.100q", code, body)
	}
}

func TestTheDefaultOperationsPortMayBeTaken(t *testing.T) {
	for said := false; !said; {
		address, args := arguments(t, t.TempDir())
		args = args[2:] // without the one that says that there is none
		taken, err := net.Listen("tcp", "127.0.0.1:2381")
		p := restart(t, address, args)
		p.stop()
		said = strings.Contains(p.log.String(), "there is no operations port")
		if err == nil {
			_ = taken.Close()
			if !said {
				t.Fatalf("not a word about it:\n%s", p.log)
			}
		}
		// Otherwise somebody else had it, and may have given it back in between.
	}
	taken := "http://" + freeAddress(t)
	l, err := net.Listen("tcp", strings.TrimPrefix(taken, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address, args := arguments(t, t.TempDir(), "--listen-metrics-urls="+taken)
	launch(t, address, args).refused(exitFailed, "--listen-metrics-urls sets the address")
}

func TestTheLogHasOneLineForEachTurn(t *testing.T) {
	p := start(t, t.TempDir(), "--slow-request=1ns")
	c := client(t)
	p.do(c, "PUT", "/v2/keys/secret", url.Values{"value": {"hidden"}})
	p.await("slow request")
	c.CloseIdleConnections()
	p.stop()
	for _, message := range []string{"copse starts", "ready to serve", "copse has stopped"} {
		if n := p.said(message); n != 1 {
			t.Errorf("%d lines say %q", n, message)
		}
	}
	for _, line := range p.lines() {
		for _, key := range []string{"time", "level", "msg", "component"} {
			if line[key] == nil {
				t.Errorf("%v has no %s", line, key)
			}
		}
	}
	first := p.lines()[0]
	for _, key := range []string{"version", "name", "member", "cluster", "data_dir", "clients", "raft", "operations", "settings"} {
		if _, ok := first[key]; !ok {
			t.Errorf("the first line has no %s: %v", key, first)
		}
	}
	if text := p.log.String(); strings.Contains(text, "secret") || strings.Contains(text, "hidden") {
		t.Errorf("the log tells what isn't its business:\n%s", text)
	}
}

func TestTheLogLevelIsChangedAtRunTime(t *testing.T) {
	p := start(t, t.TempDir(), "--slow-request=1ns")
	c := client(t)
	set := func(level string) {
		t.Helper()
		req, err := http.NewRequest("PUT", p.client+"/config/local/log", strings.NewReader(`{"Level":"`+level+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil || resp.StatusCode != 204 {
			t.Fatalf("%v: %v", resp, err)
		}
		resp.Body.Close()
	}
	// At debug, and not before, a slow request's line names its key.
	count := func(text string) int { return strings.Count(p.log.String(), text) }
	p.do(c, "PUT", "/v2/keys/quiet", url.Values{"value": {"1"}})
	p.await("slow request")
	if count("/v2/keys/quiet") > 0 {
		t.Fatalf("debug is logged from the start:\n%s", p.log)
	}
	set("DEBUG")
	p.do(c, "PUT", "/v2/keys/loud", url.Values{"value": {"1"}})
	p.await("/v2/keys/loud")
	set("ERROR")
	before := count("slow request")
	p.do(c, "PUT", "/v2/keys/loud", url.Values{"value": {"2"}})
	c.CloseIdleConnections()
	p.stop() // by then, whatever there was to say has been said
	if more := count("slow request") - before; more > 0 {
		t.Errorf("%d lines at error:\n%s", more, p.log)
	}
}

func TestTheLogIsTextWhereAskedFor(t *testing.T) {
	p := start(t, t.TempDir(), "--log-format=text")
	p.stop()
	if !strings.Contains(p.log.String(), `level=INFO msg="copse starts" component=main`) {
		t.Errorf("%s", p.log)
	}
}

func TestTheDrainEndsByItself(t *testing.T) {
	p := start(t, t.TempDir(), "--drain-delay=100ms")
	p.stop()
	if n := p.said("copse has stopped"); n != 1 {
		t.Errorf("%d lines say so:\n%s", n, p.log)
	}
}
