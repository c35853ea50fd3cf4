package certs

import (
	"crypto/tls"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"copse/config/certs/tlstest"
)

const (
	secretA = "8sJr4W1Zq0c2b6Yk7Vd3mP9xT5nLhG+uEoIaRfXyBCw="
	secretB = "4b1d0c7e9f2a8653b4d7c0e1f2a398654b1d0c7e9f2a8653b4d7c0e1f2a39865"
)

// member is one that has these secrets.
func member(t *testing.T, secrets string) (c *Certificates, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "secret")
	write(t, file, []byte(secrets))
	return load(t, Files{Secret: file}, slog.New(slog.DiscardHandler)), file
}

// meet reports what both sides say of a connection.
func meet(t *testing.T, from, to *Certificates) (dialler, listener error) {
	t.Helper()
	s := &site{t: t, certs: to, addr: serving(t, to)}
	_, dialler = s.ask(from.Client())
	return dialler, refusal(t, to.Server(), from.Client())
}

func TestASecretLetsMembersKnowEachOther(t *testing.T) {
	a, _ := member(t, secretA)
	same, _ := member(t, "\n  "+secretA+"\r\n")
	other, _ := member(t, secretB)
	if d, l := meet(t, a, same); d != nil || l != nil {
		t.Errorf("with one secret: %v, %v", d, l)
	}
	if d, l := meet(t, a, other); d == nil || l == nil || !strings.Contains(d.Error(), "copse cluster secret") {
		t.Errorf("with another secret: %v, %v", d, l)
	}
	// A stranger who doesn't care whom he speaks to is no member either.
	for name, stranger := range map[string]*tls.Config{
		"no certificate":    {InsecureSkipVerify: true},
		"an authority's":    tlstest.New(t).Client(memberName),
		"another secret's":  other.Client().Clone(),
		"one of his making": load(t, selfMade(t, t.TempDir()), slog.New(slog.DiscardHandler)).Client().Clone(),
		"a TLS of yesterday": func() *tls.Config {
			c := same.Client().Clone()
			c.MinVersion, c.MaxVersion = 0, tls.VersionTLS12
			return c
		}(),
	} {
		stranger.InsecureSkipVerify = true
		if err := refusal(t, a.Server(), stranger); err == nil {
			t.Errorf("a stranger with %s is let in", name)
		}
	}
}

// A cluster goes from one secret to another, member by member and without a pause.
func TestSecretsCanBeChangedMemberByMember(t *testing.T) {
	a, fileA := member(t, secretA)
	b, fileB := member(t, secretA)
	steps := []struct{ file, secrets string }{
		{fileA, secretA + "\n" + secretB}, {fileB, secretA + "\n" + secretB},
		{fileA, secretB + "\n" + secretA}, {fileB, secretB + "\n" + secretA},
		{fileA, secretB}, {fileB, secretB},
	}
	for i, step := range steps {
		write(t, step.file, []byte(step.secrets))
		a.Server()
		b.Server()
		for _, pair := range [][2]*Certificates{{a, b}, {b, a}} {
			if d, l := meet(t, pair[0], pair[1]); d != nil || l != nil {
				t.Errorf("step %d: %v, %v", i, d, l)
			}
		}
	}
	old, _ := member(t, secretA)
	if d, l := meet(t, old, a); d == nil || l == nil {
		t.Error("the old secret is still good")
	}
}

func TestSecretsThatCanBeGuessedAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "blank lines": " \n\n", "a word": "swordfish", "one that is a little short": secretA[:31],
		"a long one of one letter": strings.Repeat("a", 64), "a short second": secretA + "\nsecond",
	} {
		if _, err := ParseSecrets([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		} else if strings.Contains(err.Error(), "swordfish") {
			t.Errorf("the secret is in the error: %v", err)
		}
	}
	if _, err := Load("peer", Files{Secret: filepath.Join(t.TempDir(), "missing")}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a missing file is taken")
	}
}
