package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/config"
)

const (
	secureClient = "--listen-client-urls=https://127.0.0.1:1"
	securePeer   = "--listen-peer-urls=https://127.0.0.1:2"
)

func TestSecurity(t *testing.T) {
	tests := []struct {
		name         string
		args         []string
		environ      []string
		client, peer config.TLS
		warnings     []string
	}{
		{name: "none"},
		{name: "clients", args: []string{secureClient, "--cert-file=c", "--key-file=k"}, client: config.TLS{Cert: "c", Key: "k"}},
		{name: "only on the operations port", args: []string{"--listen-metrics-urls=https://127.0.0.1:3", "--cert-file=c", "--key-file=k"},
			client: config.TLS{Cert: "c", Key: "k"}},
		{name: "https beside http", args: []string{"--listen-client-urls=https://10.0.0.1:1,http://127.0.0.1:1", "--cert-file=c", "--key-file=k"},
			client: config.TLS{Cert: "c", Key: "k"}},
		{name: "members, both ways", args: []string{securePeer, "--peer-cert-file=c", "--peer-key-file=k", "--peer-trusted-ca-file=a", "--peer-client-cert-auth"},
			peer: config.TLS{Cert: "c", Key: "k", CA: "a", ClientAuth: true}},
		{name: "by variables", environ: []string{"ETCD_LISTEN_PEER_URLS=https://127.0.0.1:2", "ETCD_PEER_CERT_FILE=c", "ETCD_PEER_KEY_FILE=k"},
			peer: config.TLS{Cert: "c", Key: "k"}},
		{name: "authorities ask for certificates", args: []string{secureClient, "--cert-file=c", "--key-file=k", "--trusted-ca-file=a"},
			client: config.TLS{Cert: "c", Key: "k", CA: "a", ClientAuth: true}},
		{name: "even against the word of a flag", args: []string{secureClient, "--cert-file=c", "--key-file=k", "--trusted-ca-file=a", "--client-cert-auth=false"},
			client:   config.TLS{Cert: "c", Key: "k", CA: "a", ClientAuth: true},
			warnings: []string{"client-cert-auth is false, but trusted-ca-file turns it on, as in etcd 3"}},
		{name: "etcd 2's names", args: []string{secureClient, "--cert-file=c", "--key-file=k", "--ca-file=a", securePeer, "--peer-cert-file=d", "--peer-key-file=l"},
			environ: []string{"ETCD_PEER_CA_FILE=b"},
			client:  config.TLS{Cert: "c", Key: "k", CA: "a", ClientAuth: true},
			peer:    config.TLS{Cert: "d", Key: "l", CA: "b", ClientAuth: true}},
		{name: "a newer name outranks an older one", args: []string{secureClient, "--cert-file=c", "--key-file=k", "--trusted-ca-file=a"}, environ: []string{"ETCD_CA_FILE=old"},
			client: config.TLS{Cert: "c", Key: "k", CA: "a", ClientAuth: true}},
		{name: "and the other way round", args: []string{secureClient, "--cert-file=c", "--key-file=k", "--ca-file=a"}, environ: []string{"ETCD_TRUSTED_CA_FILE=new"},
			client: config.TLS{Cert: "c", Key: "k", CA: "a", ClientAuth: true}},
		{name: "names and revoked certificates", args: []string{secureClient, "--cert-file=c", "--key-file=k", "--trusted-ca-file=a", "--client-crl-file=r", "--client-cert-allowed-cn=n",
			securePeer, "--peer-cert-file=d", "--peer-key-file=l", "--peer-trusted-ca-file=b", "--peer-crl-file=q", "--peer-cert-allowed-hostname=h"},
			client: config.TLS{Cert: "c", Key: "k", CA: "a", ClientAuth: true, CRL: "r", AllowedCN: "n"},
			peer:   config.TLS{Cert: "d", Key: "l", CA: "b", ClientAuth: true, CRL: "q", AllowedHostname: "h"}},
		{name: "certificates of one's own", args: []string{"--name=m", secureClient, "--auto-tls", "--advertise-client-urls=https://here:1", securePeer}, environ: []string{"ETCD_PEER_AUTO_TLS=true", "ETCD_SELF_SIGNED_CERT_VALIDITY=2"},
			client: config.TLS{Auto: true, Dir: "m.copse/fixtures/client", Names: []string{"localhost", "127.0.0.1", "::1", "box1", "here"}, Validity: 2 * 365 * 24 * time.Hour},
			peer:   config.TLS{Auto: true, Dir: "m.copse/fixtures/peer", Names: []string{"localhost", "127.0.0.1", "::1", "box1"}, Validity: 2 * 365 * 24 * time.Hour}},
		{name: "files outrank them", args: []string{secureClient, "--auto-tls=false", securePeer, "--peer-cert-file=c", "--peer-key-file=k", "--cert-file=c", "--key-file=k"},
			client: config.TLS{Cert: "c", Key: "k"}, peer: config.TLS{Cert: "c", Key: "k"}},
		{name: "a secret takes one setting", args: []string{"--cluster-secret-file=s"}, peer: config.TLS{Secret: "s"}},
		{name: "a secret beside a port without", args: []string{"--cluster-secret-file=s", securePeer + ",http://127.0.0.1:3"}, peer: config.TLS{Secret: "s"},
			warnings: []string{"http://127.0.0.1:3 of listen-peer-urls is http: whoever reaches it can act as a member, whatever cluster-secret-file says"}},
		{name: "a port that asks nobody", args: []string{"--listen-peer-urls=https://10.0.0.1:2", "--peer-cert-file=c", "--peer-key-file=k"}, peer: config.TLS{Cert: "c", Key: "k"},
			warnings: []string{"whoever reaches https://10.0.0.1:2 of listen-peer-urls can act as a member; cluster-secret-file keeps strangers out"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, warnings := load(t, tt.args, tt.environ)
			if !reflect.DeepEqual(c.ClientTLS, tt.client) || !reflect.DeepEqual(c.PeerTLS, tt.peer) || !slices.Equal(warnings, tt.warnings) {
				t.Errorf("clients %+v, peers %+v, warnings %q", c.ClientTLS, c.PeerTLS, warnings)
			}
		})
	}
}

