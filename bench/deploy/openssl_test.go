package deploy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"copse/bench/peer"
)

// documented returns the block of commands in docs/OPERATING.md that begins with
// the given words.
func documented(t *testing.T, begins string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	const indent = "    "
	var block []string
	for _, line := range strings.Split(string(text), "\n") {
		line, inside := strings.CutPrefix(line, indent)
		if inside && (block != nil || strings.HasPrefix(line, begins)) {
			block = append(block, line)
		} else if block != nil {
			break
		}
	}
	if block == nil {
		t.Fatalf("docs/OPERATING.md has no block that begins with %q", begins)
	}
	return strings.Join(block, "\n")
}

// TestDocumentedCertificatesServe makes certificates as docs/OPERATING.md says, and
// a cluster that shows them to clients and among its members.
func TestDocumentedCertificatesServe(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("sh", "-e", "-c", documented(t, "openssl req"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := func(name string) string { return filepath.Join(dir, name) }

	free, err := peer.FreePorts(rand.New(rand.NewPCG(rand.Uint64(), 0)), 9)
	if err != nil {
		t.Fatal(err)
	}
	var cluster []string
	for i := range 3 {
		cluster = append(cluster, fmt.Sprintf("m%d=https://%s", i+1, free[3+i]))
	}
	var members []process
	for i := range 3 {
		name := fmt.Sprintf("m%d", i+1)
		pem, key := file(name+".pem"), file(name+".key")
		place := peer.Place{Name: name, Address: free[i], PeerURL: "https://" + free[3+i], Cluster: strings.Join(cluster, ",")}
		members = append(members, startMember(t, place, free[6+i],
			"--listen-client-urls=https://"+free[i], "--advertise-client-urls=https://"+free[i],
			"--cert-file="+pem, "--key-file="+key, "--trusted-ca-file="+file("ca.pem"),
			"--peer-cert-file="+pem, "--peer-key-file="+key, "--peer-trusted-ca-file="+file("ca.pem")))
	}
	for _, m := range members {
		awaitReady(t, m)
	}

	ca, err := os.ReadFile(file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("ca.pem holds no certificate")
	}
	pair, err := tls.LoadX509KeyPair(file("client.pem"), file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	known := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}
	for _, m := range members {
		_, port, _ := strings.Cut(m.Address, ":")
		if err := putOverTLS("https://localhost:"+port, known); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		if err := putOverTLS("https://localhost:"+port, &tls.Config{RootCAs: pool}); err == nil {
			t.Errorf("%s serves clients without a certificate", m.Name)
		}
	}
}

func putOverTLS(base string, config *tls.Config) error {
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: attemptLimit}
	req, err := http.NewRequest(http.MethodPut, base+"/v2/keys/k?value=v", nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}
