package main

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"copse/config/certs/tlstest"
)

// startTLS starts a server whose clients speak TLS, with certificates in dir.
func startTLS(t *testing.T, a *tlstest.Authority, dir string, more ...string) *program {
	t.Helper()
	address, args := arguments(t, t.TempDir())
	address = strings.Replace(address, "http:", "https:", 1)
	cert, key := a.WriteFiles(dir, "server")
	args = append(args, "--listen-client-urls="+address, "--advertise-client-urls="+address, "--cert-file="+cert, "--key-file="+key)
	return restart(t, address, append(args, more...))
}

// clientTLS trusts a; with a name, it has a certificate.
func clientTLS(t *testing.T, a *tlstest.Authority, name string) *http.Client {
	return secureClient(t, a.Client(name))
}

func secureClient(t *testing.T, config *tls.Config) *http.Client {
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func TestClientsAreServedOverTLS(t *testing.T) {
	a := tlstest.New(t)
	operations := "https://" + freeAddress(t)
	p := startTLS(t, a, t.TempDir(), "--listen-metrics-urls="+operations)
	defer p.stop()
	c := clientTLS(t, a, "")
	if status, _ := p.do(c, "PUT", "/v2/keys/a", url.Values{"value": {"1"}}); status != 201 {
		t.Errorf("a write: %d", status)
	}
	resp, err := c.Get(p.client + "/v2/keys/a?wait=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	other := clientTLS(t, a, "")
	p.do(other, "PUT", "/v2/keys/a", url.Values{"value": {"2"}})
	var event struct{ Node struct{ Value string } }
	if err := json.NewDecoder(resp.Body).Decode(&event); err != nil || event.Node.Value != "2" {
		t.Errorf("the watch got %+v, %v", event, err)
	}
	if code, body := fetch(t, c, operations+"/readyz"); code != 200 {
		t.Errorf("the operations port: %d %s", code, body)
	}
	for _, message := range []string{"copse starts", "ready to serve"} {
		for _, line := range p.lines() {
			if list, _ := line["clients"].([]any); line["msg"] == message && (len(list) != 1 || list[0] != p.client) {
				t.Errorf("%q names %v, want %s", message, list, p.client)
			}
		}
	}
	if _, machines := p.do(c, "GET", "/v2/machines", nil); machines != p.client {
		t.Errorf("clients are told of %s", machines)
	}
}

func TestOneServerSpeaksBoth(t *testing.T) {
	a := tlstest.New(t)
	plain := "http://" + freeAddress(t)
	p := startTLS(t, a, t.TempDir())
	p.stop()
	args := append(p.args, "--listen-client-urls="+p.client+","+plain)
	p = restart(t, p.client, args)
	defer p.stop()
	p.do(clientTLS(t, a, ""), "PUT", "/v2/keys/a", url.Values{"value": {"1"}})
	if code, body := fetch(t, client(t), plain+"/v2/keys/a"); code != 200 || !strings.Contains(body, `"value":"1"`) {
		t.Errorf("%d %s", code, body)
	}
}

func TestClientsWithoutACertificateAreRefusedWhereOneIsAskedFor(t *testing.T) {
	a, dir := tlstest.New(t), t.TempDir()
	plain := "http://" + freeAddress(t)
	p := startTLS(t, a, dir, "--trusted-ca-file="+a.WriteCA(dir), "--client-cert-auth", "--listen-metrics-urls="+plain)
	defer p.stop()
	if status, _ := p.do(clientTLS(t, a, "me"), "PUT", "/v2/keys/a", url.Values{"value": {"1"}}); status != 201 {
		t.Errorf("a client with a certificate: %d", status)
	}
	if resp, err := clientTLS(t, a, "").Get(p.client + "/v2/keys/a"); err == nil {
		resp.Body.Close()
		t.Errorf("a client without one: %d", resp.StatusCode)
	}
	// Probes have none, and don't need one.
	if code, body := fetch(t, client(t), plain+"/readyz"); code != 200 {
		t.Errorf("the operations port: %d %s", code, body)
	}
}

func TestAChangedCertificateIsServedWithoutARestart(t *testing.T) {
	a, dir := tlstest.New(t), t.TempDir()
	p := startTLS(t, a, dir)
	defer p.stop()
	a.WriteFiles(dir, "renewed")
	eventually(t, "the new certificate is served", func() bool {
		resp, err := clientTLS(t, a, "").Get(p.client + "/version")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.TLS.PeerCertificates[0].Subject.CommonName == "renewed"
	})
	p.await("certificates read again")
}
