package metric

import (
	"sync/atomic"
	"time"
)

// bucketLimit is how many bounds a Histogram may have; it keeps the counts in
// the struct, one step from whoever observes.
const bucketLimit = 18

// Histogram counts observations in fixed buckets with upper bounds, as
// Prometheus' le wants them. Observe takes no lock and allocates nothing. Make
// one with NewHistogram or NewDurations; it mustn't be copied after first use.
type Histogram struct {
	// Fixed after it was made.
	bounds []int64 // ascending
	per    float64 // how many of what is observed make one of what is shown

	counts [bucketLimit + 1]atomic.Uint64 // the last: above all bounds
	sum    atomic.Int64
}

// NewHistogram returns a Histogram of numbers with the given upper bounds,
// ascending, at most 18.
func NewHistogram(bounds ...int64) *Histogram {
	h := new(Histogram)
	h.init(bounds, 1)
	return h
}

// NewDurations returns a Histogram of durations, shown in seconds, with bounds
// from 100 µs to 10 s.
func NewDurations() *Histogram {
	h := new(Histogram)
	h.InitDurations()
	return h
}

// InitDurations makes h what NewDurations returns, where it lies in an array.
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
		panic("metric: a histogram with too many buckets")
	}
	h.bounds, h.per = bounds, per
}

// Observe counts v. Most of what is observed is small, so the search begins at
// the smallest bound.
func (h *Histogram) Observe(v int64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(v)
}

// ObserveSince counts the time since start.
func (h *Histogram) ObserveSince(start time.Time) { h.Observe(int64(time.Since(start))) }

// Count is how much has been observed.
func (h *Histogram) Count() uint64 {
	n := uint64(0)
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}
