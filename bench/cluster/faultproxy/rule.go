package faultproxy

import "time"

// Rule says what happens to the bytes that one member sends to another.
type Rule struct {
	// Hold lets nothing pass; bytes wait until the rule is lifted, as in a network that
	// loses packets for a while.
	Hold  bool
	Delay time.Duration
	Rate  int // bytes a second; 0 is no limit
	// Corrupt is the chance of a piece of up to 16 KiB to have a bit changed.
	Corrupt float64
}

type link struct{ from, to int }

// Set makes a rule for what from sends to to.
func (m *Mesh) Set(from, to int, r Rule) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules[link{from, to}] = r
	m.changed()
}

// Heal drops all rules, and closes half-open connections.
func (m *Mesh) Heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.rules)
	for c := range m.conns {
		if c.half {
			c.close()
		}
	}
	m.changed()
}

// Reset cuts all connections of a member, both ways, without a goodbye. It
// returns how many there were.
func (m *Mesh) Reset(member int) int { return m.each(member, (*conn).reset) }

// HalfOpen closes the dialling end of a member's connections, and leaves the
// other end open and silent until Heal.
func (m *Mesh) HalfOpen(member int) int { return m.each(member, (*conn).halfOpen) }

func (m *Mesh) each(member int, do func(*conn)) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.conns {
		if c.dialer == member || c.target == member {
			do(c)
			n++
		}
	}
	return n
}

// changed wakes everyone who waits for a rule to change. mu is held.
func (m *Mesh) changed() {
	close(m.news)
	m.news = make(chan struct{})
}

// rule returns the rule of a link, and a channel that is closed when any rule changes.
func (m *Mesh) rule(l link) (Rule, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rules[l], m.news
}
