package peerlink

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSFiles names the files that a member proves itself with, and knows the
// others by. All are PEM.
type TLSFiles struct {
	Cert, Key string // both, or none to dial without
	// CA is who has to have signed the others' certificates. With a CA a
	// listener asks for a certificate, and refuses whoever has none.
	CA string
	// ClientAuth demands a certificate of whoever connects, and so a CA.
	ClientAuth bool
	// Logger is told of files that have changed and can't be used; nil discards.
	Logger *slog.Logger
}

// Server returns the configuration for listeners. A certificate and a key that
// change on disk are used from the next handshake on; the CA is read once.
func (f TLSFiles) Server() (*tls.Config, error) {
	if f.Cert == "" && f.Key == "" {
		return nil, errors.New("TLS: a listener needs a certificate and a key")
	}
	pair, pool, err := f.load()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get(), nil },
		ClientCAs:      pool,
	}
	if f.ClientAuth && pool == nil {
		return nil, errors.New("TLS: to demand certificates takes a CA to check them by")
	}
	if pool != nil {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

// Client returns the configuration for dialling, with the same certificate if
// there is one. Without a CA the system's are trusted.
func (f TLSFiles) Client() (*tls.Config, error) {
	pair, pool, err := f.load()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	if pair != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get(), nil }
	}
	return c, nil
}

// load reads all the files. pair is nil if there is none, and so is pool.
func (f TLSFiles) load() (pair *keyPair, pool *x509.CertPool, err error) {
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, nil, fmt.Errorf("TLS: %w", err)
		}
		pool = x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, nil, fmt.Errorf("TLS: there is no certificate in %s", f.CA)
		}
	}
	if f.Cert == "" && f.Key == "" {
		return nil, pool, nil
	}
	pair = &keyPair{cert: f.Cert, key: f.Key, log: f.Logger}
	if pair.log == nil {
		pair.log = slog.New(slog.DiscardHandler)
	}
	if err := pair.read(pair.stamps()); err != nil {
		return nil, nil, fmt.Errorf("TLS: certificate %s, key %s: %w", f.Cert, f.Key, err)
	}
	return pair, pool, nil
}

// keyPair is a certificate and its key, read again when their files change.
type keyPair struct {
	cert, key string
	log       *slog.Logger

	mu   sync.Mutex
	pair *tls.Certificate
	seen [2]stamp // the files when they were last read, or couldn't be
}

// stamp is what tells that a file has changed.
type stamp struct {
	at   time.Time
	size int64
}

// get returns the latest pair that could be read. The two files are never
// replaced in one step, so what doesn't fit together is no reason to fail.
func (p *keyPair) get() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.stamps(); now != p.seen {
		if err := p.read(now); err != nil {
			p.log.Warn("can't use the changed certificate, and go on with the one before", "certificate", p.cert, "key", p.key, "error", err)
		}
	}
	return p.pair
}

func (p *keyPair) read(now [2]stamp) error {
	p.seen = now
	pair, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err == nil {
		p.pair = &pair
	}
	return err
}

func (p *keyPair) stamps() (s [2]stamp) {
	for i, name := range []string{p.cert, p.key} {
		if info, err := os.Stat(name); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}
