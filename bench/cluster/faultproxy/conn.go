package faultproxy

import (
	"net"
	"sync"
	"time"
)

// conn is one proxied connection.
type conn struct {
	mesh           *Mesh
	in, out        net.Conn // from the dialler, to the target
	dialer, target int

	once sync.Once
	gone chan struct{} // closed when the connection has ended
	half bool          // guarded by the mesh: the dialler's end is closed
}

// piece is some bytes and when they came.
type piece struct {
	bytes []byte
	at    time.Time
}

const (
	pieceSize = 16 << 10
	// queueLimit bounds how many pieces may be in transit in one direction; a
	// faster sender has to wait, as with a full TCP window.
	queueLimit = 64
)

func (c *conn) run() {
	var pumps sync.WaitGroup
	pumps.Go(func() { c.pump(c.in, c.out, link{c.dialer, c.target}) })
	pumps.Go(func() { c.pump(c.out, c.in, link{c.target, c.dialer}) })
	pumps.Wait()
	c.close()
}

// pump carries bytes in one direction until either end closes.
func (c *conn) pump(from, to net.Conn, l link) {
	queue := make(chan piece, queueLimit)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(queue)
		for {
			buf := make([]byte, pieceSize)
			n, err := from.Read(buf)
			if n > 0 {
				select {
				case queue <- piece{buf[:n], time.Now()}:
				case <-c.gone:
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	for p := range queue {
		if !c.pass(p, l) {
			break
		}
		if _, err := to.Write(p.bytes); err != nil {
			break
		}
	}
	if !c.silent() {
		c.close()
	}
	<-c.gone
	reader.Wait()
}

// pass waits until a piece may be forwarded; false if the connection ends before that.
func (c *conn) pass(p piece, l link) bool {
	for {
		rule, news := c.mesh.rule(l)
		wait := time.Until(p.at.Add(rule.Delay))
		if rule.Rate > 0 {
			wait = max(wait, time.Duration(len(p.bytes))*time.Second/time.Duration(rule.Rate))
		}
		if !rule.Hold && !c.silent() {
			if !c.sleep(wait) {
				return false
			}
			if rule.Corrupt > 0 && c.mesh.lucky(rule.Corrupt) {
				p.bytes[len(p.bytes)/2] ^= 1 << 3
			}
			return true
		}
		select {
		case <-news:
		case <-c.gone:
			return false
		}
	}
}

func (c *conn) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.gone:
		return false
	}
}

// silent says whether the dialler's end is closed and the target's is kept.
func (c *conn) silent() bool {
	c.mesh.mu.Lock()
	defer c.mesh.mu.Unlock()
	return c.half
}

// halfOpen is called with the mesh locked.
func (c *conn) halfOpen() {
	c.half = true
	c.in.Close()
}

// reset ends the connection so that both ends see it as broken, not as closed.
func (c *conn) reset() {
	for _, end := range []net.Conn{c.in, c.out} {
		if tcp, ok := end.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	c.close()
}

func (c *conn) close() {
	c.once.Do(func() {
		close(c.gone)
		c.in.Close()
		c.out.Close()
	})
}
