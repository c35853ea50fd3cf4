// Package ops serves operators: probes, metrics, profiles. [Status] knows how far the
// server has come, and makes the [Checks] of probes, which the client port serves too.
// [Port] is the operations port, with an HTTP [Server] of its own for each address, so that
// neither the TLS of clients nor their number keeps a probe out.
//
//	kubelet, load balancer ──▶ /livez /readyz /health ──▶ Checks
//	Prometheus ──────────────▶ /metrics ────────────────▶ Options.Scrape
//	systemd ◀── sd_notify ── Status.TellService
//	a developer ─────────────▶ /debug/pprof/ (if enabled)
//
// It knows nothing of keys and shards: checks and metrics are handed to it ([Parts]).
// Goroutines: one that tells a
// service manager, if there is one ([Status.TellService]); one for each address, which [Port.Close] awaits, and those of net/http, one
// for each connection, which [Server.Stop] ends and [Server.Serve] awaits.
package ops
