package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"copse/actors"
	"copse/actors/peerlink"
	"copse/config"
	"copse/config/certs"
)

// security is the TLS of both ports.
type security struct {
	clients, peers *certs.Certificates // nil: plain text only
}

// loadSecurity reads the certificates that the settings name.
func loadSecurity(c *config.Config, log *slog.Logger) (security, error) {
	clients, err := loadCertificates("client", c.ClientTLS, log)
	if err != nil {
		return security{}, err
	}
	peers, err := loadCertificates("peer", c.PeerTLS, log)
	return security{clients: clients, peers: peers}, err
}

// loadCertificates returns nil where the settings name none.
func loadCertificates(side string, f config.TLS, log *slog.Logger) (*certs.Certificates, error) {
	if f.CertFile == "" {
		return nil, nil
	}
	return certs.Load(side, certs.Files{Cert: f.CertFile, Key: f.KeyFile, CA: f.TrustedCAFile, ClientAuth: f.ClientCertAuth}, log)
}

// listener is what clients' and operations' listeners with TLS serve by.
func (s security) listener() *tls.Config { return s.clients.Listener("http/1.1") }

// all are the certificates that there are.
func (s security) all() certs.Set {
	var all certs.Set
	for _, c := range []*certs.Certificates{s.clients, s.peers} {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

// reloadOnHangup reads the certificates again at each SIGHUP, until it is told to
// stop. It ends no process, whatever it finds.
func (s security) reloadOnHangup(log *slog.Logger) (stop func()) {
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			s.reload(log)
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}

func (s security) reload(log *slog.Logger) {
	all := s.all()
	switch err := all.Reload(); {
	case len(all) == 0:
		log.Info("SIGHUP: there are no certificates to read again; other settings take a restart", "component", "tls")
	case err != nil:
		log.Error("SIGHUP: certificates can't be used; those from before stay", "component", "tls", "err", err)
	default:
		log.Info("SIGHUP: all certificates read again", "component", "tls")
	}
}

// peerOptions are how this member and the others reach each other.
func (s security) peerOptions(c *config.Config) actors.PeerOptions {
	o := actors.PeerOptions{Listen: texts(c.ListenPeerURLs)}
	if s.peers != nil {
		o.ServerTLS, o.ClientTLS = s.peers.Server, s.peers.Client
	}
	o.Peers = actors.Peers{
		URLs: others(c),
		Ask: func(ctx context.Context, url string, kind uint8, payload []byte) ([]byte, error) {
			var config *tls.Config
			if o.ClientTLS != nil {
				config = o.ClientTLS()
			}
			return peerlink.CallAddress(ctx, url, config, kind, payload)
		},
	}
	return o
}
