package statemachine

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
)

// NewTuned is New with other options for Pebble.
func NewTuned(o Options, tune func(*pebble.Options)) (*Machine, error) {
	m, err := newMachine(o)
	if err != nil {
		return nil, err
	}
	usual := m.pebble
	m.pebble = func() *pebble.Options {
		o := usual()
		tune(o)
		return o
	}
	return m, m.open()
}

// Compact has the whole store compacted.
func (m *Machine) Compact() error {
	return m.store.db.Compact(context.Background(), []byte{0}, []byte{0xff}, false)
}

// MaxMoments is how many moments are kept for listings in pages.
const MaxMoments = maxMoments

// Moments is how many are kept now.
func (m *Machine) Moments() int {
	s := &m.pins.moments
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept)
}

// The bounds of the answers that are kept.
const (
	OnceLimit       = onceLimit
	OnceBytesLimit  = onceBytesLimit
	OnceAnswerLimit = onceAnswerLimit
)

// PretendAnswers has the machine believe that so many are kept, until end is called.
func (m *Machine) PretendAnswers(n, bytes uint64) (end func()) {
	before := m.meta.once
	m.meta.once.answers, m.meta.once.bytes = n, bytes
	return func() { m.meta.once = before }
}
