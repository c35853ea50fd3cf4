package httpfront

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// connTable owns the goroutines that serve connections, one each, and knows
// which of them are waiting for a request. fasthttp's own way of stopping
// leaves connections and goroutines behind.
type connTable struct {
	closing atomic.Bool // set once
	busy    sync.Map    // net.Conn to *atomic.Bool: a request has begun
	serving sync.WaitGroup
}

// serve starts a goroutine that serves c, or reports false if it is too late
// for that. serveConn closes c, unless it was hijacked. It mustn't be called
// any more when stop is.
func (t *connTable) serve(c net.Conn, serveConn func(net.Conn) error) bool {
	if t.closing.Load() {
		return false
	}
	busy := new(atomic.Bool)
	if c, ok := c.(*conn); ok {
		c.busy = busy // so that it need not be looked up for each request
	}
	t.busy.Store(c, busy)
	t.serving.Go(func() {
		_ = serveConn(c) // how a connection ended concerns nobody
		t.busy.CompareAndDelete(c, busy)
	})
	return true
}

// stateChanged is told by fasthttp when a request begins and when it has been
// answered.
func (t *connTable) stateChanged(c net.Conn, state fasthttp.ConnState) {
	if state != fasthttp.StateActive && state != fasthttp.StateIdle {
		return
	}
	if c, ok := c.(*conn); ok {
		c.busy.Store(state == fasthttp.StateActive)
		return
	}
	if busy, ok := t.busy.Load(c); ok {
		busy.(*atomic.Bool).Store(state == fasthttp.StateActive)
	}
}

// count returns how many connections have a request under way, and how many
// wait for one.
func (t *connTable) count() (active, idle int) {
	t.busy.Range(func(_, busy any) bool {
		if busy.(*atomic.Bool).Load() {
			active++
		} else {
			idle++
		}
		return true
	})
	return active, idle
}

// stop closes connections as they fall idle, all of them once ctx has ended,
// and returns when the last goroutine has.
func (t *connTable) stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() { // ends with the last connection, which this waits for
		t.serving.Wait()
		close(done)
	}()
	const interval = 10 * time.Millisecond
	again := time.NewTicker(interval)
	defer again.Stop()
	expired := ctx.Done()
	var err error
	for {
		t.close(err == nil)
		select {
		case <-done:
			return err
		case <-expired:
			err, expired = ctx.Err(), nil
		case <-again.C:
		}
	}
}

func (t *connTable) close(idleOnly bool) {
	t.busy.Range(func(c, busy any) bool {
		if !idleOnly || !busy.(*atomic.Bool).Load() {
			_ = c.(net.Conn).Close()
		}
		return true
	})
}
