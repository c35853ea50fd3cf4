package main

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"copse/config/certs/tlstest"
)

// A trio is three whole servers in this process that found one cluster.
type trio struct {
	t       *testing.T
	args    [3][]string // each one's own
	clients [3]string
	peers   [3]string
}

// newTrio makes the arguments of three members, whose peer URLs have the scheme.
func newTrio(t *testing.T, scheme string) *trio {
	t.Helper()
	c := &trio{t: t}
	var cluster []string
	for i := range c.peers {
		c.clients[i] = "http://" + freeAddress(t)
		c.peers[i] = scheme + "://" + freeAddress(t)
		cluster = append(cluster, fmt.Sprintf("m%d=%s", i, c.peers[i]))
	}
	for i := range c.args {
		c.args[i] = []string{
			fmt.Sprintf("--name=m%d", i), "--data-dir=" + t.TempDir(), "--listen-metrics-urls=off",
			"--listen-client-urls=" + c.clients[i], "--advertise-client-urls=" + c.clients[i],
			"--listen-peer-urls=" + c.peers[i], "--initial-advertise-peer-urls=" + c.peers[i],
			"--initial-cluster=" + strings.Join(cluster, ","),
		}
	}
	return c
}

// peerFiles are the flags that make a member show the certificate called name
// and ask the others for one.
func peerFiles(a *tlstest.Authority, dir, name string) []string {
	cert, key := a.WriteFiles(dir, name)
	return []string{"--peer-cert-file=" + cert, "--peer-key-file=" + key, "--peer-trusted-ca-file=" + a.WriteCA(dir), "--peer-client-cert-auth"}
}

func TestMembersSpeakTLSWithEachOtherAndWithNobodyElse(t *testing.T) {
	c := newTrio(t, "https")
	ours, foreign := tlstest.New(t), tlstest.New(t)
	files := peerFiles(ours, t.TempDir(), "peer")
	var running [2]*program
	for i := range running {
		running[i] = launch(t, c.clients[i], append(c.args[i], files...))
	}
	for _, p := range running {
		p.awaitLog("ready to serve")
	}
	// The third's certificate is somebody else's: two go on, it never serves.
	wrong := launch(t, c.clients[2], append(c.args[2], peerFiles(foreign, t.TempDir(), "peer")...))
	wrong.awaitLog("waiting for other members")
	if status, body := running[0].put("/v2/keys/k", "secret"); status != http.StatusCreated {
		t.Errorf("a write: %d %s", status, body)
	}
	if strings.Contains(wrong.log.String(), "ready to serve") {
		t.Error("a member with a foreign certificate has got the tree")
	}
	wrong.stop()
	right := restart(t, c.clients[2], append(c.args[2], files...))
	if status, body := right.do(http.DefaultClient, "GET", "/v2/keys/k?quorum=true", nil); status != http.StatusOK || !strings.Contains(body, "secret") {
		t.Errorf("the third member, with its certificate: %d %s", status, body)
	}
	http.DefaultClient.CloseIdleConnections()
	right.stop()
	for _, p := range running {
		p.stop()
	}
}

// All change to another authority together, while they run: one that starts anew is
// known by it, and knows the others.
func TestMembersChangeToAnotherAuthority(t *testing.T) {
	c := newTrio(t, "https")
	dir := t.TempDir()
	files := peerFiles(tlstest.New(t), dir, "peer")
	var running [3]*program
	for i := range running {
		running[i] = launch(t, c.clients[i], append(c.args[i], files...))
	}
	for _, p := range running {
		p.awaitLog("ready to serve")
	}
	peerFiles(tlstest.New(t), dir, "renewed")
	running[2].stop()
	running[2] = restart(t, c.clients[2], append(c.args[2], files...))
	if status, body := running[2].put("/v2/keys/k", "v"); status != http.StatusCreated {
		t.Errorf("a write: %d %s", status, body)
	}
	http.DefaultClient.CloseIdleConnections()
	for _, p := range running {
		p.stop()
	}
}

func (p *program) put(path, value string) (int, string) {
	return p.do(http.DefaultClient, "PUT", path, url.Values{"value": {value}})
}

// awaitLog waits until the log has the text.
func (p *program) awaitLog(text string) {
	p.t.Helper()
	late := time.After(time.Minute)
	for !strings.Contains(p.log.String(), text) {
		select {
		case <-p.log.grew:
		case code := <-p.code:
			p.t.Fatalf("ended with %d before it said %q:\n%s", code, text, p.log)
		case <-late:
			p.t.Fatalf("never said %q:\n%s", text, p.log)
		}
	}
}

// What the settings say must agree with what is on disk: all that doesn't is
// told at once, and nothing is touched.
func TestADirectoryOfAnotherClusterIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := start(t, dir)
	args := p.args
	p.stop()
	other := "http://" + freeAddress(t)
	p = launch(t, p.client, append(args, "--initial-cluster-token=other",
		"--listen-peer-urls="+other, "--initial-advertise-peer-urls="+other, "--initial-cluster=default="+other))
	if code := <-p.code; code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	for _, part := range []string{"--initial-cluster-token", "--initial-cluster founds", dir} {
		if !strings.Contains(p.log.String(), part) {
			t.Errorf("the refusal doesn't tell of %s:\n%s", part, p.log)
		}
	}
	// Who says that the cluster exists may list it as it is now.
	restart(t, p.client, append(args, "--initial-cluster-state=existing")).stop()
}

func TestForceNewClusterGoesOnAlone(t *testing.T) {
	c := newTrio(t, "http")
	var running [3]*program
	for i := range running {
		running[i] = launch(t, c.clients[i], c.args[i])
	}
	for _, p := range running {
		p.awaitLog("ready to serve")
	}
	if status, body := running[1].put("/v2/keys/k", "kept"); status != http.StatusCreated {
		t.Fatalf("a write: %d %s", status, body)
	}
	http.DefaultClient.CloseIdleConnections()
	for _, p := range running {
		p.stop()
	}
	alone := restart(t, c.clients[1], append(c.args[1], "--force-new-cluster"))
	if status, body := alone.do(http.DefaultClient, "GET", "/v2/keys/k", nil); status != http.StatusOK || !strings.Contains(body, "kept") {
		t.Errorf("what was there: %d %s", status, body)
	}
	if status, body := alone.put("/v2/keys/k", "new"); status != http.StatusOK {
		t.Errorf("a write: %d %s", status, body)
	}
	if _, body := alone.do(http.DefaultClient, "GET", "/v2/members", nil); strings.Count(body, `"id"`) != 1 {
		t.Errorf("members %s", body)
	}
	http.DefaultClient.CloseIdleConnections()
	alone.stop()
	// The flag goes, the new cluster stays.
	again := restart(t, c.clients[1], c.args[1])
	if status, body := again.put("/v2/keys/k", "newer"); status != http.StatusOK {
		t.Errorf("a write after another start: %d %s", status, body)
	}
	http.DefaultClient.CloseIdleConnections()
	again.stop()
}
