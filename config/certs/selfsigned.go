package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// self: the certificate is this server's own making.
func (f *Files) self() bool { return f.Cert == "" && f.Auto }

// The files of such a certificate, with etcd's names. Clients that are given the first
// can verify the server.
const (
	selfCert = "cert.pem"
	selfKey  = "key.pem"
)

// clockSlack is how far behind the clocks of others may be.
const clockSlack = time.Hour

// selfSigned returns the certificate that is kept in the directory, or makes one if there
// is none, or it has run out, or a crash has left half of it.
func (c *Certificates) selfSigned(now time.Time) (tls.Certificate, error) {
	dir := c.files.Dir
	cert, key := filepath.Join(dir, selfCert), filepath.Join(dir, selfKey)
	kept, err := tls.LoadX509KeyPair(cert, key)
	switch {
	case err == nil && now.Before(kept.Leaf.NotAfter):
		return kept, nil
	case errors.Is(err, fs.ErrPermission):
		return kept, err
	}
	own, err := newSelfSigned(now, c.files.Names, c.files.Validity)
	if err != nil {
		return own, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = replaceFile(key, "PRIVATE KEY", secret)
	}
	if err == nil {
		err = replaceFile(cert, "CERTIFICATE", own.Certificate[0])
	}
	if err != nil {
		return own, fmt.Errorf("keep a certificate of one's own: %w", err)
	}
	c.log.Info("made a certificate, signed by itself", "component", "tls", "side", c.side, "file", cert, "names", c.files.Names, "not_after", own.Leaf.NotAfter)
	return own, nil
}

func newSelfSigned(now time.Time, names []string, validity time.Duration) (tls.Certificate, error) {
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"copse"}},
		NotBefore: now.Add(-clockSlack), NotAfter: now.Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		// It may be given to clients as the authority to trust.
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return sign(template, nil)
}

// sign makes a key, and the certificate for it. Without an authority it signs itself.
func sign(template *x509.Certificate, by *authority) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	if by == nil {
		by = &authority{cert: template, key: key}
	}
	// Without a serial number in the template a random one is made.
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// replaceFile writes a PEM file for this user only, all of it or none.
func replaceFile(path, kind string, der []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // its mode is 0600
	if err != nil {
		return err
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
