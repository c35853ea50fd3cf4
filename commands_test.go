package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copse/config"
)

// perform runs one command to its end.
func perform(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, environ, &out, &errs)
	return code, out.String(), errs.String()
}

func TestCommandLines(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "copse.yml")
	if err := os.WriteFile(file, []byte("name: from-file\nelection-timeout: 3000\nmax-wals: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.yml")
	if err := os.WriteFile(broken, []byte("nmae: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(dir, "big.yml")
	if err := os.WriteFile(big, bytes.Repeat([]byte("#"), settingsLimit+1), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		line           string
		environ        []string
		code           int
		stdout, stderr string // parts
	}{
		{"--version", nil, 0, "copse " + version + "\n", ""},
		{"-version", nil, 0, "copse " + version + "\n", ""},
		{"version", []string{"COPSE_SHARDS=many"}, 0, "answers   like etcd 3.4.23", ""},
		{"--help", nil, 0, "--election-timeout <ms>", ""},
		{"-h", nil, 0, "Exit codes:", ""},
		{"help", nil, 0, "copse health [--quiet]", ""},
		{"help health", nil, 0, "operations port", ""},
		{"help config show", nil, 0, "copse config show [--json] [flags]", ""},
		{"health --help", nil, 0, "--timeout <duration>", ""},
		{"help nothing", nil, exitUsage, "", `"nothing" is not a command`},
		{"help health now", nil, exitUsage, "", `"now" is too much`},
		{"heatlh", nil, exitUsage, "", "the nearest one is copse health"},
		{"config", nil, exitUsage, "", "copse config check, copse config show"},
		{"serve --naem=x", nil, exitUsage, "", "the nearest one is --name"},
		{"serve now", nil, exitUsage, "", `"now" is not a flag`},
		{"completion bash", nil, 0, "complete -F _copse copse", ""},
		{"completion", nil, exitUsage, "", "bash, zsh or fish"},
		{"completion tcsh", nil, exitUsage, "", "bash, zsh or fish"},
		{"config check", nil, 0, "the settings can be followed", ""},
		{"config check --config-file " + file, nil, 0, "the settings can be followed", "max-wals"},
		{"config check --drain-delay=5s", []string{"ETCD_ENABLE_PPROF=true"}, 0, "the settings can be followed", ""},
		{"config check --config-file " + broken, nil, exitUsage, "", "broken.yml:1: nmae is not a known setting; the nearest one is name"},
		{"config check", []string{"ETCD_CONFIG_FILE=" + big}, exitUsage, "", "larger than 1048576 bytes"},
		{"config check --config-file " + dir + "/none.yml --shards=0", nil, exitUsage, "", "no such file or directory\nshards (0)"},
		{"config check --listen-client-urls=https://127.0.0.1:1 --cert-file=/none.pem --key-file=/none.key", nil, exitUsage, "", "cert-file: open /none.pem"},
		{"config show --config-file=" + file, []string{"COPSE_NAME=from-env"}, 0, "environment COPSE_NAME", ""},
		{"config show --config-file=" + file, nil, 0, "file " + file + ", line 2", ""},
		{"config show --shards=0", nil, exitUsage, "", "shards (0)"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			code, stdout, stderr := perform(t, tt.environ, strings.Fields(tt.line)...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
			}
			if tt.stderr == "" && stderr != "" || code != 0 && stdout != "" {
				t.Errorf("said too much:\n%s\n%s", stdout, stderr)
			}
		})
	}
}

func TestShownSettingsAreAligned(t *testing.T) {
	_, table, _ := perform(t, nil, "config", "show", "--name=me", "--cors=http://a")
	column := -1
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if at := strings.Index(line, "  "+fields[1]) + 2; column >= 0 && at != column {
			t.Fatalf("not aligned:\n%s", table)
		} else {
			column = at
		}
	}
	_, text, _ := perform(t, nil, "config", "show", "--json", "--name=me")
	var values []struct{ Setting, Value, Origin string }
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	if len(values) != strings.Count(table, "\n") || values[1].Setting != "name" || values[1].Value != "me" || values[1].Origin != "flag" {
		t.Errorf("%s", text)
	}
}

func TestHelpTellsEveryExitCode(t *testing.T) {
	_, help, _ := perform(t, nil, "help")
	for _, code := range []int{0, exitFailed, exitUsage, exitLocked, exitNewer, exitCorrupt} {
		if !strings.Contains(help, fmt.Sprintf("\n  %d  ", code)) {
			t.Errorf("exit code %d is not in the help", code)
		}
	}
}

