package httpfront

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// connections owns everything that is connected: the listeners, the goroutines of
// connections in use, and the poll loop with those that wait.
type connections struct {
	newLoop func() (*pollLoop, error)
	active  activeConns

	mu        sync.Mutex // guards what follows
	loop      *pollLoop  // made by the first accept
	listeners []*listener
	stopped   bool
	serving   sync.WaitGroup // one for each accept; grows only while not stopped
}

// accept takes connections from ln, which it closes in the end, until stop. Each is
// served on a goroutine of its own.
func (c *connections) accept(ln net.Listener, security protection, serve func(*conn) error) error {
	l, err := c.open(ln, security)
	if l == nil {
		return errors.Join(err, ln.Close())
	}
	defer c.serving.Done()
	for {
		nc, err := l.Accept()
		if err != nil {
			_ = l.Close()
			if c.active.closing.Load() {
				return nil
			}
			return fmt.Errorf("accept on %v: %w", ln.Addr(), err)
		}
		if !c.active.serve(nc.(*conn), serve) {
			_ = nc.Close()
		}
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
	if c.loop == nil {
		loop, err := c.newLoop()
		if err != nil {
			return nil, err
		}
		c.loop = loop
	}
	l := c.loop.listen(ln, security)
	c.listeners = append(c.listeners, l)
	c.serving.Add(1)
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
	c.active.closing.Store(true)
	listeners, loop := c.listeners, c.loop
	c.listeners = nil
	c.mu.Unlock()

	for _, l := range listeners {
		_ = l.Close() // the addresses are free at once, whatever it returns
	}
	c.serving.Wait()
	if loop == nil {
		return c.active.stop(ctx)
	}
	loop.stop()
	err := c.active.stop(ctx)
	loop.settle()
	return err
}
