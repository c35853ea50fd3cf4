package peerlink

import (
	"maps"
	"slices"
	"strconv"

	"copse/statemachine/metric"
)

// WriteMetrics writes what was measured of the raft traffic since the link was opened.
// Peers are identified by their ids, not by their addresses.
func (l *Link) WriteMetrics(w *metric.Writer) {
	peers := l.allPeers()
	ids := slices.Sorted(maps.Keys(peers))
	each := func(name string, kind metric.Kind, help string, sample func(p *peer, id string)) {
		w.Family(name, kind, help)
		for _, id := range ids {
			p := peers[id]
			p.mu.Lock()
			if p.sent.Load()+p.appends.fail > 0 {
				sample(p, strconv.FormatUint(id, 16))
			}
			p.mu.Unlock()
		}
	}
	each("copse_peer_appends_sent_total", metric.CounterKind, "Raft appends sent to the peer while this member led.", func(p *peer, id string) {
		w.Uint(p.sent.Load(), "peer", id)
	})
	each("copse_peer_appends_acknowledged_total", metric.CounterKind, "Acknowledgements of further entries from the peer; one may be for several appends.", func(p *peer, id string) {
		w.Uint(p.appends.success, "peer", id)
	})
	each("copse_peer_appends_failed_total", metric.CounterKind, "Appends that could not be sent to the peer, and failed connections to it. Raft sends again.", func(p *peer, id string) {
		w.Uint(p.appends.fail, "peer", id)
	})
	each("copse_peer_append_duration_seconds", metric.HistogramKind, "Time from sending an append until the peer has its entries on disk; one append at a time is measured.", func(p *peer, id string) {
		w.Histogram(p.appends.latency, "peer", id)
	})
}