func TestSecurityThatContradictsItself(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"https without files", []string{secureClient, securePeer}, []string{
			"https://127.0.0.1:1 can't be served without cert-file and key-file",
			"https://127.0.0.1:2 can't be served without cluster-secret-file, or peer-cert-file and peer-key-file, or peer-auto-tls"}},
		{"operations without files", []string{"--listen-metrics-urls=https://127.0.0.1:3"}, []string{"https://127.0.0.1:3 can't be served"}},
		{"a certificate without its key", []string{secureClient, "--cert-file=c"}, []string{"cert-file is given without key-file"}},
		{"a key without its certificate", []string{securePeer, "--peer-key-file=k"}, []string{"peer-key-file is given without peer-cert-file"}},
		{"files without https", []string{"--cert-file=c", "--key-file=k"},
			[]string{"cert-file, key-file: no URL of listen-client-urls and listen-metrics-urls (http://127.0.0.1:2379,http://127.0.0.1:2381) is https"}},
		{"members' files without https", []string{"--peer-trusted-ca-file=a"},
			[]string{"peer-trusted-ca-file: no URL of listen-peer-urls"}},
		{"client certificates of nobody's", []string{secureClient, "--cert-file=c", "--key-file=k", "--client-cert-auth"},
			[]string{"client-cert-auth needs trusted-ca-file"}},
		{"the wrong kind of files", []string{secureClient, "--peer-cert-file=c", "--peer-key-file=k"},
			[]string{"can't be served without cert-file", "no URL of listen-peer-urls"}},
		{"https by itself, in plain text", []string{"--auto-tls", "--peer-auto-tls"}, []string{"auto-tls: no URL of listen-client-urls", "peer-auto-tls: no URL of listen-peer-urls"}},
		{"names of nobody's", []string{secureClient, "--cert-file=c", "--key-file=k", "--client-cert-allowed-cn=n"}, []string{"need trusted-ca-file"}},
		{"revoked certificates of nobody's", []string{securePeer, "--peer-cert-file=c", "--peer-key-file=k", "--peer-crl-file=r"}, []string{"need peer-trusted-ca-file"}},
		{"two kinds of names", []string{secureClient, "--cert-file=c", "--key-file=k", "--trusted-ca-file=a", "--client-cert-allowed-cn=n", "--client-cert-allowed-hostname=h"}, []string{"exclude each other"}},
		{"a secret in plain text", []string{"--cluster-secret-file=s", "--listen-peer-urls=http://127.0.0.1:2"}, []string{"cluster-secret-file: no URL of listen-peer-urls"}},
		{"a secret beside an authority", []string{securePeer, "--cluster-secret-file=s", "--peer-auto-tls", "--peer-trusted-ca-file=a"}, []string{"peer-trusted-ca-file would have no effect beside cluster-secret-file"}},
		{"an authority of members that ask for none", []string{securePeer, "--peer-auto-tls", "--peer-trusted-ca-file=a"}, []string{"peer-trusted-ca-file would have no effect beside peer-auto-tls"}},
		{"a certificate that is good for no time", []string{"--self-signed-cert-validity=0"}, []string{"self-signed-cert-validity (0)"}},
		{"two authorities", []string{secureClient, "--cert-file=c", "--key-file=k", "--ca-file=a", "--trusted-ca-file=b"},
			[]string{"--ca-file (a) and --trusted-ca-file (b) contradict each other"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { expect(t, complaints(t, nil, tt.args, nil), tt.want) })
	}
}

