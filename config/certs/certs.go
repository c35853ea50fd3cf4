package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Files are where one side of TLS comes from. PEM files, or a secret, or a certificate of
// this server's own: of Cert, Secret and Auto the first that is set decides.
type Files struct {
	Cert, Key string // this side's own
	// CA has the authorities for the other side's certificates. With it, a listener requires a
	// client certificate, as with etcd. Without it, a server that is dialled is verified by
	// the system's authorities.
	CA string
	// ClientAuth requires client certificates, and so a CA.
	ClientAuth bool
	// CRL lists certificates that their authorities have revoked.
	CRL string
	// The common name, or a name or address among the alternative ones, that the other side's
	// certificate must have. At most one is set.
	AllowedCN, AllowedHostname string
	// Auto makes a certificate, signed by itself, for Names. It is kept in Dir, and made anew
	// after Validity. Nobody can verify it unless told of it, so who dials doesn't.
	Auto     bool
	Dir      string
	Names    []string
	Validity time.Duration
	// Secret is a file with the cluster's secret: see [ParseSecrets].
	Secret string
}

// some reports whether there is TLS at all.
func (f *Files) some() bool { return f.Cert != "" || f.Secret != "" || f.Auto }

// Certificates are the last usable contents of the files. They are checked for changes at a
// handshake, at most once a second.
type Certificates struct {
	// Fixed after Load.
	files Files
	side  string // for the log and the metrics
	log   *slog.Logger
	every time.Duration
	clock func() time.Time

	current atomic.Pointer[pair]
	reloads struct{ done, failed atomic.Uint64 }

	mu    sync.Mutex // guards what follows
	next  time.Time  // when to look
	stamp stamp      // of the files when they were last read, successfully or not
}

// pair has the configurations of handshakes, for both directions.
type pair struct {
	server, client *tls.Config
	expires        time.Time // of the certificate
}

const lookEvery = time.Second

// Load reads the files, which must all be usable. The side, "client" or "peer", is the port
// that they are for.
func Load(side string, files Files, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{files: files, side: side, log: log, every: lookEvery, clock: time.Now}
	var err error
	if c.stamp, err = files.stamp(); err == nil {
		err = c.read()
	}
	if err != nil {
		return nil, fmt.Errorf("%s TLS: %w", side, err)
	}
	return c, nil
}

// Server is the current configuration for accepting one connection. It must not be
// modified, only cloned.
func (c *Certificates) Server() *tls.Config {
	c.look(c.clock())
	return c.current.Load().server
}

// Client is the current configuration for dialling once, with the same restriction.
func (c *Certificates) Client() *tls.Config {
	c.look(c.clock())
	return c.current.Load().client
}

// Listener is a configuration for the lifetime of a listener: it follows the files. Clients
// choose among the protocols.
func (c *Certificates) Listener(protocols ...string) *tls.Config {
	now := func(*tls.ClientHelloInfo) (*tls.Config, error) {
		config := c.Server().Clone()
		config.NextProtos = protocols
		return config, nil
	}
	config, _ := now(nil) // it can't fail
	config.GetConfigForClient = now
	return config
}

// Reload reads the files, changed or not.
func (c *Certificates) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp, err := c.files.stamp()
	return c.reload(stamp, err)
}

// look reloads the files if they have changed since the last look. It returns at once if
// another goroutine is looking.
func (c *Certificates) look(now time.Time) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if now.Before(c.next) {
		return
	}
	c.next = now.Add(c.every)
	stamp, err := c.files.stamp()
	if stamp == c.stamp && !c.ranOut(now) {
		return
	}
	if err := c.reload(stamp, err); err != nil {
		c.log.Error("changed certificates can't be used, the previous ones stay in use", "component", "tls", "side", c.side, "err", err)
		return
	}
	c.log.Info("certificates reloaded", "component", "tls", "side", c.side, "not_after", c.current.Load().expires.UTC())
}

// ranOut reports whether a certificate of this server's own has to be made anew.
func (c *Certificates) ranOut(now time.Time) bool {
	return c.files.self() && !now.Before(c.current.Load().expires)
}

