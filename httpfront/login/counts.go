package login

import (
	"sync/atomic"

	"copse/statemachine/metric"
)

// counts are the checks by their result.
type counts struct {
	remembered, verified, certificate, failed, malformed, busy atomic.Uint64
}

// WriteMetrics writes the metrics of the checks.
func (c *Checker) WriteMetrics(w *metric.Writer) {
	w.Family("copse_auth_checks_total", metric.CounterKind, "Checks of credentials while auth is on: a password that was right before or that bcrypt found right, "+
		"a certificate's name, a wrong password or an unknown user, a malformed header, and those that were refused unchecked since too many were waiting.")
	for _, of := range []struct {
		result string
		count  *atomic.Uint64
	}{
		{"remembered", &c.counts.remembered}, {"verified", &c.counts.verified}, {"certificate", &c.counts.certificate},
		{"failed", &c.counts.failed}, {"malformed", &c.counts.malformed}, {"busy", &c.counts.busy},
	} {
		w.Uint(of.count.Load(), "result", of.result)
	}
	w.Gauge("copse_auth_checks_waiting", "Passwords that wait to be hashed.", float64(c.turns.queued()))
}

func (t *turns) queued() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiting
}
