package httpfront

import (
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"testing"

	"copse/httpfront/listen"
	"copse/statemachine/auth"
)

// at is a listener that is never served.
type at struct {
	net.Listener
	ip string
}

func (a at) Addr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(a.ip), Port: 2379} }

func TestAnOpenDoorIsSaidLoudly(t *testing.T) {
	demands := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}
	for name, c := range map[string]struct {
		ip      string
		p       protection
		enabled bool
		want    string // "": nothing is said
	}{
		"loopback":                       {"127.0.0.1", protection{plain: true}, false, ""},
		"loopback 6":                     {"::1", protection{plain: true}, false, ""},
		"all addresses":                  {"::", protection{plain: true}, false, "AUTH IS OFF"},
		"encrypted, for anybody":         {"10.0.0.1", protection{tls: new(tls.Config)}, false, "AUTH IS OFF"},
		"for holders of certificates":    {"10.0.0.1", protection{tls: demands}, false, ""},
		"for them or in plain":           {"10.0.0.1", protection{tls: demands, plain: true}, false, "AUTH IS OFF"},
		"auth is on":                     {"10.0.0.1", protection{tls: new(tls.Config)}, true, ""},
		"auth is on, but passwords show": {"10.0.0.1", protection{tls: demands, plain: true}, true, "unencrypted"},
	} {
		var told strings.Builder
		s := NewTestServer(&stillBackend{auth: &auth.State{Enabled: c.enabled}}, Options{Log: slog.New(slog.NewTextHandler(&told, nil))})
		s.warnIfExposed(listen.Listener{Listener: at{ip: c.ip}, Plain: c.p.plain, Secure: c.p.tls != nil}, c.p)
		if err := s.Stop(t.Context()); err != nil { // all has been written then
			t.Error(err)
		}
		if got := told.String(); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: got %q want %q", name, got, c.want)
		}
	}
}
