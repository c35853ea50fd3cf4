package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Files are the PEM files for one side of TLS.
type Files struct {
	Cert, Key string // this side's own; both are required
	// CA has the authorities for the other side's certificates. With it, a listener requires a
	// client certificate, as with etcd. Without it, a server that is dialled is verified by
	// the system's authorities.
	CA string
	// ClientAuth requires client certificates, and so a CA.
	ClientAuth bool
}

// Certificates are the last usable contents of the files. They are checked for changes at a
// handshake, at most once a second.
type Certificates struct {
	// Fixed after Load.
	files Files
	side  string // for the log and the metrics
	log   *slog.Logger
	every time.Duration

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
	c := &Certificates{files: files, side: side, log: log, every: lookEvery}
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
	c.look(time.Now())
	return c.current.Load().server
}

// Client is the current configuration for dialling once, with the same restriction.
func (c *Certificates) Client() *tls.Config {
	c.look(time.Now())
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
	if stamp == c.stamp {
		return
	}
	if err := c.reload(stamp, err); err != nil {
		c.log.Error("changed certificates can't be used, the previous ones stay in use", "component", "tls", "side", c.side, "err", err)
		return
	}
	c.log.Info("certificates reloaded", "component", "tls", "side", c.side, "not_after", c.current.Load().expires.UTC())
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
	own, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.files.Cert, c.files.Key, err)
	}
	base := tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}
	now := &pair{server: base.Clone(), client: base.Clone(), expires: own.Leaf.NotAfter}
	if c.files.ClientAuth || c.files.CA != "" {
		pool, err := readPool(c.files.CA)
		if err != nil {
			return err
		}
		now.client.RootCAs = pool
		now.server.ClientCAs = pool
		now.server.ClientAuth = tls.RequireAndVerifyClientCert
		// A resumed session would let a client in whose certificate is no longer trusted.
		now.server.SessionTicketsDisabled = true
	}
	c.current.Store(now)
	return nil
}

func readPool(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, errors.New("client certificates can't be verified without a trusted CA")
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("trusted CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("trusted CA: %s holds no certificate in PEM", path)
	}
	return pool, nil
}

// stamp distinguishes states of the files.
type stamp [3]struct {
	missing bool
	size    int64
	changed int64 // Unix nanoseconds
}

func (f Files) stamp() (s stamp, err error) {
	for i, path := range []string{f.Cert, f.Key, f.CA} {
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
