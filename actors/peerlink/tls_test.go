package peerlink_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"copse/actors/peerlink"
)

// authority is a CA that lasts as long as its test.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newCA(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template("the authority", true), template("the authority", true), &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert}
}

func template(name string, isCA bool) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: isCA, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
}

// issue writes a new certificate and its key over those of the files.
func (a *authority) issue(t *testing.T, name string, f peerlink.TLSFiles) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template(name, false), a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, f.Cert, "CERTIFICATE", der)
	writePEM(t, f.Key, "PRIVATE KEY", secret)
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// files are what a member of this CA is given.
func (a *authority) files(t *testing.T) peerlink.TLSFiles {
	t.Helper()
	dir := t.TempDir()
	f := peerlink.TLSFiles{
		Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"),
		CA: filepath.Join(dir, "ca.pem"), ClientAuth: true,
	}
	a.issue(t, "a member", f)
	writePEM(t, f.CA, "CERTIFICATE", a.cert.Raw)
	return f
}

func TestFilesThatDoNotDo(t *testing.T) {
	good := newCA(t).files(t)
	other := newCA(t).files(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]peerlink.TLSFiles{
		"no files":                    {},
		"no key":                      {Cert: good.Cert, CA: good.CA},
		"another's key":               {Cert: good.Cert, Key: other.Key},
		"a file that isn't there":     {Cert: good.Cert, Key: empty + "er"},
		"a CA without certificates":   {Cert: good.Cert, Key: good.Key, CA: empty},
		"a CA that isn't there":       {Cert: good.Cert, Key: good.Key, CA: empty + "er"},
		"client certificates, no CA":  {Cert: good.Cert, Key: good.Key, ClientAuth: true},
		"a certificate that is empty": {Cert: empty, Key: good.Key},
	} {
		if _, err := f.Server(); err == nil || !strings.HasPrefix(err.Error(), "TLS: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A CA alone demands certificates too, as etcd does.
	c, err := peerlink.TLSFiles{Cert: good.Cert, Key: good.Key, CA: good.CA}.Server()
	if err != nil || c.ClientAuth != tls.RequireAndVerifyClientCert {
		t.Errorf("a CA without a word on clients: %v, %v", c.ClientAuth, err)
	}
}

// A certificate is renewed under a running member.
func TestChangedCertificatesAreUsed(t *testing.T) {
	ca := newCA(t)
	f := ca.files(t)
	server, err := f.Server()
	if err != nil {
		t.Fatal(err)
	}
	client, err := f.Client()
	if err != nil {
		t.Fatal(err)
	}
	names := func() (string, string) {
		t.Helper()
		s, err := server.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.GetClientCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.Leaf.Subject.CommonName, c.Leaf.Subject.CommonName
	}
	later := func(file string) { // the clock of the file system may be coarse
		t.Helper()
		when := time.Now().Add(time.Duration(1+len(file)) * time.Second)
		if err := os.Chtimes(file, when, when); err != nil {
			t.Fatal(err)
		}
	}
	ca.issue(t, "renewed", f)
	later(f.Cert)
	if s, c := names(); s != "renewed" || c != "renewed" {
		t.Errorf("after a renewal: %q, %q", s, c)
	}
	if err := os.WriteFile(f.Key, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, c := names(); s != "renewed" || c != "renewed" {
		t.Errorf("amid a renewal: %q, %q", s, c)
	}
	ca.issue(t, "again", f)
	if s, c := names(); s != "again" || c != "again" {
		t.Errorf("after the next: %q, %q", s, c)
	}
}
