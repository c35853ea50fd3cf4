package ui

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Visitor is the server's end of a connection that passes on one of the page's requests. It
// is a socket, as parked watches need one.
type Visitor struct {
	*net.UnixConn
	remote net.Addr // the browser's
	Writes bool     // as in Options
}

// RemoteAddr is the browser's address: by it wrong passwords are counted.
func (v *Visitor) RemoteAddr() net.Addr { return v.remote }

// door is a listener within the process.
type door struct {
	visitors chan *Visitor
	closed   chan struct{}
	close    func()
}

func newDoor() *door {
	d := &door{visitors: make(chan *Visitor), closed: make(chan struct{})}
	d.close = sync.OnceFunc(func() { close(d.closed) })
	return d
}

// dialLimit bounds how long a connection waits to be accepted. A server that serves clients
// accepts at once.
const dialLimit = time.Second

// dial returns the other end of a connection that Accept yields.
func (d *door) dial(ctx context.Context, remote net.Addr, writes bool) (net.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a connection within the process: %w", err)
	}
	ours, err1 := socket(fds[0])
	theirs, err2 := socket(fds[1])
	if err := errors.Join(err1, err2); err != nil {
		return nil, errors.Join(err, shut(ours), shut(theirs))
	}
	late, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	select {
	case d.visitors <- &Visitor{UnixConn: theirs, remote: remote, Writes: writes}:
		return ours, nil
	case <-d.closed:
		err = errors.New("the member stops")
	case <-late.Done():
		err = errors.New("the member doesn't serve clients yet")
	}
	return nil, errors.Join(err, ours.Close(), theirs.Close())
}

func shut(c *net.UnixConn) error {
	if c == nil {
		return nil
	}
	return c.Close()
}

// socket takes over fd.
func socket(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "page")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("open a connection within the process: %w", err)
	}
	return c.(*net.UnixConn), nil
}

// Accept implements net.Listener. It returns a *Visitor.
func (d *door) Accept() (net.Conn, error) {
	select {
	case v := <-d.visitors:
		return v, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.close()
	return nil
}

// Addr implements net.Listener.
func (d *door) Addr() net.Addr { return &net.UnixAddr{Name: "page", Net: "unix"} }
