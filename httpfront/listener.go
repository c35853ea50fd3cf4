package httpfront

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// listener yields new connections and those that the poll loop hands back, so
// accepting has a goroutine of its own. It waits and goes on when the process
// is out of files, and doesn't let clients take the files that the stores need:
// each connection has one of the poll loop's places. listen starts it, Close ends
// and awaits it.
type listener struct {
	net.Listener
	loop     *pollLoop
	security *tls.Config // nil: no TLS
	accepted chan *conn
	closing  chan struct{}
	done     chan struct{}
	once     sync.Once
	err      error // of closing; valid after once
}

// listen returns ln with the poll loop's connections mixed in. Several listeners
// of one server may share a loop: a connection comes back on any of them.
// With security, what they carry is TLS.
func (p *pollLoop) listen(ln net.Listener, security *tls.Config) net.Listener {
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

// Accept implements net.Listener. What it yields is a *conn.
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
				l.loop.options.report("accept on "+l.Addr().String()+", trying on", err)
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

// wrap makes of a new connection what serves it, and closes it if it can't.
func (l *listener) wrap(c net.Conn) (*conn, error) {
	if l.security == nil {
		return newConn(l.loop, c, nil, nil), nil
	}
	s, err := secure(l.loop, c, l.security)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

// wait reports false if the listener was closed meanwhile.
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