// reload reads the files, whose stamp has been taken, or failed to be. c.mu is held.
func (c *Certificates) reload(stamp stamp, err error) error {
	c.stamp = stamp
	if err == nil {
		err = c.read()
	}
	if err != nil {
		c.reloads.failed.Add(1)
		return err
	}
	c.reloads.done.Add(1)
	return nil
}

// read loads the files and makes them current, all of them or none.
func (c *Certificates) read() error {
	now, err := c.load()
	if err != nil {
		return err
	}
	c.current.Store(now)
	if !c.clock().Before(now.expires) {
		c.log.Warn("the certificate has expired, and clients that verify it refuse this server; renew the file, which is read again within seconds",
			"component", "tls", "side", c.side, "file", c.files.Cert, "not_after", now.expires.UTC())
	}
	return nil
}

func (c *Certificates) load() (*pair, error) {
	if c.files.Cert == "" && c.files.Secret != "" {
		return secretPair(c.files.Secret)
	}
	own, err := c.own()
	if err != nil {
		return nil, err
	}
	now := newPair(own)
	now.client.InsecureSkipVerify = c.files.self()
	var authorities []*x509.Certificate
	if c.files.ClientAuth || c.files.CA != "" {
		if authorities, err = readAuthorities(c.files.CA); err != nil {
			return nil, err
		}
		now.trust(authorities)
	}
	err = c.verify(now, authorities)
	return now, err
}

// own is the certificate to show.
func (c *Certificates) own() (tls.Certificate, error) {
	if c.files.self() {
		return c.selfSigned(c.clock())
	}
	own, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		err = fmt.Errorf("certificate %s with key %s: %w", c.files.Cert, c.files.Key, err)
	}
	return own, err
}

// verify adds what the other side's certificate must be, beside trusted: for both
// directions, as with etcd.
func (c *Certificates) verify(now *pair, authorities []*x509.Certificate) error {
	checks, err := c.files.checks(authorities)
	if err != nil || len(checks) == 0 {
		return err
	}
	verify := func(s tls.ConnectionState) error {
		for _, check := range checks {
			if err := check(s.PeerCertificates); err != nil {
				return err
			}
		}
		return nil
	}
	now.server.VerifyConnection, now.client.VerifyConnection = verify, verify
	return nil
}

func newPair(own tls.Certificate) *pair {
	base := tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}
	now := &pair{server: base.Clone(), client: base.Clone(), expires: own.Leaf.NotAfter}
	// Shown even to who trusts other authorities only: the refusal then says why.
	now.client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	return now
}

// trust admits certificates of these authorities only.
func (p *pair) trust(authorities []*x509.Certificate) {
	pool := x509.NewCertPool()
	for _, a := range authorities {
		pool.AddCert(a)
	}
	p.client.RootCAs = pool
	p.server.ClientCAs = pool
	p.server.ClientAuth = tls.RequireAndVerifyClientCert
	// A resumed session would let a client in whose certificate is no longer trusted.
	p.server.SessionTicketsDisabled = true
}

func readAuthorities(path string) ([]*x509.Certificate, error) {
	if path == "" {
		return nil, errors.New("client certificates can't be verified without a trusted CA")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("trusted CA: %w", err)
	}
	list := ParseAuthorities(text)
	if len(list) == 0 {
		return nil, fmt.Errorf("trusted CA: %s holds no certificate in PEM", path)
	}
	return list, nil
}

// ParseAuthorities returns the certificates of a file. Like x509.CertPool it passes over
// what it can't read.
func ParseAuthorities(text []byte) (list []*x509.Certificate) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return list
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			list = append(list, c)
		}
	}
}

// stamp distinguishes states of the files.
type stamp [5]struct {
	missing bool
	size    int64
	changed int64 // Unix nanoseconds
}

func (f *Files) stamp() (s stamp, err error) {
	for i, path := range []string{f.Cert, f.Key, f.CA, f.CRL, f.Secret} {
		if path == "" {
			continue
		}
		info, e := os.Stat(path)
		if e != nil {
			s[i].missing = true
			err = errors.Join(err, e)
			continue
		}
		s[i].size, s[i].changed = info.Size(), info.ModTime().UnixNano()
	}
	return s, err
}
