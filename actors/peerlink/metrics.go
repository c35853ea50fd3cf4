package peerlink

import (
	"maps"
	"slices"
	"strconv"

	"copse/statemachine/metric"
)

// WriteMetrics writes what was measured of the raft traffic since the link was
// opened. A peer is told by its id, never by an address.
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
	each("copse_peer_appends_sent_total", metric.CounterKind, "Raft appends that this member, leading, has sent to the peer.", func(p *peer, id string) {
		w.Uint(p.sent.Load(), "peer", id)
	})
	each("copse_peer_appends_acknowledged_total", metric.CounterKind, "Times that the peer said that it has more entries than before; one answer may be for several appends.", func(p *peer, id string) {
		w.Uint(p.appends.success, "peer", id)
	})
	each("copse_peer_appends_failed_total", metric.CounterKind, "Appends that could not be sent to the peer, and connections to it that could not be made. Raft sends again.", func(p *peer, id string) {
		w.Uint(p.appends.fail, "peer", id)
	})
	each("copse_peer_append_duration_seconds", metric.HistogramKind, "From an append's being sent to the peer's having its entries on disk; one append at a time is measured.", func(p *peer, id string) {
		w.Histogram(p.appends.latency, "peer", id)
	})
}
