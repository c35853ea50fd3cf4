package statemachine

import (
	"sync/atomic"
	"time"

	"copse/statemachine/metric"
)

// Measures are a machine's measurements of its own work. They may be read at any time.
type Measures struct {
	Apply   *metric.Histogram // duration of a call of Update
	Entries *metric.Histogram // number of raft entries in a call of Update
	Sync    *metric.Histogram // duration of a call of Sync

	epoch time.Time    // zero of the monotonic clock below
	since atomic.Int64 // start of the call in progress, in nanoseconds since epoch; 0: none
}

func newMeasures() *Measures {
	return &Measures{
		Apply:   metric.NewDurations(),
		Entries: metric.NewHistogram(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
		Sync:    metric.NewDurations(),
		epoch:   time.Now(),
	}
}

// begin marks the start of a call of Update or Sync, and end its end. There is only one
// call at a time: dragonboat never runs Update and Sync concurrently.
func (m *Measures) begin() (now int64) {
	now = int64(time.Since(m.epoch))
	m.since.Store(now)
	return now
}

func (m *Measures) end(h *metric.Histogram, began int64) {
	m.since.Store(0)
	h.Observe(int64(time.Since(m.epoch)) - began)
}

// Busy returns how long the current call of Update or Sync has been running; 0 if there is
// none. A long time means that the disk is stuck, because neither of them waits for a
// quorum.
func (m *Measures) Busy() time.Duration {
	since := m.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(m.epoch) - time.Duration(since)
}

// Measures returns the machine's measurements.
func (m *Machine) Measures() *Measures { return m.measures }

// StoreMetrics are Pebble's metrics of one store.
type StoreMetrics struct {
	DiskBytes     uint64 // size of all files of the store
	NodeBytes     uint64 // estimated part of DiskBytes for nodes and large values
	MemTableBytes uint64 // size of the memory tables
	Compactions   uint64 // number since the store was opened
	CompactBytes  uint64 // estimated bytes still to be compacted
	ReadAmp       uint64 // number of places that a read may have to look in
	CacheBytes    uint64 // size of the block cache, which the shards share
	CacheHits     uint64
	CacheMisses   uint64
}

// StoreMetrics reads the metrics from the store. It is cheap enough for each scrape, but
// not for each request.
func (m *Machine) StoreMetrics() (StoreMetrics, error) {
	h, err := m.acquire()
	if err != nil {
		return StoreMetrics{}, err
	}
	defer h.release()
	p := h.db.Metrics()
	nodes, err := h.db.EstimateDiskUsage([]byte{nodePrefix}, []byte{nodePrefix + 1})
	if err != nil {
		return StoreMetrics{}, err
	}
	values, err := h.db.EstimateDiskUsage([]byte{valuePrefix}, []byte{valuePrefix + 1})
	if err != nil {
		return StoreMetrics{}, err
	}
	return StoreMetrics{
		DiskBytes:     p.DiskSpaceUsage(),
		NodeBytes:     nodes + values,
		MemTableBytes: p.MemTable.Size,
		Compactions:   uint64(p.Compact.Count),
		CompactBytes:  p.Compact.EstimatedDebt,
		ReadAmp:       uint64(p.ReadAmp()),
		CacheBytes:    uint64(p.BlockCache.Size),
		CacheHits:     uint64(p.BlockCache.Hits),
		CacheMisses:   uint64(p.BlockCache.Misses),
	}, nil
}

// CacheBytes returns how much the caches of nodes and of listings take.
func (m *Machine) CacheBytes() (nodes, lists int) { return m.caches.bytes() }

// ExpiryLag returns how long the earliest expiration has been due at now; 0 if none is.
func (m *Machine) ExpiryLag(now time.Time) time.Duration {
	at := now.UnixNano()
	if h := m.Clock(); h.Known() {
		at = h.Passed(now)
	}
	return max(0, time.Duration(at-m.expiry.awaited.Load()))
}
