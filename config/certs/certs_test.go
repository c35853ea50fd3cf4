package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/config/certs/tlstest"
	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"
)

// site is a listener with TLS that says hello to whoever it lets in.
type site struct {
	t     *testing.T
	certs *Certificates
	addr  string
	log   bytes.Buffer // written by look, which one handshake at a time calls
}

func serve(t *testing.T, files Files) *site {
	t.Helper()
	s := &site{t: t}
	s.certs = load(t, files, slog.New(slog.NewTextHandler(&s.log, nil)))
	s.addr = serving(t, s.certs)
	return s
}

// serving says hello on an address of its own.
func serving(t *testing.T, c *Certificates) (addr string) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", c.Listener("http/1.1"))
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			_, _ = io.WriteString(conn, "hello") // the other says whether it was let in
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		serving.Wait()
	})
	return ln.Addr().String()
}

// load reads files that are looked at with each handshake.
func load(t *testing.T, files Files, log *slog.Logger) *Certificates {
	t.Helper()
	c, err := Load("client", files, log)
	if err != nil {
		t.Fatal(err)
	}
	c.every = 0
	return c
}

// ask is let in, or says why not.
func (s *site) ask(config *tls.Config) (tls.ConnectionState, error) {
	c, err := tls.Dial("tcp", s.addr, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	answer, err := io.ReadAll(c)
	if err == nil && string(answer) != "hello" {
		err = errors.New("answered " + string(answer))
	}
	return c.ConnectionState(), err
}

// sees says whose certificate is shown.
func (s *site) sees(config *tls.Config, want string) {
	s.t.Helper()
	state, err := s.ask(config)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := state.PeerCertificates[0].Subject.CommonName; got != want {
		s.t.Errorf("the certificate is of %q, want %q", got, want)
	}
}

// issue writes a certificate and its key into dir.
func issue(a *tlstest.Authority, dir, name string) (f Files) {
	f.Cert, f.Key = a.WriteFiles(dir, name)
	return f
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTLSIsModernAndOfTheProtocolAskedFor(t *testing.T) {
	a := tlstest.New(t)
	s := serve(t, issue(a, t.TempDir(), "server"))
	with := func(change func(*tls.Config)) *tls.Config {
		c := a.Client("")
		change(c)
		return c
	}
	state, err := s.ask(with(func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }))
	if err != nil || state.NegotiatedProtocol != "http/1.1" || state.Version != tls.VersionTLS13 {
		t.Errorf("%v: protocol %q over %s", err, state.NegotiatedProtocol, tls.VersionName(state.Version))
	}
	if state, err = s.ask(with(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })); err != nil || state.Version != tls.VersionTLS12 {
		t.Errorf("%v over %s", err, tls.VersionName(state.Version))
	}
	if _, err = s.ask(with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

func TestClientsAreKnownByTheAuthorityOfTheMoment(t *testing.T) {
	a, other, dir := tlstest.New(t), tlstest.New(t), t.TempDir()
	files := issue(a, dir, "server")
	files.CA = a.WriteCA(dir)
	s := serve(t, files) // as with etcd, the CA alone asks for certificates
	known, stranger := a.Client("known"), other.Client("stranger")
	known.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	stranger.RootCAs = known.RootCAs
	if _, err := s.ask(known); err != nil {
		t.Errorf("a client with a certificate: %v", err)
	}
	for name, config := range map[string]*tls.Config{"none": a.Client(""), "a stranger's": stranger} {
		if _, err := s.ask(config); err == nil {
			t.Errorf("a client with %s is let in", name)
		}
	}

	other.WriteCA(dir)
	if _, err := s.ask(known); err == nil {
		t.Error("a client is let in whose certificate isn't trusted any more")
	}
	if _, err := s.ask(stranger); err != nil {
		t.Errorf("a client whose certificate is trusted now: %v", err)
	}
}

func TestServersAreKnownByTheAuthorityOfTheMoment(t *testing.T) {
	a, other, dir := tlstest.New(t), tlstest.New(t), t.TempDir()
	files := issue(a, dir, "me")
	files.CA = a.WriteCA(dir)
	ours := load(t, files, slog.New(slog.DiscardHandler))
	dial := func() *tls.Config {
		c := ours.Client().Clone()
		c.ServerName = "localhost"
		return c
	}
	s, foreign := serve(t, issue(a, t.TempDir(), "ours")), serve(t, issue(other, t.TempDir(), "foreign"))
	s.sees(dial(), "ours")
	if _, err := foreign.ask(dial()); err == nil {
		t.Error("a stranger's certificate is trusted")
	}
	other.WriteCA(dir)
	foreign.sees(dial(), "foreign")
	if _, err := s.ask(dial()); err == nil {
		t.Error("an authority is trusted that isn't there any more")
	}
	issue(other, dir, "renewed")
	if leaf := ours.Client().Certificates[0].Leaf; leaf.Subject.CommonName != "renewed" {
		t.Errorf("who is dialled sees %s", leaf.Subject.CommonName)
	}
}

func TestChangedFilesAreReadAgain(t *testing.T) {
	a, dir := tlstest.New(t), t.TempDir()
	files := issue(a, dir, "first")
	s := serve(t, files)
	client := a.Client("")
	s.sees(client, "first")
	issue(a, dir, "second")
	s.sees(client, "second")

	// Half of a change, and then nonsense: what was there stays, and that is
	// said once for each state of the files.
	cert, _ := a.Issue("third")
	write(t, files.Cert, cert)
	s.sees(client, "second")
	s.sees(client, "second")
	write(t, files.Key, []byte("nonsense"))
	s.sees(client, "second")
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	s.sees(client, "second")
	s.sees(client, "second")
	s.certs.mu.Lock() // who wrote the log last is through
	text := s.log.String()
	s.certs.mu.Unlock()
	if n := strings.Count(text, "can't be used"); n != 3 {
		t.Errorf("%d lines about bad files, want 3:\n%s", n, text)
	}
	issue(a, dir, "fourth")
	s.sees(client, "fourth")
	s.counted(map[string]float64{"done": 2, "failed": 3})
}

// counted wants so many reloads of each result.
func (s *site) counted(want map[string]float64) {
	s.t.Helper()
	var w metric.Writer
	Set{Client: s.certs}.WriteMetrics(&w)
	scrape, err := metrictest.Parse(w.Bytes())
	if err != nil {
		s.t.Fatal(err)
	}
	for result, n := range want {
		if got, _ := scrape.Value("copse_tls_reloads_total", "side", "client", "result", result); got != n {
			s.t.Errorf("%v reloads are %s, want %v", got, result, n)
		}
	}
}

// Changed files can look the same, to the second; who says that they have changed is
// believed.
func TestFilesAreReadAgainWhenToldSo(t *testing.T) {
	a, dir := tlstest.New(t), t.TempDir()
	files := issue(a, dir, "first")
	s := serve(t, files)
	s.certs.every = time.Hour
	s.sees(a.Client(""), "first")
	issue(a, dir, "second")
	s.sees(a.Client(""), "first")
	if err := (Set{Client: s.certs}).Reload(); err != nil {
		t.Fatal(err)
	}
	s.sees(a.Client(""), "second")
	write(t, files.Key, []byte("nonsense"))
	if err := (Set{Client: s.certs}).Reload(); err == nil || !strings.HasPrefix(err.Error(), "client TLS: ") {
		t.Errorf("nonsense is taken: %v", err)
	}
	s.sees(a.Client(""), "second")
	s.counted(map[string]float64{"done": 1, "failed": 1})
	if err := (Set{}).Reload(); err != nil {
		t.Error(err)
	}
}

func TestFilesThatCantBeUsedAreRefused(t *testing.T) {
	a, dir := tlstest.New(t), t.TempDir()
	good := issue(a, dir, "server")
	bad := filepath.Join(dir, "bad")
	write(t, bad, []byte("nonsense"))
	for name, files := range map[string]Files{
		"no files":            {},
		"no certificate":      {Key: good.Key},
		"no key":              {Cert: good.Cert},
		"a missing file":      {Cert: filepath.Join(dir, "missing"), Key: good.Key},
		"nonsense":            {Cert: bad, Key: good.Key},
		"the key of another":  {Cert: good.Cert, Key: issue(a, t.TempDir(), "other").Key},
		"a CA of nonsense":    {Cert: good.Cert, Key: good.Key, CA: bad},
		"a missing CA":        {Cert: good.Cert, Key: good.Key, CA: filepath.Join(dir, "missing")},
		"asking without a CA": {Cert: good.Cert, Key: good.Key, ClientAuth: true},
	} {
		if _, err := Load("peer", files, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "peer TLS: ") {
			t.Errorf("%s is taken: %v", name, err)
		}
	}
}
