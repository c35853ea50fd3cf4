package httpfront

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// activeConns owns the goroutines that serve connections, one each, and knows
// which of them are waiting for a request. fasthttp's own way of stopping
// leaves connections and goroutines behind.
type activeConns struct {
	closing atomic.Bool // set once
	conns   sync.Map    // *conn to nothing
	serving sync.WaitGroup
}

// serve starts a goroutine that serves c, or reports false if it is too late
// for that. serveConn closes c, unless it was hijacked. It mustn't be called
// any more when stop is.
func (t *activeConns) serve(c *conn, serveConn func(*conn) error) bool {
	if t.closing.Load() {
		return false
	}
	t.conns.Store(c, nil)
	t.serving.Go(func() {
		_ = serveConn(c) // how a connection ended concerns nobody
		t.conns.Delete(c)
	})
	return true
}

// count returns how many connections have a request under way, and how many
// wait for one.
func (t *activeConns) count() (active, idle int) {
	t.conns.Range(func(c, _ any) bool {
		if c.(*conn).busy.Load() {
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
func (t *activeConns) stop(ctx context.Context) error {
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

func (t *activeConns) close(idleOnly bool) {
	t.conns.Range(func(key, _ any) bool {
		if c := key.(*conn); !idleOnly || !c.busy.Load() {
			_ = c.Close()
		}
		return true
	})
}
