package httpfront

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

	"copse/statemachine/metric"
)

// TLSFiles name what clients' TLS is made of, in PEM.
type TLSFiles struct {
	Cert, Key string // the server's
	// TrustedCA holds who may sign clients' certificates. As with etcd, naming it
	// is asking for them.
	TrustedCA string
	// ClientAuth refuses clients without a certificate.
	ClientAuth bool
}

// Certificates are the server's half of TLS, read from files, and read again
// when those have changed. A change is looked for at a handshake, at most once
// a second. Files that can't be used leave what was read before in force.
type Certificates struct {
	// Fixed after LoadCertificates.
	files TLSFiles
	log   *slog.Logger
	every time.Duration

	current atomic.Pointer[tls.Config]
	expires atomic.Int64 // the certificate, Unix seconds
	reloads struct{ done, failed atomic.Uint64 }

	mu    sync.Mutex // guards what follows; who finds it taken goes on with what there is
	next  time.Time  // when to look
	stamp stamp      // of the files when they were looked at last
}

const reloadEvery = time.Second

// LoadCertificates reads the files; all have to be good.
func LoadCertificates(files TLSFiles, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{files: files, log: log, every: reloadEvery}
	var err error
	if c.stamp, err = files.stamp(); err == nil {
		err = c.load()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Config is what a listener needs; it follows the files.
func (c *Certificates) Config() *tls.Config {
	config := c.current.Load().Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c.look(time.Now())
		return c.current.Load(), nil
	}
	return config
}

// load makes what the files say the configuration in force.
func (c *Certificates) load() error {
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.files.Cert, c.files.Key, err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}
	if c.files.ClientAuth || c.files.TrustedCA != "" {
		if config.ClientCAs, err = readPool(c.files.TrustedCA); err != nil {
			return err
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
		// A resumed session would spare the client from showing a certificate
		// that isn't trusted any more.
		config.SessionTicketsDisabled = true
	}
	c.current.Store(config)
	c.expires.Store(pair.Leaf.NotAfter.Unix())
	return nil
}

func readPool(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, errors.New("clients' certificates can't be checked without a trusted CA")
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

// look reads the files again if they have changed since the last look.
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
	c.stamp = stamp
	if err == nil {
		err = c.load()
	}
	if err != nil {
		c.reloads.failed.Add(1)
		c.log.Error("the certificates have changed and can't be used; those from before stay", "component", "tls", "err", err)
		return
	}
	c.reloads.done.Add(1)
	c.log.Info("certificates read again", "component", "tls", "not_after", time.Unix(c.expires.Load(), 0).UTC())
}

// stamp tells one state of the files from another.
type stamp [3]struct {
	missing bool
	size    int64
	changed int64
}

func (f TLSFiles) stamp() (s stamp, err error) {
	for i, path := range []string{f.Cert, f.Key, f.TrustedCA} {
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

// WriteMetrics writes how the certificates stand.
func (c *Certificates) WriteMetrics(w *metric.Writer) {
	w.Gauge("copse_tls_certificate_expiry_timestamp_seconds", "When the certificate that clients see ends, Unix time.", float64(c.expires.Load()))
	w.Family("copse_tls_reloads_total", metric.CounterKind, "Times that changed certificates were read, and how that went.")
	w.Uint(c.reloads.done.Load(), "result", "done")
	w.Uint(c.reloads.failed.Load(), "result", "failed")
}
