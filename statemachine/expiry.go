package statemachine

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// expirySignal wakes the goroutine that waits for the next expiration when an earlier one
// has been added.
type expirySignal struct {
	awaited *atomic.Int64
	wake    chan struct{}
}

func newExpirySignal() expirySignal {
	s := expirySignal{awaited: new(atomic.Int64), wake: make(chan struct{}, 1)}
	s.awaited.Store(math.MaxInt64)
	return s
}

func (s *expirySignal) added(at int64) {
	if at < s.awaited.Load() {
		select {
		case s.wake <- struct{}{}:
		default: // a wake is pending already
		}
	}
}

// ExpiryWake receives a value when an expiration has been added that is earlier than the
// one that NextExpiry returned last. It has one reader.
func (m *Machine) ExpiryWake() <-chan struct{} { return m.expiry.wake }

// NextExpiry returns the earliest time, in Unix nanoseconds, at which a node may expire;
// ok is false if none will. It must not be called concurrently.
func (m *Machine) NextExpiry() (at int64, ok bool, err error) {
	// From here on, any new expiration wakes the caller.
	m.expiry.awaited.Store(math.MaxInt64)
	h, err := m.acquire()
	if err != nil {
		return 0, false, err
	}
	defer h.release()
	it, err := h.db.NewIter(&pebble.IterOptions{LowerBound: []byte{expiryPrefix}, UpperBound: []byte{expiryPrefix + 1}})
	if err != nil {
		return 0, false, fmt.Errorf("read expirations: %w", err)
	}
	if it.First() {
		at, _, err = readExpiryKey(it.Key())
		ok = err == nil
	}
	if err = firstError(err, it.Error(), it.Close()); err != nil {
		return 0, false, fmt.Errorf("read expirations: %w", err)
	}
	if ok {
		m.expiry.awaited.Store(at)
	}
	return at, ok, nil
}

// Due returns the number of expirations that are due at now (Unix nanoseconds), up to
// limit. An OpExpire at now needs at most that many indexes; it may need fewer, because
// expirations of nodes that are gone already are counted too.
func (m *Machine) Due(now int64, limit int) (n int, err error) {
	h, err := m.acquire()
	if err != nil {
		return 0, err
	}
	defer h.release()
	low := []byte{expiryPrefix}
	end := []byte{expiryPrefix + 1}
	if now < math.MaxInt64 {
		end = appendExpiryKey(nil, now+1, "/")
	}
	it, err := h.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: end})
	if err != nil {
		return 0, fmt.Errorf("read expirations: %w", err)
	}
	for ok := it.First(); ok && n < limit; ok = it.Next() {
		n++
	}
	if err = firstError(it.Error(), it.Close()); err != nil {
		return 0, fmt.Errorf("read expirations: %w", err)
	}
	return n, nil
}
