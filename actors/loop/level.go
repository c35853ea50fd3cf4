package loop

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// ErrCrowded reports that too many goroutines wait for a Level.
var ErrCrowded = errors.New("too many wait for this already")

// levelLimit bounds how many goroutines wait for one Level.
const levelLimit = 16384

// Level is a number that never falls, with the goroutines that wait until it has risen far
// enough. Raising it costs two loads as long as nobody waits for what it has come to. The
// zero Level is at 0.
type Level struct {
	at   atomic.Uint64
	next atomic.Uint64 // the lowest that is waited for; 0: nobody waits

	mu      sync.Mutex
	waiting levelHeap
}

// At is where the level is.
func (l *Level) At() uint64 { return l.at.Load() }

// Raise moves the level up to n, unless it is there. One goroutine at a time may call it.
func (l *Level) Raise(n uint64) {
	if n <= l.at.Load() {
		return
	}
	l.at.Store(n)
	l.wake()
}

// wake lets go of those who have what they wait for.
func (l *Level) wake() {
	if next := l.next.Load(); next == 0 || next > l.at.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 && l.waiting[0].level <= l.at.Load() {
		close(heap.Pop(&l.waiting).(*levelWaiter).reached)
	}
	l.settle()
}

// settle publishes what is waited for next.
func (l *Level) settle() {
	next := uint64(0)
	if len(l.waiting) > 0 {
		next = l.waiting[0].level
	}
	l.next.Store(next)
}

// Wait returns nil once the level is at least n; otherwise ctx's error, or ErrCrowded.
func (l *Level) Wait(ctx context.Context, n uint64) error {
	if l.at.Load() >= n {
		return nil
	}
	w := &levelWaiter{level: n, reached: make(chan struct{})}
	if !l.add(w) {
		return ErrCrowded
	}
	l.wake() // the level may have risen before w could be seen
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
		l.remove(w)
		return ctx.Err()
	}
}

func (l *Level) add(w *levelWaiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) >= levelLimit {
		return false
	}
	heap.Push(&l.waiting, w)
	l.settle()
	return true
}

func (l *Level) remove(w *levelWaiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.place >= 0 {
		heap.Remove(&l.waiting, w.place)
		l.settle()
	}
}

type levelWaiter struct {
	level   uint64
	reached chan struct{}
	place   int // in the heap; -1: it has left
}

// levelHeap has the lowest level first.
type levelHeap []*levelWaiter

// Len implements heap.Interface, as the other methods do.
func (h levelHeap) Len() int           { return len(h) }
func (h levelHeap) Less(i, j int) bool { return h[i].level < h[j].level }

func (h levelHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *levelHeap) Push(x any) {
	w := x.(*levelWaiter)
	w.place = len(*h)
	*h = append(*h, w)
}

// Pop implements heap.Interface.
func (h *levelHeap) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	w.place = -1
	return w
}
