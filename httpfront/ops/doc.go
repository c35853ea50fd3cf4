// Package ops answers who watches over a server rather than uses it: probes,
// scrapes, profiles. [Checks] are what a probe asks, on the client port as
// well; [Server] is the operations port, an HTTP server apart from the one for
// clients, so that neither their TLS nor their number keeps a probe out.
//
//	kubelet, load balancer ──▶ /livez /readyz /health ──▶ Checks
//	Prometheus ──────────────▶ /metrics ────────────────▶ Options.Scrape
//	a developer ─────────────▶ /debug/pprof/ (if enabled)
//
// It knows nothing of keys and shards: what is checked and counted is handed
// to it. Goroutines: those of net/http, one for each connection, all ended and
// awaited by [Server.Stop].
package ops
