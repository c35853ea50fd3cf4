package peerlink_test

import (
	"crypto/tls"
	"sync/atomic"
	"testing"

	"copse/actors/peerlink"
	"copse/config/certs/tlstest"
)

// withTLS makes a member whose certificate a has signed, and that trusts a.
func withTLS(a *tlstest.Authority) func(*peerlink.Options) {
	client := a.Client("a member")
	server := &tls.Config{Certificates: client.Certificates, ClientCAs: client.RootCAs, ClientAuth: tls.RequireAndVerifyClientCert}
	return func(o *peerlink.Options) {
		o.ServerTLS = func() *tls.Config { return server }
		o.ClientTLS = func() *tls.Config { return client }
	}
}

// Members that switch to another certificate authority together trust it from the next
// connection on, without reopening their ports.
func TestTLSIsThatOfTheMoment(t *testing.T) {
	before, after := tlstest.New(t), tlstest.New(t)
	var old, renewed peerlink.Options
	withTLS(before)(&old)
	withTLS(after)(&renewed)
	var now atomic.Pointer[peerlink.Options]
	now.Store(&old)
	following := func(o *peerlink.Options) {
		o.ServerTLS = func() *tls.Config { return now.Load().ServerTLS() }
		o.ClientTLS = func() *tls.Config { return now.Load().ClientTLS() }
	}
	a, b := join(t, 0xa, following), join(t, 0xb, following)
	introduce(a, b)
	now.Store(&renewed)
	if got, err := a.ask(t, 0xb, 1, "x"); err != nil || got != "a 1 x" {
		t.Errorf("with the new authority: %q, %v", got, err)
	}
	if _, err := peerlink.CallAddress(t.Context(), b.url, old.ClientTLS(), 1, nil); err == nil {
		t.Error("who has the old authority's certificate is let in")
	}
	if _, err := peerlink.CallAddress(t.Context(), b.url, renewed.ClientTLS(), 1, nil); err != nil {
		t.Errorf("a stranger with the new one's: %v", err)
	}
}