func TestFilesOfSecurityAreRead(t *testing.T) {
	cert, key := certificate(t)
	_, otherKey := certificate(t)
	disk := files{"c": cert, "k": key, "other": otherKey, "text": "no certificate", "secret": strings.Repeat("0123456789", 4)}
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"all is well", []string{"--cert-file=c", "--key-file=k", "--trusted-ca-file=c"}, nil},
		{"a secret", []string{securePeer, "--cluster-secret-file=secret", "--cert-file=c", "--key-file=k"}, nil},
		{"a secret that can be guessed", []string{securePeer, "--cluster-secret-file=text", "--cert-file=c", "--key-file=k"}, []string{"cluster-secret-file text line 1 can be guessed"}},
		{"no list", []string{"--cert-file=c", "--key-file=k", "--trusted-ca-file=c", "--client-crl-file=text"}, []string{"client-crl-file text holds no list of revoked certificates"}},
		{"files that aren't there", []string{"--cert-file=x", "--key-file=y", "--trusted-ca-file=z"},
			[]string{"cert-file: open x: file does not exist", "key-file: open y", "trusted-ca-file: open z"}},
		{"a key of another certificate", []string{"--cert-file=c", "--key-file=other"}, []string{"cert-file c and key-file other: "}},
		{"no certificate", []string{"--cert-file=text", "--key-file=k", "--trusted-ca-file=text"},
			[]string{"cert-file text and key-file k: ", "trusted-ca-file text holds no certificate"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := load(t, append(tt.args, secureClient), nil)
			var got []string
			if err := c.CheckFiles(disk.read); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			expect(t, got, tt.want)
		})
	}
}

// certificate makes one that signs itself.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	c, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return encode("CERTIFICATE", c), encode("PRIVATE KEY", k)
}

// The authority alone says who may come in, but not that names are users.
func TestNamesInCertificatesAreAskedFor(t *testing.T) {
	files := []string{secureClient, "--cert-file=c", "--key-file=k", "--trusted-ca-file=a"}
	for more, want := range map[string]bool{"--client-cert-auth": true, "--client-cert-auth=false": false, "--trusted-ca-file=a": false} {
		if c, _ := load(t, append(files, more), nil); c.CertificateNames() != want {
			t.Errorf("%s: %v", more, !want)
		}
	}
}
