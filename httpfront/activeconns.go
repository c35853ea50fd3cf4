package httpfront

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// activeConns owns the goroutines that serve connections, one each, and knows which
// connections are idle. fasthttp's own Shutdown leaves connections and goroutines behind.
type activeConns struct {
	closing atomic.Bool // set once
	conns   sync.Map    // *conn to nothing
	serving sync.WaitGroup
}

// serve starts a goroutine that serves c, or returns false if the server is closing.
// serveConn closes c unless it was hijacked, and removes it. serve must not be called once stop has been.
func (t *activeConns) serve(c *conn, serveConn func(*conn) error) bool {
	if t.closing.Load() {
		return false
	}
	t.conns.Store(c, nil)
	t.serving.Go(func() {
		_ = serveConn(c) // nothing to do about a connection that failed
	})
	return true
}

// replace puts next in the place of c, which has the same socket and is being served.
func (t *activeConns) replace(c, next *conn) {
	t.conns.Store(next, nil)
	t.conns.Delete(c)
}

// remove forgets a connection that is no longer served.
func (t *activeConns) remove(c *conn) { t.conns.Delete(c) }

// count returns the numbers of connections with a request in progress and without.
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

// stop closes connections as they become idle, and the rest when ctx ends. It returns after
// the last goroutine has.
func (t *activeConns) stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() { // ends with the last connection, which stop waits for
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
