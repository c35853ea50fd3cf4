package httpfront

import (
	"net"
	"sync/atomic"
)

// connLimit bounds the connections that are open at once, in use, idle or parked:
// each takes a file, and where clients have taken all of them, the stores can't
// open theirs. Who finds no place waits in the listener's backlog.
type connLimit struct {
	taken chan struct{} // nil: no bound
	full  func()        // told whenever somebody has to wait
}

func newConnLimit(limit int, full func()) *connLimit {
	if limit <= 0 {
		return &connLimit{}
	}
	return &connLimit{taken: make(chan struct{}, limit), full: full}
}

// take waits for a place; it reports false if closing is closed before.
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

// hold makes c give the place that was taken for it back when it is closed.
// What isn't a socket takes no file, and needs no place.
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

// limitedConn is a socket with a place. There is one for each parked connection, so
// it is kept small.
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
