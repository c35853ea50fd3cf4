package faultproxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Mesh is the proxies of one cluster.
type Mesh struct {
	owner   func(net.Addr) int // fixed
	targets []string           // fixed
	group   sync.WaitGroup
	done    chan struct{}

	mu     sync.Mutex
	rules  map[link]Rule
	news   chan struct{} // closed and replaced whenever a rule changes
	conns  map[*conn]bool
	rng    *rand.Rand
	closed bool
	listen []net.Listener
}

// New returns a mesh without listeners. owner returns the member that
// the source address of a connection belongs to; -1 is none, and no rule
// applies to it.
func New(seed uint64, owner func(net.Addr) int) *Mesh {
	return &Mesh{
		owner: owner,
		done:  make(chan struct{}),
		rules: map[link]Rule{},
		news:  make(chan struct{}),
		conns: map[*conn]bool{},
		rng:   rand.New(rand.NewPCG(seed, 0)),
	}
}

// Add listens at address for the next member, which listens at target.
func (m *Mesh) Add(address, target string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("fault proxy: %w", err)
	}
	member := len(m.targets)
	m.targets = append(m.targets, target)
	m.listen = append(m.listen, l)
	m.group.Go(func() { m.accept(l, member, target) })
	return nil
}

// Close ends all connections and listeners.
func (m *Mesh) Close() {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		close(m.done)
	}
	for c := range m.conns {
		c.close()
	}
	m.mu.Unlock()
	for _, l := range m.listen {
		l.Close()
	}
	m.group.Wait()
}

// connLimit is far more than a cluster of a few members needs.
const connLimit = 1024

func (m *Mesh) accept(l net.Listener, member int, target string) {
	for {
		in, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select {
			case <-m.done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		m.group.Go(func() { m.join(in, member, target) })
	}
}

// join connects a dialler to its target.
func (m *Mesh) join(in net.Conn, member int, target string) {
	dialer := m.owner(in.RemoteAddr())
	out, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		in.Close()
		return
	}
	c := &conn{mesh: m, in: in, out: out, dialer: dialer, target: member, gone: make(chan struct{})}
	m.mu.Lock()
	if m.closed || len(m.conns) >= connLimit {
		m.mu.Unlock()
		in.Close()
		out.Close()
		return
	}
	m.conns[c] = true
	m.mu.Unlock()
	c.run()
	m.mu.Lock()
	delete(m.conns, c)
	m.mu.Unlock()
}

// lucky decides by a chance between 0 and 1.
func (m *Mesh) lucky(chance float64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rng.Float64() < chance
}
