package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask asks and returns what copse health prints, and its exit code.
func ask(t *testing.T, target string, q Question) (code int, stdout, stderr string) {
	t.Helper()
	var err error
	if q.Server.URL, err = url.Parse(target); err != nil {
		t.Fatal(err)
	}
	if q.Timeout == 0 {
		q.Timeout = time.Minute
	}
	var out, errs bytes.Buffer
	code = Health(context.Background(), q, &out, &errs)
	return code, out.String(), errs.String()
}

func TestHealthIsTheStatusOfTheAnswer(t *testing.T) {
	status, asked := http.StatusOK, ""
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked = r.URL.Path; status == 0 {
			<-hang
		}
		w.WriteHeader(max(status, 200))
		fmt.Fprintln(w, "[-]leader nobody leads")
	}))
	defer server.Close()
	defer close(hang)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	target := server.URL + "/readyz"
	if code, stdout, stderr := ask(t, target, Question{}); code != 0 || asked != "/readyz" || stdout != "healthy: "+target+"\n" || stderr != "" {
		t.Errorf("ready: %d %q %q, asked for %s", code, stdout, stderr, asked)
	}
	if code, stdout, stderr := ask(t, target, Question{Quiet: true}); code != 0 || stdout+stderr != "" {
		t.Errorf("quietly: %d %q %q", code, stdout, stderr)
	}
	for _, status = range []int{http.StatusServiceUnavailable, http.StatusFound} {
		want := fmt.Sprintf("unhealthy: %s: %d %s: [-]leader nobody leads\n", target, status, http.StatusText(status))
		if code, stdout, stderr := ask(t, target, Question{}); code != 1 || stdout != "" || stderr != want {
			t.Errorf("not ready: %d %q %q", code, stdout, stderr)
		}
	}
	status = 0
	if code, _, stderr := ask(t, target, Question{Timeout: 20 * time.Millisecond}); code != 1 || !strings.Contains(stderr, "deadline") {
		t.Errorf("no answer: %d %s", code, stderr)
	}
}

func TestHealthOverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			t.Error("no certificate was shown")
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	q := Question{Server: Server{Files: Files{Cert: write("cert.pem", "CERTIFICATE", pair.Certificate[0]), Key: write("key.pem", "PRIVATE KEY", key)}}}
	q.Server.CA = q.Server.Cert
	if code, stdout, stderr := ask(t, server.URL, q); code != 0 {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
	q.Server.CA = dir + "/none"
	if code, _, stderr := ask(t, server.URL, q); code != 1 || !strings.Contains(stderr, "no such file") {
		t.Errorf("without the authorities' file: %d %s", code, stderr)
	}
	q.Server.CA = q.Server.Key
	if code, _, stderr := ask(t, server.URL, q); code != 1 || !strings.Contains(stderr, "holds no certificate") {
		t.Errorf("a file without authorities: %d %s", code, stderr)
	}
}

func TestHealthVerifiesCertificatesOffLoopback(t *testing.T) {
	for address, trusting := range map[string]bool{
		"https://127.0.0.1:1": true, "https://[::1]:1": true, "https://localhost:1": true,
		"https://10.0.0.1:1": false, "https://copse:1": false,
	} {
		target, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		security, err := (&Question{Server: Server{URL: target}}).Security()
		if err != nil || security.InsecureSkipVerify != trusting {
			t.Errorf("%s: takes any certificate: %v, %v", address, security.InsecureSkipVerify, err)
		}
	}
}
