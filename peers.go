package main

import (
	"context"
	"crypto/tls"

	"copse/actors"
	"copse/actors/peerlink"
	"copse/config"
)

// peerOptions are how this member and the others reach each other.
func peerOptions(c *config.Config) (actors.PeerOptions, error) {
	var server, client *tls.Config
	if c.PeerTLS.CertFile != "" {
		files := peerlink.TLSFiles{
			Cert: c.PeerTLS.CertFile, Key: c.PeerTLS.KeyFile,
			CA: c.PeerTLS.TrustedCAFile, ClientAuth: c.PeerTLS.ClientCertAuth,
		}
		var err error
		if server, err = files.Server(); err != nil {
			return actors.PeerOptions{}, err
		}
		if client, err = files.Client(); err != nil {
			return actors.PeerOptions{}, err
		}
	}
	return actors.PeerOptions{
		Listen:    texts(c.ListenPeerURLs),
		ServerTLS: server,
		ClientTLS: client,
		Peers: actors.Peers{
			URLs: others(c),
			Ask: func(ctx context.Context, url string, kind uint8, payload []byte) ([]byte, error) {
				return peerlink.CallAddress(ctx, url, client, kind, payload)
			},
		},
	}, nil
}
