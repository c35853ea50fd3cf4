package config

import (
	"crypto/tls"
	"errors"
	"fmt"

	"copse/config/certs"
)

func (t *TLS) check(prefix string, read func(path string) ([]byte, error)) error {
	var complaints []error
	complain := func(format string, args ...any) { complaints = append(complaints, fmt.Errorf(format, args...)) }
	file := func(flag, path string) []byte {
		if path == "" {
			return nil
		}
		b, err := read(path)
		if err != nil {
			complain("%s: %w", flag, err)
		}
		return b
	}
	cert, key, authorities := file(prefix+"cert-file", t.Cert), file(prefix+"key-file", t.Key), file(prefix+"trusted-ca-file", t.CA)
	if cert != nil && key != nil {
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			complain("%scert-file %s and %skey-file %s: %w", prefix, t.Cert, prefix, t.Key, err)
		}
	}
	trusted := certs.ParseAuthorities(authorities)
	if authorities != nil && len(trusted) == 0 {
		complain("%strusted-ca-file %s holds no certificate in PEM", prefix, t.CA)
	}
	if revoked := file(sideOf(prefix)+"crl-file", t.CRL); revoked != nil {
		if _, err := certs.ParseRevoked(revoked, trusted); err != nil {
			complain("%scrl-file %s %w", sideOf(prefix), t.CRL, err)
		}
	}
	if secret := file("cluster-secret-file", t.Secret); secret != nil {
		if _, err := certs.ParseSecrets(secret); err != nil {
			complain("cluster-secret-file %s %w", t.Secret, err)
		}
	}
	return errors.Join(complaints...)
}
