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

// Files name what one side of TLS is made of, in PEM.
type Files struct {
	Cert, Key string // this side's own; both, always
	// CA holds who has to have signed the others' certificates. With a CA, a
	// listener asks for a certificate and refuses whoever has none, as with etcd.
	// Without one, whoever is dialled is checked by the system's authorities.
	CA string
	// ClientAuth demands certificates of whoever connects, and so a CA.
	ClientAuth bool
}

// Certificates are what the files said when they could be used last. A change is
// looked for when a handshake begins, at most once a second.
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
	stamp stamp      // of the files when they were read last, or couldn't be
}

// pair is what handshakes are made with, in either direction.
type pair struct {
	server, client *tls.Config
	expires        time.Time // of the certificate
}

const lookEvery = time.Second

// Load reads the files; all have to be good. The side, "client" or "peer", is
// whose port the files are for.
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

// Server is what to serve with, and Client what to dial with, now: for one
// connection. Only a clone may be changed.
func (c *Certificates) Server() *tls.Config {
	c.look(time.Now())
	return c.current.Load().server
}

func (c *Certificates) Client() *tls.Config {
	c.look(time.Now())
	return c.current.Load().client
}

// Listener is what to serve with for as long as a listener lives: it follows the
// files. The protocols are those that clients may choose from.
func (c *Certificates) Listener(protocols ...string) *tls.Config {
	now := func(*tls.ClientHelloInfo) (*tls.Config, error) {
		config := c.Server().Clone()
		config.NextProtos = protocols
		return config, nil
	}
	config, _ := now(nil) // it has no way to fail
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

// look reads the files again if they have changed since the last look. Who finds
// another looking goes on with what there is.
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

// reload reads what has the stamp, unless taking that has failed. c.mu is held.
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

// read puts in force what the files say, all of it or nothing.
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
		// A resumed session would spare the other from showing a certificate
		// that isn't trusted any more.
		now.server.SessionTicketsDisabled = true
	}
	c.current.Store(now)
	return nil
}

func readPool(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, errors.New("others' certificates can't be checked without a trusted CA")
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

// stamp tells one state of the files from another.
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
