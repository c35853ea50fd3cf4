// Package inflight counts the bytes that the process holds because of requests under way,
// and bounds their sum.
//
// Each request alone is bounded elsewhere; thousands of them together could take more
// memory than there is, and the kernel would end the process. So whoever needs bytes for
// a client asks a [Budget] first, and gets them at once, after waiting, or not at all.
// What no longer can be refused, such as an event for a stream, is added in any case and
// makes others wait.
//
// It runs no goroutine. All methods may be called from any goroutine.
package inflight

import (
	"slices"
	"sync"
	"time"

	"copse/statemachine/metric"
)

// Kind is what the bytes are held for.
type Kind uint8

const (
	Bodies  Kind = iota // of requests, and their copies on the way through the log
	Answers             // until the clients have taken them
	Heads               // of requests, if they are large
	Streams             // events that clients of streams haven't taken; each once, whoever waits for it
	TLS                 // encrypted, and not taken by clients that watch
	Peers               // large writes of other members, at the leader
	Past                // values that writes have replaced, until there is room to print the answers that show them
	kinds
)

var kindNames = [kinds]string{"bodies", "answers", "heads", "streams", "tls", "peers", "past"}

// Budget is a number of bytes to be shared. A nil Budget has no bound.
type Budget struct {
	limit int64

	mu      sync.Mutex
	used    int64 // the sum of held
	held    [kinds]int64
	waiting []*waiter // in the order of their arrival
	refused [kinds]uint64
}

// waiter is someone who waits for bytes.
type waiter struct {
	kind  Kind
	bytes int64
	ready chan struct{} // closed when the bytes are held
}

// New returns a Budget of so many bytes; nil for 0.
func New(limit int64) *Budget {
	if limit <= 0 {
		return nil
	}
	return &Budget{limit: limit}
}

// Take holds so many bytes, and reports whether it could: if the bound would be passed, or
// the kind's share of it, it waits for as long as patience for others to give back. A claim above
// that counts as all of it. Those that fit pass those that wait for more.
func (b *Budget) Take(kind Kind, bytes int64, patience time.Duration) bool {
	if b == nil || bytes <= 0 {
		return true
	}
	b.mu.Lock()
	if b.try(kind, bytes) {
		b.mu.Unlock()
		return true
	}
	if patience <= 0 {
		b.refused[kind]++
		b.mu.Unlock()
		return false
	}
	w := &waiter{kind: kind, bytes: bytes, ready: make(chan struct{})}
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-w.ready:
		return true
	case <-late.C:
		return !b.leave(w)
	}
}

// Try is Take for what can be done without: it doesn't wait, and that there is no room isn't counted as a refusal.
func (b *Budget) Try(kind Kind, bytes int64) bool {
	if b == nil || bytes <= 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.try(kind, bytes)
}

// try holds so many bytes if they fit. b.mu is held.
func (b *Budget) try(kind Kind, bytes int64) bool {
	if !b.fits(kind, bytes) {
		return false
	}
	b.add(kind, bytes)
	return true
}

// Most returns how many of so many bytes can be held at all, with everything else given back. A caller
// that already holds a part takes only the rest of that: otherwise it would wait for itself.
func (b *Budget) Most(kind Kind, bytes int64) int64 {
	if b == nil {
		return bytes
	}
	return min(bytes, b.share(kind))
}

// share is how much a kind may ask for. Clients that send slowly must not keep others from reading,
// nor those that read slowly others from writing.
func (b *Budget) share(kind Kind) int64 {
	switch kind {
	case Bodies, Answers:
		return b.limit - b.limit/4
	case Past: // what it waits for must fit beside it
		return b.limit / 4
	}
	return b.limit
}

// Full reports whether nothing more can be held, or someone waits for what others hold: a claim may
// be larger than what is left. What is held in any case should then become less.
func (b *Budget) Full() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used >= b.limit || slices.ContainsFunc(b.waiting, func(w *waiter) bool { return b.inShare(w.kind, w.bytes) })
}

// fits reports whether so many bytes can be held. b.mu is held.
func (b *Budget) fits(kind Kind, bytes int64) bool {
	return b.inShare(kind, bytes) && b.used+min(bytes, b.share(kind)) <= b.limit
}

// inShare reports whether a kind's share has so many bytes left. b.mu is held.
func (b *Budget) inShare(kind Kind, bytes int64) bool {
	share := b.share(kind)
	return b.held[kind]+min(bytes, share) <= share
}

// add counts bytes, which may be negative. b.mu is held.
func (b *Budget) add(kind Kind, bytes int64) {
	b.held[kind] += bytes
	b.used += bytes
}

// leave takes w out of the queue, and reports whether it was still there.
func (b *Budget) leave(w *waiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.Index(b.waiting, w)
	if at < 0 {
		return false
	}
	b.waiting = slices.Delete(b.waiting, at, at+1)
	b.refused[w.kind]++
	return true
}

// Hold is Take for what is there already, such as the answer to a write that has been made. It doesn't wait, and
// a kind may pass its share.
func (b *Budget) Hold(kind Kind, bytes int64) bool {
	if b == nil || bytes <= 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+min(bytes, b.limit) > b.limit {
		b.refused[kind]++
		return false
	}
	b.add(kind, bytes)
	return true
}

// Add holds bytes even past the bound, because nothing can be refused any more.
func (b *Budget) Add(kind Kind, bytes int64) {
	if b == nil || bytes == 0 {
		return
	}
	b.mu.Lock()
	b.add(kind, bytes)
	b.mu.Unlock()
}

// Change is Add, or Give if bytes is negative.
func (b *Budget) Change(kind Kind, bytes int64) {
	if bytes > 0 {
		b.Add(kind, bytes)
	} else {
		b.Give(kind, -bytes)
	}
}

// Give gives back what was held.
func (b *Budget) Give(kind Kind, bytes int64) {
	if b == nil || bytes == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(kind, -bytes)
	b.waiting = slices.DeleteFunc(b.waiting, func(w *waiter) bool {
		if !b.try(w.kind, w.bytes) {
			return false
		}
		close(w.ready)
		return true
	})
}

// Held is how many bytes are held for a kind.
func (b *Budget) Held(kind Kind) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held[kind]
}

// WriteMetrics writes what is held, and the bound.
func (b *Budget) WriteMetrics(w *metric.Writer) {
	if b == nil {
		return
	}
	b.mu.Lock()
	held, refused, waiting := b.held, b.refused, len(b.waiting)
	b.mu.Unlock()
	w.Gauge("copse_in_flight_limit_bytes", "Bytes that requests under way may hold together.", float64(b.limit))
	w.Family("copse_in_flight_bytes", metric.GaugeKind, "Bytes held for requests under way, by what for.")
	for kind, bytes := range held {
		w.Uint(uint64(max(bytes, 0)), "kind", kindNames[kind])
	}
	w.Family("copse_in_flight_refused_total", metric.CounterKind, "Requests for bytes that were refused, since too many were held.")
	for kind, n := range refused {
		w.Uint(n, "kind", kindNames[kind])
	}
	w.Gauge("copse_in_flight_waiting", "Requests that wait for bytes to be given back.", float64(waiting))
}
