package loop

import (
	"sync"
	"sync/atomic"
)

type Life struct {
	stop  chan struct{}
	done  chan struct{}
	begun *atomic.Bool
	ask   *sync.Once
}

func NewLife() Life {
	return Life{stop: make(chan struct{}), done: make(chan struct{}), begun: new(atomic.Bool), ask: new(sync.Once)}
}
func (l *Life) Begin() bool               { return l.begun.CompareAndSwap(false, true) }
func (l *Life) End()                      { close(l.done) }
func (l *Life) Stopping() <-chan struct{} { return l.stop }
func (l *Life) Done() <-chan struct{}     { return l.done }
func (l *Life) Halt() {
	l.ask.Do(func() { close(l.stop) })
	if l.Begin() {
		l.End()
	}
	<-l.done
}
func (l *Life) Halting() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}
