package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// CheckFiles reads the certificates of both ports and reports every problem. A server
// must be able to read them; to ask for its health, or to show its settings, isn't a
// reason to.
func (c *Config) CheckFiles(read func(path string) ([]byte, error)) error {
	return errors.Join(c.ClientTLS.check("", read), c.PeerTLS.check("peer-", read))
}

func (t *TLS) check(prefix string, read func(path string) ([]byte, error)) error {
	var complaints []error
	file := func(flag, path string) []byte {
		if path == "" {
			return nil
		}
		b, err := read(path)
		if err != nil {
			complaints = append(complaints, fmt.Errorf("%s: %w", prefix+flag, err))
		}
		return b
	}
	cert, key, authorities := file("cert-file", t.Cert), file("key-file", t.Key), file("trusted-ca-file", t.CA)
	if cert != nil && key != nil {
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			complaints = append(complaints, fmt.Errorf("%scert-file %s and %skey-file %s: %w", prefix, t.Cert, prefix, t.Key, err))
		}
	}
	if authorities != nil && !x509.NewCertPool().AppendCertsFromPEM(authorities) {
		complaints = append(complaints, fmt.Errorf("%strusted-ca-file %s holds no certificate in PEM", prefix, t.CA))
	}
	return errors.Join(complaints...)
}
