package certs

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"
)

// Members that share a secret need no certificates and no authority. The secret is the
// authority: its key is derived from it, so each member can sign a certificate for itself,
// and verify those of the others in an ordinary TLS handshake. Whoever doesn't know the
// secret can do neither. docs/decisions/2026-11-29-peer-secret.md says why it is so.

// Bounds of a secret. Anybody may connect and be shown a certificate, and then guess
// secrets, as fast as his machines are, until one fits its signature: so a secret must be
// drawn at random, and a word or a name must not pass for one.
const (
	secretFloor   = 32 // bytes of text: 128 bits in hexadecimal
	secretVariety = 8  // different bytes in it
)

// ParseSecrets reads a file with secrets, one a line. The first is the one that this member
// signs with. It trusts all of them, so that the secret of a running cluster can be changed
// member by member.
func ParseSecrets(text []byte) (secrets [][]byte, err error) {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		different := map[byte]struct{}{}
		for _, b := range line {
			different[b] = struct{}{}
		}
		if len(line) < secretFloor || len(different) < secretVariety {
			return nil, fmt.Errorf("line %d can be guessed: a secret has at least %d characters, drawn at random, as by openssl rand -base64 32", len(secrets)+1, secretFloor)
		}
		secrets = append(secrets, line)
	}
	if len(secrets) == 0 {
		return nil, errors.New("is empty; openssl rand -base64 32 prints a secret")
	}
	return secrets, nil
}

// memberName is in the certificates of all members, whatever their addresses: who has the
// secret may be any of them.
const memberName = "member.copse"

// secretPair is the TLS of members that share the secrets of a file.
func secretPair(path string) (*pair, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cluster secret: %w", err)
	}
	secrets, err := ParseSecrets(text)
	if err != nil {
		return nil, fmt.Errorf("cluster secret: %s %w", path, err)
	}
	var first *authority
	var trusted []*x509.Certificate
	for _, secret := range secrets {
		a, err := newAuthority(secret)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = a
		}
		trusted = append(trusted, a.cert)
	}
	own, err := sign(&x509.Certificate{
		Subject:  pkix.Name{CommonName: memberName},
		DNSNames: []string{memberName},
		// It lives no longer than the process, and its holder has the secret too: to let it run
		// out would protect nobody, and stop members whose clocks are wrong.
		NotBefore: beginning, NotAfter: forever,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, first)
	if err != nil {
		return nil, err
	}
	now := newPair(own)
	now.trust(trusted)
	now.client.ServerName = memberName
	now.server.MinVersion, now.client.MinVersion = tls.VersionTLS13, tls.VersionTLS13 // both ends are copse
	return now, nil
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var (
	beginning = time.Unix(0, 0)
	forever   = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) // RFC 5280's "no well-defined expiration date"
)

// newAuthority is the authority that a secret stands for, the same on every member.
func newAuthority(secret []byte) (*authority, error) {
	seed, err := hkdf.Key(sha256.New, secret, nil, "copse: authority of the peer port", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	key := ed25519.NewKeyFromSeed(seed)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		// Different secrets have one name, so that a refusal can say which authority is meant.
		Subject:   pkix.Name{CommonName: "copse cluster secret"},
		NotBefore: beginning, NotAfter: forever,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key}, err
}
