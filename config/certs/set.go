package certs

import (
	"errors"
	"fmt"

	"copse/statemachine/metric"
)

// Set is all the certificates of a server: at most one for each side.
type Set []*Certificates

// Reload reads the files of all. What can't be used is left out, and told.
func (s Set) Reload() error {
	var errs []error
	for _, c := range s {
		if err := c.Reload(); err != nil {
			errs = append(errs, fmt.Errorf("%s TLS: %w", c.side, err))
		}
	}
	return errors.Join(errs...)
}

// WriteMetrics writes how the certificates stand.
func (s Set) WriteMetrics(w *metric.Writer) {
	if len(s) == 0 {
		return
	}
	w.Family("copse_tls_certificate_expiry_timestamp_seconds", metric.GaugeKind, "When the certificate that clients or other members see ends, Unix time.")
	for _, c := range s {
		w.Float(float64(c.current.Load().expires.Unix()), "side", c.side)
	}
	w.Family("copse_tls_reloads_total", metric.CounterKind, "Times that certificates were read again, and how that went.")
	for _, c := range s {
		w.Uint(c.reloads.done.Load(), "side", c.side, "result", "done")
		w.Uint(c.reloads.failed.Load(), "side", c.side, "result", "failed")
	}
}
