package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
)

// check looks at the certificates that the other side has shown, its own first. They are
// trusted already.
type check func(shown []*x509.Certificate) error

// checks are those that the files ask for.
func (f *Files) checks(authorities []*x509.Certificate) (list []check, err error) {
	if f.CRL != "" {
		text, err := os.ReadFile(f.CRL)
		if err != nil {
			return nil, fmt.Errorf("revoked certificates: %w", err)
		}
		revoked, err := ParseRevoked(text, authorities)
		if err != nil {
			return nil, fmt.Errorf("revoked certificates: %s %w", f.CRL, err)
		}
		list = append(list, revoked.check)
	}
	if f.AllowedCN != "" || f.AllowedHostname != "" {
		list = append(list, f.checkName)
	}
	return list, nil
}

func (f *Files) checkName(shown []*x509.Certificate) error {
	if len(shown) == 0 {
		return errors.New("there is no certificate whose name could be allowed")
	}
	leaf := shown[0]
	if f.AllowedCN != "" && leaf.Subject.CommonName != f.AllowedCN {
		return fmt.Errorf("the name in its certificate is not allowed: %q is not %q", leaf.Subject.CommonName, f.AllowedCN)
	}
	if f.AllowedHostname != "" && leaf.VerifyHostname(f.AllowedHostname) != nil {
		return fmt.Errorf("the name in its certificate is not allowed: %q and %q are not %q", leaf.DNSNames, leaf.IPAddresses, f.AllowedHostname)
	}
	return nil
}

// Revoked are certificates that their authority has revoked, by its name and their serial
// number: two authorities may use the same numbers.
type Revoked map[revokedKey]struct{}

type revokedKey struct{ issuer, serial string }

func newRevokedKey(issuer []byte, serial *big.Int) revokedKey {
	return revokedKey{string(issuer), string(serial.Bytes())}
}

// ParseRevoked reads lists of revoked certificates: several in PEM, or one in DER. A list
// of one of the authorities must have its signature; one of another is taken as it is, for
// there may be authorities between. As with etcd, a list may be older than it means to be.
func ParseRevoked(text []byte, authorities []*x509.Certificate) (Revoked, error) {
	lists := [][]byte{}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "X509 CRL" {
			lists = append(lists, block.Bytes)
		}
	}
	if len(lists) == 0 && len(text) > 0 && !bytes.Contains(text, []byte("-----BEGIN")) {
		lists = append(lists, text)
	}
	if len(lists) == 0 {
		return nil, errors.New("holds no list of revoked certificates in PEM")
	}
	revoked := Revoked{}
	for _, der := range lists {
		if err := revoked.add(der, authorities); err != nil {
			return nil, err
		}
	}
	return revoked, nil
}

func (r Revoked) add(der []byte, authorities []*x509.Certificate) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("holds no list of revoked certificates: %w", err)
	}
	known, signed := false, false
	for _, a := range authorities { // several may have one name, while one is replaced
		if bytes.Equal(a.RawSubject, list.RawIssuer) {
			known = true
			signed = signed || list.CheckSignatureFrom(a) == nil
		}
	}
	if known && !signed {
		return fmt.Errorf("holds a list that %q, whose name it has, has not signed", list.Issuer)
	}
	for _, entry := range list.RevokedCertificateEntries {
		r[newRevokedKey(list.RawIssuer, entry.SerialNumber)] = struct{}{}
	}
	return nil
}

func (r Revoked) check(shown []*x509.Certificate) error {
	for _, c := range shown {
		if _, gone := r[newRevokedKey(c.RawIssuer, c.SerialNumber)]; gone {
			return fmt.Errorf("its certificate is revoked: %q, serial number %x", c.Subject, c.SerialNumber)
		}
	}
	return nil
}
