package tlstest

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
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	PEM []byte // its own certificate

	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New returns an authority that nobody knows yet.
func New(t testing.TB) *Authority { return Named(t, "test authority") }

// Named is New with a name of its own.
func Named(t testing.TB, name string) *Authority {
	t.Helper()
	a := &Authority{t: t}
	a.key = a.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der := a.sign(template, template, &a.key.PublicKey)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.PEM = encode("CERTIFICATE", der)
	return a
}

func (a *Authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *Authority) sign(template, parent *x509.Certificate, of *ecdsa.PublicKey) []byte {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, of, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Issue returns a certificate and its key in PEM, for a server on loopback as
// well as for a client.
func (a *Authority) Issue(name string) (cert, key []byte) {
	return a.issue(name, time.Now().Add(time.Hour))
}

func (a *Authority) issue(name string, until time.Time) (cert, key []byte) {
	a.t.Helper()
	private := a.newKey()
	der := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, a.cert, &private.PublicKey)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", secret)
}

// WriteFiles writes a certificate and its key into dir, over those of the last
// call.
func (a *Authority) WriteFiles(dir, name string) (certFile, keyFile string) {
	return a.WriteFilesUntil(dir, name, time.Now().Add(time.Hour))
}

// WriteFilesUntil is WriteFiles with a certificate that runs out then.
func (a *Authority) WriteFilesUntil(dir, name string, until time.Time) (certFile, keyFile string) {
	a.t.Helper()
	cert, key := a.issue(name, until)
	return a.write(dir, "server.crt", cert), a.write(dir, "server.key", key)
}

// WriteCA writes the authority's own certificate into dir.
func (a *Authority) WriteCA(dir string) (file string) {
	a.t.Helper()
	return a.write(dir, "ca.crt", a.PEM)
}

// CRL is the list of the certificates that the authority has revoked, in PEM: all of
// these serial numbers.
func (a *Authority) CRL(revoked ...*big.Int) []byte {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, serial := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return encode("X509 CRL", der)
}

// WriteCRL writes that list into dir.
func (a *Authority) WriteCRL(dir string, revoked ...*big.Int) (file string) {
	a.t.Helper()
	return a.write(dir, "ca.crl", a.CRL(revoked...))
}

func (a *Authority) write(dir, name string, text []byte) string {
	a.t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// Server returns what a server on loopback needs.
func (a *Authority) Server(name string) *tls.Config {
	a.t.Helper()
	pair, err := tls.X509KeyPair(a.Issue(name))
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

// Client returns what a client needs that trusts the authority. With a name it
// has a certificate of its own.
func (a *Authority) Client(name string) *tls.Config {
	return a.ClientUntil(name, time.Now().Add(time.Hour))
}

// ClientUntil is Client with a certificate that runs out then. It is shown whether the
// server asks for the authority's or another's.
func (a *Authority) ClientUntil(name string, until time.Time) *tls.Config {
	a.t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AddCert(a.cert)
	if name == "" {
		return c
	}
	pair, err := tls.X509KeyPair(a.issue(name, until))
	if err != nil {
		a.t.Fatal(err)
	}
	c.Certificates = []tls.Certificate{pair}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return c
}
