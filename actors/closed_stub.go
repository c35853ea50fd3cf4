package actors

import (
	"sync"
	"sync/atomic"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

type Closed struct {
	mu      sync.Mutex
	counter tree.Index
	open    [][]tree.Range
	settled []tree.Index
	c       atomic.Uint64
}

func NewClosed(slots int, publish func(last tree.Index, notices []tree.Notice)) *Closed {
	return &Closed{open: make([][]tree.Range, slots), settled: make([]tree.Index, slots)}
}
func (c *Closed) Begin(counter tree.Index, handed, settled []tree.Index) {
	c.counter = counter
	copy(c.settled, settled)
	for i := range handed {
		if handed[i] > settled[i] {
			c.open[i] = append(c.open[i], tree.Range{First: settled[i] + 1, Last: handed[i]})
		}
	}
	c.move()
}
func (c *Closed) move() {
	v := c.counter
	for i := range c.open {
		for len(c.open[i]) > 0 && c.open[i][0].Last <= c.settled[i] {
			c.open[i] = c.open[i][1:]
		}
		if len(c.open[i]) > 0 {
			v = min(v, c.open[i][0].First-1)
		}
	}
	raise(&c.c, uint64(v))
}
func (c *Closed) Order(n *statemachine.News) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counter = n.Last
	for _, g := range n.Grants {
		c.open[g.Slot] = append(c.open[g.Slot], g.Range)
	}
	c.move()
}
func (c *Closed) Data(slot int, n *statemachine.News) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled[slot] = n.Last
	c.move()
}
func (c *Closed) Index() tree.Index { return tree.Index(c.c.Load()) }

type Spanning struct {
	m    []*statemachine.Machine
	stop chan struct{}
}

func NewSpanning(m []*statemachine.Machine, c *Closed, window int, lane *ReadLane) *Spanning {
	return &Spanning{m, make(chan struct{})}
}
func (s *Spanning) Publish(tree.Index, []tree.Notice) {}
func (s *Spanning) Run() error { <-s.stop; return nil }
func (s *Spanning) Stop() { close(s.stop) }
func (s *Spanning) Watchers() int                     { return 0 }
func (s *Spanning) Get(dst []byte, q tree.Query, t time.Duration, st func() tree.State) ([]byte, tree.Rest, tree.State, *tree.Error) {
	out, rest, _ := statemachine.GetAcross(s.m, dst, &q, time.Now().UnixNano())
	return out, rest, st(), nil
}
func (s *Spanning) Watch(w *tree.Watch, st func() tree.State) (tree.State, *tree.Error) { return st(), nil }
func (s *Spanning) Unwatch(w *tree.Watch)                                               {}
