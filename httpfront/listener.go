package httpfront

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// listener yields new connections and those that the poll loop hands back, so accepting has
// a goroutine of its own, which listen starts and Close ends and awaits. It waits while the
// process is out of files, and while all places of the connLimit are taken.
type listener struct {
	net.Listener
	loop     *pollLoop
	security protection
	accepted chan *conn
	closing  chan struct{}
	done     chan struct{}
	once     sync.Once
	err      error // of closing; valid after once
}

// protection is how the clients of an address speak.
type protection struct {
	tls   *tls.Config // nil: none speaks TLS
	plain bool        // some may do without
}

// listen returns a listener that yields the connections of ln, over TLS as security says,
// and those that the poll loop hands back. Several listeners may share a loop: a connection
// may come back on any of them.
func (p *pollLoop) listen(ln net.Listener, security protection) *listener {
	l := &listener{
		Listener: ln,
		loop:     p,
		security: security,
		accepted: make(chan *conn),
		closing:  make(chan struct{}),
		done:     make(chan struct{}),
	}
	go l.run()
	return l
}

// Accept implements net.Listener. It returns a *conn.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case c := <-l.loop.resumed:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closing)
		l.err = l.Listener.Close()
	})
	<-l.done
	return l.err
}

const acceptPauseLimit = time.Second

func (l *listener) run() {
	defer close(l.done)
	pause := time.Duration(0)
	for l.loop.limit.take(l.closing) {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			pause = 0
			c, err := l.wrap(l.loop.limit.hold(c))
			if err != nil {
				l.loop.options.report("accept on "+l.Addr().String(), err)
				continue
			}
			select {
			case l.accepted <- c:
			case <-l.closing:
				_ = c.Close() // never served
				return
			}
			continue
		case errors.Is(err, net.ErrClosed):
			l.loop.limit.leave()
			return
		default:
			if pause == 0 {
				l.loop.options.report("accept on "+l.Addr().String()+", will retry", err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), acceptPauseLimit)
			if !l.wait(pause) {
				l.loop.limit.leave()
				return
			}
		}
		l.loop.limit.leave()
	}
}

// wrap prepares a new connection for serving, or closes it if that fails.
func (l *listener) wrap(c net.Conn) (*conn, error) {
	if l.security.plain {
		plain := newConn(l.loop, c, nil, nil)
		plain.maybe = l.security.tls
		return plain, nil
	}
	s, err := secure(l.loop, c, l.security.tls)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

// wait returns false if the listener was closed meanwhile.
func (l *listener) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.closing:
		return false
	}
}
