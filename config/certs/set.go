package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"copse/statemachine/metric"
)

// Set has the certificates of a server. One is nil where its port speaks plain text.
type Set struct{ Client, Peer *Certificates }

// LoadSet reads the files of both sides; one without TLS is left out.
func LoadSet(client, peer Files, log *slog.Logger) (Set, error) {
	var s Set
	var err error
	if client.some() {
		if s.Client, err = Load("client", client, log); err != nil {
			return Set{}, err
		}
	}
	if peer.some() {
		if s.Peer, err = Load("peer", peer, log); err != nil {
			return Set{}, err
		}
	}
	return s, nil
}

// Clients is the TLS to serve clients and operators with, for as long as a listener
// lives. There must be client certificates.
func (s Set) Clients() *tls.Config { return s.Client.Listener("http/1.1") }

// Peers gives the TLS for one connection between members, accepted or dialled. Both
// are nil where members speak plain text.
func (s Set) Peers() (server, client func() *tls.Config) {
	if s.Peer == nil {
		return nil, nil
	}
	return s.Peer.Server, s.Peer.Client
}

func (s Set) all() []*Certificates {
	var all []*Certificates
	for _, c := range []*Certificates{s.Client, s.Peer} {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

// Reload reads the files of all, changed or not. Files that can't be used leave the
// previous certificates in use, and are in the error.
func (s Set) Reload() error {
	var errs []error
	for _, c := range s.all() {
		if err := c.Reload(); err != nil {
			errs = append(errs, fmt.Errorf("%s TLS: %w", c.side, err))
		}
	}
	return errors.Join(errs...)
}

// WriteMetrics writes when the certificates expire, and how often they were reloaded.
func (s Set) WriteMetrics(w *metric.Writer) {
	all := s.all()
	if len(all) == 0 {
		return
	}
	w.Family("copse_tls_certificate_expiry_timestamp_seconds", metric.GaugeKind, "When the certificate shown to clients or to other members expires, Unix time.")
	for _, c := range all {
		w.Float(float64(c.current.Load().expires.Unix()), "side", c.side)
	}
	w.Family("copse_tls_reloads_total", metric.CounterKind, "Reloads of certificates, by result.")
	for _, c := range all {
		w.Uint(c.reloads.done.Load(), "side", c.side, "result", "done")
		w.Uint(c.reloads.failed.Load(), "side", c.side, "result", "failed")
	}
}
