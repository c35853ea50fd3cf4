package httpfront

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connections owns everything that is connected: the listeners, the poll loops, and the
// goroutines that serve connections while something may block, one each. fasthttp's own Shutdown
// leaves connections and goroutines behind.
type connections struct {
	newLoops   func() ([]*pollLoop, error)
	closing    atomic.Bool // set once
	served     sync.Map    // by goroutines: *conn to nothing
	goroutines sync.WaitGroup

	mu        sync.Mutex  // guards what follows
	loops     []*pollLoop // made by the first accept
	listeners []*listener
	stopped   bool
	accepting sync.WaitGroup // one for each accept; grows only while not stopped
}

// accept takes connections from ln, which it closes in the end, until stop. Those whose clients
// speak plain HTTP begin in a poll loop, and others on a goroutine.
func (c *connections) accept(ln net.Listener, security protection, serve func(*conn) error) error {
	l, err := c.open(ln, security)
	if l == nil {
		return errors.Join(err, ln.Close())
	}
	defer c.accepting.Done()
	for {
		nc, err := l.next()
		if err != nil {
			_ = l.Close()
			if c.closing.Load() {
				return nil
			}
			return fmt.Errorf("accept on %v: %w", ln.Addr(), err)
		}
		if nc.maybe == nil && nc.wire == nil && nc.parkable() {
			nc.wait()
			continue
		}
		c.serve(nc, serve)
	}
}

// open counts an accept and wraps its listener. It returns nil, without an error, if
// stop has been called.
func (c *connections) open(ln net.Listener, security protection) (*listener, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, nil
	}
	if c.loops == nil {
		loops, err := c.newLoops()
		if err != nil {
			return nil, err
		}
		c.loops = loops
	}
	l := newListener(c.loops, ln, security)
	c.listeners = append(c.listeners, l)
	c.accepting.Add(1)
	return l, nil
}

// unencrypted lists the addresses that other machines reach without TLS.
func (c *connections) unencrypted() (urls []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.listeners {
		if l.security.plain && !onLoopback(l) {
			urls = append(urls, "http://"+l.Addr().String())
		}
	}
	return urls
}

// stop is [Server.Stop].
func (c *connections) stop(ctx context.Context) error {
	c.mu.Lock()
	c.stopped = true
	c.closing.Store(true)
	listeners, loops := c.listeners, c.loops
	c.listeners = nil
	c.mu.Unlock()

	for _, l := range listeners {
		_ = l.Close() // the addresses are free at once, whatever it returns
	}
	c.accepting.Wait()
	var stopping sync.WaitGroup
	for _, p := range loops {
		stopping.Go(p.stop) // at once: each waits for its turns
	}
	stopping.Wait()
	err := c.await(ctx)
	for _, p := range loops {
		p.settle()
	}
	return err
}

// serve starts a goroutine that serves nc. serveConn removes it, and closes it unless others
// have it then. It must not be called once await has been.
func (c *connections) serve(nc *conn, serveConn func(*conn) error) {
	c.served.Store(nc, nil)
	c.goroutines.Go(func() {
		_ = serveConn(nc) // nothing to do about a connection that failed
	})
}

// replace puts next in the place of old, which has the same socket and is being served.
func (c *connections) replace(old, next *conn) {
	c.served.Store(next, nil)
	c.served.Delete(old)
}

// remove forgets a connection that is no longer served.
func (c *connections) remove(nc *conn) { c.served.Delete(nc) }

// count returns the numbers of connections with a request in progress and without.
func (c *connections) count() (active, idle int) {
	c.served.Range(func(key, _ any) bool {
		if key.(*conn).busy.Load() {
			active++
		} else {
			idle++
		}
		return true
	})
	return active, idle
}

// await closes connections as they become idle, and the rest when ctx ends. It returns after
// the last goroutine has.
func (c *connections) await(ctx context.Context) error {
	done := make(chan struct{})
	go func() { // ends with the last connection, which stop waits for
		c.goroutines.Wait()
		close(done)
	}()
	const interval = 10 * time.Millisecond
	again := time.NewTicker(interval)
	defer again.Stop()
	expired := ctx.Done()
	var err error
	for {
		c.closeServed(err == nil)
		select {
		case <-done:
			return err
		case <-expired:
			err, expired = ctx.Err(), nil
		case <-again.C:
		}
	}
}

func (c *connections) closeServed(idleOnly bool) {
	c.served.Range(func(key, _ any) bool {
		if nc := key.(*conn); !idleOnly || !nc.busy.Load() {
			_ = nc.Close()
		}
		return true
	})
}
