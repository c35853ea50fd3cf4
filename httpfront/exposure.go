package httpfront

import (
	"crypto/tls"
	"net"

	"copse/httpfront/listen"
)

// warnIfExposed says loudly what is wrong with an address that other machines reach: that
// everybody may do everything, or that passwords come unencrypted.
func (s *Server) warnIfExposed(l listen.Listener, p protection) {
	if onLoopback(l) {
		return
	}
	stranger := p.plain || p.tls.ClientAuth != tls.RequireAndVerifyClientCert
	switch enabled := s.backend.Auth().Enabled; {
	case !enabled && stranger:
		s.opts.Log.Warn("AUTH IS OFF: WHOEVER REACHES THIS ADDRESS MAY READ AND CHANGE ALL KEYS, users and members; see docs/AUTH.md", "clients", l.URLs())
	case enabled && p.plain:
		s.warnOfPasswords(l.URLs())
	}
}

// warnOfPasswords says where passwords can be overheard, if anywhere.
func (s *Server) warnOfPasswords(urls []string) {
	if len(urls) > 0 {
		s.opts.Log.Warn("passwords come to this address unencrypted; see docs/AUTH.md", "clients", urls)
	}
}

// onLoopback reports whether only this machine reaches l.
func onLoopback(l net.Listener) bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback() // the page's is within the process
}
