package certs

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func selfMade(t *testing.T, dir string) Files {
	t.Helper()
	return Files{Auto: true, Dir: filepath.Join(dir, "fixtures", "client"), Names: []string{"localhost", "127.0.0.1"}, Validity: 24 * time.Hour}
}

func TestACertificateOfOnesOwnIsKept(t *testing.T) {
	files := selfMade(t, t.TempDir())
	var log bytes.Buffer
	first := load(t, files, slog.New(slog.NewTextHandler(&log, nil)))
	again := load(t, files, slog.New(slog.NewTextHandler(&log, nil)))
	if a, b := first.Server().Certificates[0].Leaf, again.Server().Certificates[0].Leaf; !a.Equal(b) {
		t.Error("each start makes a certificate")
	}
	if n := strings.Count(log.String(), "made a certificate"); n != 1 {
		t.Errorf("%d lines about it:\n%s", n, &log)
	}
	for path, want := range map[string]os.FileMode{"": 0o700, selfCert: 0o600, selfKey: 0o600} {
		if info, err := os.Stat(filepath.Join(files.Dir, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", path, info, err)
		}
	}
	// A client that is given it can verify the server; a member that dials doesn't.
	text, err := os.ReadFile(filepath.Join(files.Dir, selfCert))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, files)
	if _, err := s.ask(nil); err == nil {
		t.Error("a client trusts it without knowing it")
	}
	client := first.Client().Clone()
	client.ServerName = "127.0.0.1"
	if _, err := s.ask(client); err != nil {
		t.Errorf("a member: %v", err)
	}
	client.InsecureSkipVerify, client.RootCAs = false, x509.NewCertPool()
	client.RootCAs.AppendCertsFromPEM(text)
	if _, err := s.ask(client); err != nil {
		t.Errorf("a client that knows it: %v", err)
	}
}

// A process may live longer than its certificate.
func TestACertificateOfOnesOwnIsMadeAnewWhenItHasRunOut(t *testing.T) {
	files := selfMade(t, t.TempDir())
	c := load(t, files, slog.New(slog.DiscardHandler))
	now := time.Now()
	c.clock = func() time.Time { return now }
	leaf := func() *x509.Certificate { return c.Server().Certificates[0].Leaf }
	first := leaf()
	now = now.Add(files.Validity - time.Minute)
	if !leaf().Equal(first) {
		t.Error("it is made anew while it is good")
	}
	now = now.Add(2 * time.Minute)
	if l := leaf(); l.Equal(first) || !l.NotAfter.After(now) {
		t.Errorf("it has run out, and is still shown: %v", l.NotAfter)
	}
	// What a crash has left of a pair is no reason not to start.
	if err := os.Remove(filepath.Join(files.Dir, selfCert)); err != nil {
		t.Fatal(err)
	}
	load(t, files, slog.New(slog.DiscardHandler))
	write(t, filepath.Join(files.Dir, selfKey), nil)
	load(t, files, slog.New(slog.DiscardHandler))
}

func TestACertificateThatCantBeKeptIsRefused(t *testing.T) {
	files := selfMade(t, t.TempDir())
	write(t, filepath.Dir(filepath.Dir(files.Dir))+"/fixtures", nil)
	if _, err := Load("client", files, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "client TLS: ") {
		t.Errorf("a directory that can't be made: %v", err)
	}
}
