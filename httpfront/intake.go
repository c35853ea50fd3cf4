package httpfront

import (
	"io"
	"net"

	"copse/statemachine/inflight"
)

// intake holds what a connection has received and fasthttp hasn't read yet. fasthttp gets heads
// whole, and respelled if need be: otherwise it would wait for what a client doesn't send. A large
// head moves the connection to a server with larger buffers, for as long as that request takes; so
// a buffer is as large as the head needs, and the budget has each one.
type intake struct {
	framing
	rest    []byte // received and not yet read
	ready   int    // how much of rest may be read
	room    int    // the size of fasthttp's buffer
	verdict verdict
	cut     bool  // the client has ended in the middle of a request
	held    int64 // what the budget has for a large head
	next    *conn // after the connection has moved
}

// headOptions are the same for all connections.
type headOptions struct {
	limit    int // bytes of one head
	inFlight *inflight.Budget
}

// verdict is the reason to refuse a request before fasthttp sees it.
type verdict uint8

const (
	headFine verdict = iota
	headTooLarge
	headUnaffordable // others hold the memory
	hostMalformed
)

const (
	// smallRoom is enough for the heads of nearly all requests.
	smallRoom = 4 << 10
	roomStep  = 4 // between the sizes of buffers
	// headSlack is how much larger than the limit a head may be, as in Go's library.
	headSlack = 4 << 10
	// headCopies is how many times its size a large head takes in memory: here, in fasthttp's
	// buffer and its parts, and in a write on its way.
	headCopies = 12
	// partCost is what each line of a head takes besides, however short it is: fasthttp keeps some
	// 80 bytes for it, and leaves as much again to the garbage collector.
	partCost  = 160
	freeParts = 100 // more than nearly all heads have
)

// unreadable is handed to fasthttp in the place of refused input, and then the end. fasthttp
// refuses it wherever it stands: as a request, a chunk or a trailer, or the rest of one.
const unreadable = "\x00\r\n\r\n"

// rooms are the sizes of buffers up to that for the largest head, of which CRLF in the place of
// LF makes four bytes of three.
func rooms(limit int) []int {
	largest := limit + limit/3 + 2
	list := []int{smallRoom}
	for last := smallRoom; last < largest; {
		last *= roomStep
		list = append(list, min(last, max(largest, smallRoom)))
	}
	return list
}

// roomFor is the place of a size among rooms.
func roomFor(size int) (at int) {
	for room := smallRoom; room < size; room *= roomStep {
		at++
	}
	return at
}

// Read implements net.Conn for fasthttp. A detached conn returns io.EOF, so that fasthttp's
// buffer can be read without waiting for more.
func (c *conn) Read(b []byte) (int, error) {
	if c.state.Load() == connDetached {
		return 0, io.EOF
	}
	for c.ready == 0 {
		if c.phase == inHead && len(c.rest) == 0 {
			switch {
			case c.room > smallRoom:
				return 0, c.move(smallRoom)
			case c.setAside():
				return 0, net.ErrClosed
			}
		}
		var err error
		if c.phase == ended {
			return 0, io.ErrUnexpectedEOF
		} else if len(c.rest) > 0 {
			err = c.prepare()
		} else if n, failed := c.receive(b); failed != nil {
			return n, failed
		} else if good, _ := c.follow(b[:n]); good == n {
			return n, nil // as nearly always
		} else {
			c.rest, c.ready = append(c.rest, b[:n]...), good
		}
		if err != nil {
			return 0, err
		}
	}
	n := copy(b, c.rest[:c.ready])
	c.ready -= n
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.rest = nil
	}
	return n, nil
}

// receive reads from the socket.
func (c *conn) receive(b []byte) (int, error) {
	c.writes.restart(c.loop.options.writeTimeout) // the answer to this comes later
	if err := c.reads.arm(c.loop.options.slack, c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	switch {
	case n > 0:
		err = nil // the next read returns it
	case err == io.EOF && c.phase != inHead && c.phase != unfollowed:
		err, c.cut = io.ErrUnexpectedEOF, true // fasthttp would take it for the last chunk
	}
	return n, err
}

// prepare makes the beginning of rest ready to be read. It receives more if it has to.
func (c *conn) prepare() error {
	n, odd := c.follow(c.rest)
	head := &c.head
	switch {
	case n > 0:
		c.ready = n
	case !odd && len(c.rest) <= c.loop.options.heads.limit:
		return c.more()
	case !odd || c.phase == inHead && head.size-head.grown > c.loop.options.heads.limit:
		c.refuse(headTooLarge)
	case c.phase != inHead || head.broken:
		c.refuse(head.why)
	case head.loose:
		size := head.size
		whole := respelled(c.rest[:size])
		*head = headScan{grown: len(whole) - size}
		c.rest = append(whole, c.rest[size:]...)
	case !c.afford(head.size, head.parts):
		c.refuse(headUnaffordable)
	default:
		return c.move(max(head.size, smallRoom+1))
	}
	return nil
}

// refuse makes fasthttp refuse the next request, and read no more.
func (c *conn) refuse(why verdict) {
	c.verdict, c.phase = why, ended
	c.rest, c.ready = []byte(unreadable), len(unreadable)
}

// more receives more of a head.
func (c *conn) more() error {
	c.begun()
	if len(c.rest) == cap(c.rest) {
		size := min(2*len(c.rest), c.loop.options.heads.limit+1)
		if !c.afford(size, 0) {
			c.refuse(headUnaffordable)
			return nil
		}
		c.rest = append(make([]byte, 0, size), c.rest...)
	}
	n, err := c.receive(c.rest[len(c.rest):cap(c.rest)])
	c.rest = c.rest[:len(c.rest)+n]
	if err != nil { // fasthttp sees it after the bytes that have come
		c.phase, c.ready = unfollowed, len(c.rest)
	}
	return nil
}

// afford counts a head of so many bytes and parts, unless it is small.
func (c *conn) afford(size, parts int) bool {
	need := int64(size)*headCopies + int64(parts)*partCost
	if size <= smallRoom && parts <= freeParts {
		return true
	}
	budget := c.loop.options.heads.inFlight
	if need = budget.Most(inflight.Heads, need); need <= c.held {
		return true
	}
	if !budget.Take(inflight.Heads, need-c.held, bodyPatience) {
		return false
	}
	c.held = need
	return true
}

// move lets fasthttp end with c, as if it were closed, and passes the socket on to a conn
// whose buffer has room for so many bytes.
func (c *conn) move(size int) error {
	if !c.state.CompareAndSwap(connOpen, connMoved) {
		return net.ErrClosed
	}
	next := newConn(c.loop, c.Conn, c.wire, c.rest)
	next.sock = c.sock
	next.room, next.paid = size, size > smallRoom
	next.held, next.client = c.held, c.client
	next.deadlines = c.deadlines
	next.busy.Store(c.busy.Load())
	c.next, c.held, c.rest = next, 0, nil
	return net.ErrClosed
}
