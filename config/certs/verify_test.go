package certs

import (
	"crypto/tls"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/config/certs/tlstest"
)

// refusal is what a server says of a client.
func refusal(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	here, there := net.Pipe()
	client = client.Clone()
	if client.ServerName == "" {
		client.ServerName = "localhost"
	}
	var dialling sync.WaitGroup
	dialling.Go(func() {
		c := tls.Client(there, client)
		_, _ = c.Read(make([]byte, 1)) // the answer may be a refusal
		_ = c.Close()
	})
	s := tls.Server(here, server)
	err := s.Handshake()
	_ = s.Close()
	dialling.Wait()
	return err
}

func TestRevokedCertificatesAreRefused(t *testing.T) {
	a, other, dir := tlstest.New(t), tlstest.Named(t, "other"), t.TempDir()
	files := issue(a, dir, "server")
	files.CA = a.WriteCA(dir)
	files.CRL = a.WriteCRL(dir)
	s := serve(t, files)
	good, bad := a.Client("good"), a.Client("bad")
	for name, config := range map[string]*tls.Config{"good": good, "bad": bad} {
		if _, err := s.ask(config); err != nil {
			t.Errorf("%s, before anything is revoked: %v", name, err)
		}
	}
	// The list applies from the next connection on; the same number of another authority
	// means nothing.
	a.WriteCRL(dir, bad.Certificates[0].Leaf.SerialNumber)
	if _, err := s.ask(bad); err == nil {
		t.Error("a revoked certificate is let in")
	}
	if _, err := s.ask(good); err != nil {
		t.Errorf("one that isn't revoked: %v", err)
	}
	write(t, files.CRL, append(other.CRL(good.Certificates[0].Leaf.SerialNumber), a.CRL()...))
	for name, config := range map[string]*tls.Config{"good": good, "bad": bad} {
		if _, err := s.ask(config); err != nil {
			t.Errorf("%s, with its number revoked by another authority: %v", name, err)
		}
	}
	s.counted(map[string]float64{"done": 2, "failed": 0})
}

// A member that is dialled may have a revoked certificate too.
func TestWhoDialsLooksAtTheListToo(t *testing.T) {
	a, dir := tlstest.New(t), t.TempDir()
	files := issue(a, dir, "me")
	files.CA = a.WriteCA(dir)
	files.CRL = a.WriteCRL(dir)
	ours := load(t, files, slog.New(slog.DiscardHandler))
	s := serve(t, issue(a, t.TempDir(), "dialled"))
	dial := func() error {
		c := ours.Client().Clone()
		c.ServerName = "localhost"
		_, err := s.ask(c)
		return err
	}
	if err := dial(); err != nil {
		t.Fatal(err)
	}
	a.WriteCRL(dir, s.certs.Server().Certificates[0].Leaf.SerialNumber)
	if err := dial(); err == nil || !strings.Contains(err.Error(), "is revoked") {
		t.Errorf("a revoked certificate is trusted: %v", err)
	}
}

func TestListsOfRevokedCertificates(t *testing.T) {
	a, other, dir := tlstest.New(t), tlstest.New(t), t.TempDir()
	files := issue(a, dir, "server")
	files.CA = a.WriteCA(dir)
	known := ParseAuthorities(a.PEM)
	forged := a.CRL()
	forged[len(forged)/2] ^= 1 // still in the alphabet, or no base64 at all
	for name, text := range map[string][]byte{
		"nothing":           nil,
		"nonsense":          []byte("nonsense"),
		"a certificate":     a.PEM,
		"one without sense": []byte("-----BEGIN X509 CRL-----\nbm9uc2Vuc2U=\n-----END X509 CRL-----\n"),
		"a forged one":      forged,
		"another's, under this one's name": func() []byte {
			return other.CRL() // both authorities of tlstest have one name
		}(),
	} {
		if _, err := ParseRevoked(text, known); err == nil || !strings.HasPrefix(err.Error(), "holds ") {
			t.Errorf("%s is taken: %v", name, err)
		}
	}
	for name, authorities := range map[string][]byte{"an old one beside it": append(other.PEM, a.PEM...), "none that is known": nil} {
		if _, err := ParseRevoked(a.CRL(), ParseAuthorities(authorities)); err != nil {
			t.Errorf("a list, with %s: %v", name, err)
		}
	}
	files.CRL = filepath.Join(dir, "missing")
	if _, err := Load("client", files, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a missing list is taken")
	}
}

func TestOnlyAllowedNamesAreLetIn(t *testing.T) {
	a, dir := tlstest.New(t), t.TempDir()
	files := issue(a, dir, "server")
	files.CA = a.WriteCA(dir)
	for _, tt := range []struct {
		cn, host string
		want     bool
	}{
		{"good", "", true}, {"goo", "", false}, {"GOOD", "", false},
		{"", "localhost", true}, {"", "LOCALHOST", true}, {"", "127.0.0.1", true}, {"", "good", false}, {"", "elsewhere", false},
	} {
		files.AllowedCN, files.AllowedHostname = tt.cn, tt.host
		if _, err := serve(t, files).ask(a.Client("good")); (err == nil) != tt.want {
			t.Errorf("allowed are %q and %q: %v", tt.cn, tt.host, err)
		}
	}
}

// Whatever is wrong with a certificate, the server can say it.
func TestTheServerSaysWhyItRefuses(t *testing.T) {
	a, other, dir := tlstest.New(t), tlstest.New(t), t.TempDir()
	files := issue(a, dir, "server")
	files.CA, files.AllowedCN = a.WriteCA(dir), "good"
	revoked := a.Client("good")
	files.CRL = a.WriteCRL(dir, revoked.Certificates[0].Leaf.SerialNumber)
	c := load(t, files, slog.New(slog.DiscardHandler))
	expired := a.ClientUntil("good", time.Now().Add(-time.Minute))
	foreign := other.Client("good")
	foreign.RootCAs = a.Client("").RootCAs
	for want, config := range map[string]*tls.Config{
		"didn't provide a certificate": a.Client(""),
		"unknown authority":            foreign,
		"has expired":                  expired,
		"is revoked":                   revoked,
		"is not allowed":               a.Client("bad"),
	} {
		if err := refusal(t, c.Server(), config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the server says %v, not %q", err, want)
		}
	}
	if err := refusal(t, c.Server(), a.Client("good")); err != nil {
		t.Error(err)
	}
}
