package httpfront

import (
	"net"
	"sync/atomic"
)

// places bounds the connections that are open at once, in use, idle or parked:
// each takes a file, and where clients have taken all of them, the stores can't
// open theirs. Who finds no place waits in the listener's backlog.
type places struct {
	taken chan struct{} // nil: no bound
	full  func()        // told whenever somebody has to wait
}

func newPlaces(limit int, full func()) *places {
	if limit <= 0 {
		return &places{}
	}
	return &places{taken: make(chan struct{}, limit), full: full}
}

// take waits for a place; it reports false if closing is closed before.
func (p *places) take(closing <-chan struct{}) bool {
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

func (p *places) leave() {
	if p.taken != nil {
		<-p.taken
	}
}

// seat makes c give the place that was taken for it back when it is closed.
// What isn't a socket takes no file, and needs no place.
func (p *places) seat(c net.Conn) net.Conn {
	if p.taken == nil {
		return c
	}
	socket, ok := c.(*net.TCPConn)
	if !ok {
		p.leave()
		return c
	}
	return &seated{TCPConn: socket, places: p}
}

// seated is a socket with a place. There is one for each parked connection, so
// it is kept small.
type seated struct {
	*net.TCPConn
	places *places
	left   atomic.Bool
}

func (s *seated) Close() error {
	err := s.TCPConn.Close()
	if s.left.CompareAndSwap(false, true) {
		s.places.leave()
	}
	return err
}
