package statemachine

import (
	"sync/atomic"
	"time"

	"copse/statemachine/metric"
)

// Measures are what a machine measures of its own work. They are read while it
// goes on.
type Measures struct {
	Apply   *metric.Histogram // seconds for one call of Update
	Entries *metric.Histogram // raft entries in one call of Update
	Sync    *metric.Histogram // seconds to make all that was applied durable

	epoch time.Time    // a monotonic clock's zero
	since atomic.Int64 // of that clock: when the work that is under way began; 0: none is
}

func newMeasures() *Measures {
	return &Measures{
		Apply:   metric.NewDurations(),
		Entries: metric.NewHistogram(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
		Sync:    metric.NewDurations(),
		epoch:   time.Now(),
	}
}

// begin says that work has begun; end, that it is done, and counts how long it
// took. There is one piece of work at a time: raft excludes Update and Sync
// from each other.
func (m *Measures) begin() (now int64) {
	now = int64(time.Since(m.epoch))
	m.since.Store(now)
	return now
}

func (m *Measures) end(h *metric.Histogram, began int64) {
	m.since.Store(0)
	h.Observe(int64(time.Since(m.epoch)) - began)
}

// Busy is how long the work that is under way has taken, 0 if none is. A
// machine that is busy for long has a disk that stands still: nothing waits for
// a quorum here.
func (m *Measures) Busy() time.Duration {
	since := m.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(m.epoch) - time.Duration(since)
}

// Measures returns what the machine measures of itself.
func (m *Machine) Measures() *Measures { return m.measures }

// StoreMetrics is what Pebble knows of one store at one moment.
type StoreMetrics struct {
	DiskBytes     uint64 // all of the store's files
	NodeBytes     uint64 // of them, about what the nodes and the large values take; what is still in memory isn't counted
	MemTableBytes uint64 // what is still in memory
	Compactions   uint64
	CompactBytes  uint64 // that compactions have yet to work through
	ReadAmp       uint64 // places where a read may have to look
	CacheBytes    uint64 // of the cache that the shards share
	CacheHits     uint64
	CacheMisses   uint64
}

// StoreMetrics asks the store. It is cheap enough for a scrape, not for a
// request.
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

// ExpiryLag is how late, at now, the earliest expiration is: 0 if none is due.
func (m *Machine) ExpiryLag(now time.Time) time.Duration {
	return max(0, time.Duration(now.UnixNano()-m.expiry.awaited.Load()))
}
