package httpfront

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// listener accepts the clients of one address. It waits while the process is out of files, and
// while all places of the connLimit are taken.
type listener struct {
	net.Listener
	loops    []*pollLoop // which get the clients in turn
	accepted int
	security protection
	closing  chan struct{}
	close    func() error
}

// protection is how the clients of an address speak.
type protection struct {
	tls   *tls.Config // nil: none speaks TLS
	plain bool        // some may do without
}

// newListener returns a listener on ln, whose clients speak TLS as security says.
func newListener(loops []*pollLoop, ln net.Listener, security protection) *listener {
	l := &listener{Listener: ln, loops: loops, security: security, closing: make(chan struct{})}
	l.close = sync.OnceValue(func() error {
		close(l.closing)
		return ln.Close()
	})
	return l
}

// Close implements net.Listener. It may be called again.
func (l *listener) Close() error { return l.close() }

const acceptPauseLimit = time.Second

// next returns the next client. It fails once the listener is closed.
func (l *listener) next() (*conn, error) {
	o, pause := &l.loops[0].options, time.Duration(0)
	for o.limit.take(l.closing) {
		nc, err := l.Listener.Accept()
		if err == nil {
			pause = 0
			c, err := l.wrap(o.limit.hold(nc))
			if err == nil {
				return c, nil
			}
			o.report("accept on "+l.Addr().String(), err)
			continue
		}
		o.limit.leave()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if pause == 0 {
			o.report("accept on "+l.Addr().String()+", will retry", err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), acceptPauseLimit)
		if !l.wait(pause) {
			break
		}
	}
	return nil, net.ErrClosed
}

// wrap prepares a new connection for serving, or closes it if that fails.
func (l *listener) wrap(c net.Conn) (*conn, error) {
	loop := l.loops[l.accepted%len(l.loops)]
	l.accepted++
	if l.security.plain {
		plain := newConn(loop, c, nil, nil)
		plain.maybe = l.security.tls
		return plain, nil
	}
	s, err := secure(loop, c, l.security.tls)
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

// connLimit bounds the open connections, active, idle or parked: each takes a file, and the
// stores need files too. Connections beyond the limit wait in the listener's backlog.
type connLimit struct {
	taken chan struct{} // nil: no bound
	full  func()        // called whenever a connection has to wait
}

func newConnLimit(limit int, full func()) *connLimit {
	if limit <= 0 {
		return &connLimit{}
	}
	return &connLimit{taken: make(chan struct{}, limit), full: full}
}

// take waits for a free place. It returns false if closing is closed first.
func (p *connLimit) take(closing <-chan struct{}) bool {
	if p.taken == nil {
		return true
	}
	select {
	case p.taken <- struct{}{}:
		return true
	default:
		p.full()
	}
	select {
	case p.taken <- struct{}{}:
		return true
	case <-closing:
		return false
	}
}

func (p *connLimit) leave() {
	if p.taken != nil {
		<-p.taken
	}
}

// hold returns c such that closing it gives its place back. A connection that isn't a
// socket takes no file and needs no place.
func (p *connLimit) hold(c net.Conn) net.Conn {
	if p.taken == nil {
		return c
	}
	socket, ok := c.(*net.TCPConn)
	if !ok {
		p.leave()
		return c
	}
	return &limitedConn{TCPConn: socket, limit: p}
}

// limitedConn is a socket that has a place. Each parked connection has one, so it is small.
type limitedConn struct {
	*net.TCPConn
	limit *connLimit
	left  atomic.Bool
}

func (s *limitedConn) Close() error {
	err := s.TCPConn.Close()
	if s.left.CompareAndSwap(false, true) {
		s.limit.leave()
	}
	return err
}
