package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"copse/bench/peer"
	"copse/config/certs/tlstest"
	"copse/statemachine/metric/metrictest"

	"sigs.k8s.io/yaml"
)

// scrape reads all metrics from a port.
func scrape(t *testing.T, c *http.Client, base string) metrictest.Scrape {
	t.Helper()
	resp, err := c.Get(base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	s, err := metrictest.Parse(text)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s/metrics: %s, %v", base, resp.Status, err)
	}
	return s
}

// busyMember has served requests of every kind, and has certificates.
func busyMember(t *testing.T, c *http.Client) process {
	t.Helper()
	ports, err := peer.FreePorts(rand.New(rand.NewPCG(rand.Uint64(), 0)), 3)
	if err != nil {
		t.Fatal(err)
	}
	a, dir := tlstest.New(t), t.TempDir()
	cert, key := a.WriteFiles(dir, "peer")
	url := "https://" + ports[1]
	m := startMember(t, peer.Place{Name: "m1", Address: ports[0], PeerURL: url, Cluster: "m1=" + url}, ports[2],
		"--peer-cert-file="+cert, "--peer-key-file="+key, "--peer-trusted-ca-file="+a.WriteCA(dir))
	awaitReady(t, m)
	for _, r := range []struct{ method, path string }{
		{"PUT", "/v2/keys/secret/a?value=hidden"}, {"PUT", "/v2/keys/secret/a?value=hidden&prevExist=false"},
		{"GET", "/v2/keys/secret/a?quorum=true"}, {"GET", "/v2/keys/secret/a?wait=true&waitIndex=1"}, {"GET", "/health"},
	} {
		req, err := http.NewRequest(r.method, "http://"+m.Address+r.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	return m
}

func TestEveryNameOfTheDashboardAndTheAlertsIsInALiveScrape(t *testing.T) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	m := busyMember(t, c)
	live := scrape(t, c, "http://"+m.operations)
	for name := range scrape(t, c, "http://"+m.Address) {
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
	text, err := os.ReadFile("../../deploy/grafana/copse.json")
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
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("../../docs/OPERATING.md")
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
