package httpfront

import (
	"net"
	"sync/atomic"
)

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
