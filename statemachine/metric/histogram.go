package metric

import (
	"sync/atomic"
	"time"
)

// bucketLimit is the largest number of bounds of a Histogram. A fixed limit keeps the
// counts inside the struct, which saves a pointer on each observation.
const bucketLimit = 18

// Histogram counts observations in fixed buckets with inclusive upper bounds,
// Prometheus' "le". Observe takes no lock and allocates nothing. Create one with
// NewHistogram or NewDurations, and don't copy it after first use.
type Histogram struct {
	// Constant after creation.
	bounds []int64 // ascending
	per    float64 // observed units per displayed unit: nanoseconds per second

	counts [bucketLimit + 1]atomic.Uint64 // the last counts values above all bounds
	sum    atomic.Int64
}

// NewHistogram returns a Histogram of numbers with the given upper bounds, which must
// be ascending. It panics on more than 18.
func NewHistogram(bounds ...int64) *Histogram {
	h := new(Histogram)
	h.init(bounds, 1)
	return h
}

// NewDurations returns a Histogram of durations with bounds from 100 µs to 10 s. It
// observes nanoseconds and displays seconds.
func NewDurations() *Histogram {
	h := new(Histogram)
	h.InitDurations()
	return h
}

// InitDurations initializes h in place to what NewDurations returns, for arrays of
// histograms.
func (h *Histogram) InitDurations() { h.init(latencyBounds[:], float64(time.Second)) }

var latencyBounds = [...]int64{
	int64(100 * time.Microsecond), int64(250 * time.Microsecond), int64(500 * time.Microsecond),
	int64(time.Millisecond), int64(2500 * time.Microsecond), int64(5 * time.Millisecond),
	int64(10 * time.Millisecond), int64(25 * time.Millisecond), int64(50 * time.Millisecond),
	int64(100 * time.Millisecond), int64(250 * time.Millisecond), int64(500 * time.Millisecond),
	int64(time.Second), int64(2500 * time.Millisecond), int64(5 * time.Second), int64(10 * time.Second),
}

func (h *Histogram) init(bounds []int64, per float64) {
	if len(bounds) > bucketLimit {
		panic("metric: histogram has too many buckets")
	}
	h.bounds, h.per = bounds, per
}

// Observe counts v. Most values are small, so the search begins at the smallest
// bound.
func (h *Histogram) Observe(v int64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(v)
}

// ObserveSince counts the time since start, in a histogram of durations.
func (h *Histogram) ObserveSince(start time.Time) { h.Observe(int64(time.Since(start))) }

// Include adds what from has counted, which has the same bounds. Nobody may observe into h meanwhile.
func (h *Histogram) Include(from *Histogram) {
	for i := range h.counts {
		h.counts[i].Add(from.counts[i].Load())
	}
	h.sum.Add(from.sum.Load())
}

// Count returns the number of observations.
func (h *Histogram) Count() uint64 {
	n := uint64(0)
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}