func TestHealthOfARealServer(t *testing.T) {
	p := start(t, t.TempDir())
	health := func(more ...string) (int, string, string) {
		return perform(t, nil, append(append([]string{"health"}, p.args...), more...)...)
	}
	if code, stdout, stderr := health(); code != 0 || stdout != "well: "+p.client+"/health\n" || stderr != "" {
		t.Errorf("a server that serves: %d %q %q", code, stdout, stderr)
	}
	if code, stdout, stderr := health("--quiet"); code != 0 || stdout+stderr != "" {
		t.Errorf("quietly: %d %q %q", code, stdout, stderr)
	}
	if code, _, stderr := health("--endpoint", p.client+"/nowhere"); code != exitFailed || !strings.Contains(stderr, "404") {
		t.Errorf("another path: %d %q", code, stderr)
	}
	p.stop()
	if code, _, stderr := health(); code != exitFailed || !strings.Contains(stderr, "connection refused") {
		t.Errorf("a server that is gone: %d %q", code, stderr)
	}
	if code, stdout, stderr := health("--quiet"); code != exitFailed || stdout+stderr != "" {
		t.Errorf("quietly: %d %q %q", code, stdout, stderr)
	}
}

// The file says everything, to the server and to who asks for its health.
func TestAServerFromAFile(t *testing.T) {
	address, peer, dir := "http://"+freeAddress(t), "http://"+freeAddress(t), t.TempDir()
	file := filepath.Join(dir, "copse.yml")
	text := fmt.Sprintf("name: me\ndata-dir: %s/data\nlisten-client-urls: %s\nlisten-peer-urls: %s\ninitial-cluster: me=%s\n", dir, address, peer, peer)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := restart(t, address, []string{"serve", "--config-file", file})
	if _, body := p.do(client(t), "GET", "/v2/stats/self", nil); !strings.HasPrefix(body, `{"name":"me",`) {
		t.Errorf("its name: %s", body)
	}
	if code, stdout, stderr := perform(t, []string{"COPSE_CONFIG_FILE=" + file}, "health"); code != 0 || stdout != "well: "+address+"/health\n" {
		t.Errorf("its health: %d %s %s", code, stdout, stderr)
	}
	p.stop()
}

func TestHealthAsksTheOperationsPort(t *testing.T) {
	status, asked := http.StatusOK, ""
	hang := make(chan struct{})
	ops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked = r.URL.Path; status == 0 {
			<-hang
		}
		w.WriteHeader(max(status, 200))
		fmt.Fprintln(w, "[-]leader nobody leads")
	}))
	defer ops.Close()
	defer close(hang)
	port := ops.URL[strings.LastIndex(ops.URL, ":"):]
	// As the image does it, and without a word.
	environ := []string{"COPSE_LISTEN_METRICS_URLS=http://0.0.0.0" + port, "HTTP_PROXY=http://127.0.0.1:1"}
	if code, stdout, stderr := perform(t, environ, "health"); code != 0 || asked != "/readyz" || stdout != "well: http://127.0.0.1"+port+"/readyz\n" {
		t.Errorf("ready: %d %s %s, asked for %s", code, stdout, stderr, asked)
	}
	status = http.StatusServiceUnavailable
	if code, _, stderr := perform(t, environ, "health"); code != exitFailed || !strings.Contains(stderr, "503 Service Unavailable: [-]leader nobody leads") {
		t.Errorf("not ready: %d %s", code, stderr)
	}
	status = 0
	if code, _, stderr := perform(t, environ, "health", "--timeout=20ms"); code != exitFailed || !strings.Contains(stderr, "deadline") {
		t.Errorf("no answer: %d %s", code, stderr)
	}
}

func TestHealthOverTLS(t *testing.T) {
	ops := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%d certificates", len(r.TLS.PeerCertificates))
		if len(r.TLS.PeerCertificates) == 0 {
			t.Error("no certificate was shown")
		}
	}))
	ops.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	ops.StartTLS()
	defer ops.Close()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pair := ops.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile := write("cert.pem", "CERTIFICATE", pair.Certificate[0])
	keyFile := write("key.pem", "PRIVATE KEY", key)
	args := []string{"health", "--listen-metrics-urls=" + ops.URL, "--cert-file=" + certFile, "--key-file=" + keyFile, "--trusted-ca-file=" + certFile}
	if code, stdout, stderr := perform(t, nil, args...); code != 0 {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
	if code, _, stderr := perform(t, nil, append(args, "--trusted-ca-file="+dir+"/none")...); code != exitFailed || !strings.Contains(stderr, "no such file") {
		t.Errorf("without the authorities' file: %d %s", code, stderr)
	}
}

func TestHealthChecksCertificatesOffLoopback(t *testing.T) {
	for address, trusting := range map[string]bool{
		"https://127.0.0.1:1": true, "https://[::1]:1": true, "https://localhost:1": true,
		"https://10.0.0.1:1": false, "https://copse:1": false,
	} {
		target, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		security, err := healthSecurity(&config.Config{}, target)
		if err != nil || security.InsecureSkipVerify != trusting {
			t.Errorf("%s: takes any certificate: %v, %v", address, security.InsecureSkipVerify, err)
		}
	}
}
