package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// client puts load on one server: a number of connections on one epoll, each of
// which sends its next requests as soon as the last ones are answered. It belongs to
// one goroutine. Server and client share the machine, so it does as little as
// possible: requests are copied from prepared bytes, and of the answers only the
// end and the status are looked at.
type client struct {
	epoll  int
	source source
	depth  int // requests in flight on each connection
	conns  []*clientConn
	buffer [256 << 10]byte
	events [256]syscall.EpollEvent

	stopping bool
	last     int64 // requests for each connection; 0: no end
	waiting  int   // requests in flight
	answered int64
	wrong    int64 // answers of another status than wanted
	answer   string
	delay    *hdrhistogram.Histogram // nanoseconds; nil: not kept
}

// source makes the requests of each connection, one after the other.
type source interface {
	// appendRequest appends the n-th request of connection c.
	appendRequest(dst []byte, c int, n int64) []byte
	// wants says which statuses are right.
	wants(code int) bool
}

type clientConn struct {
	fd      int32
	id      int
	n       int64 // requests so far
	waiting int
	sent    time.Duration
	out     []byte
	unsent  []byte // of out
	answers answers
}

// The range of latencies that are recorded; longer ones count as the longest.
const (
	delayLowest  = int64(time.Microsecond)
	delayHighest = int64(time.Minute)
	delayDigits  = 3
)

func newDelays() *hdrhistogram.Histogram {
	return hdrhistogram.New(delayLowest, delayHighest, delayDigits)
}

// connect opens the connections.
func connect(address string, connections, depth int, s source) (*client, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	c := &client{epoll: epoll, source: s, depth: depth}
	for i := range connections {
		fd, err := dialSocket(to, i)
		if err == nil {
			err = syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, event(i, syscall.EPOLLIN))
		}
		if err != nil {
			c.close()
			return nil, fmt.Errorf("connection %d of %d: %w", i+1, connections, err)
		}
		c.conns = append(c.conns, &clientConn{fd: int32(fd), id: i})
	}
	return c, nil
}

// event asks the epoll to tell of connection i; that number is all it keeps.
func event(i int, events uint32) *syscall.EpollEvent {
	return &syscall.EpollEvent{Events: events, Fd: int32(i)}
}

func (c *client) close() {
	for _, conn := range c.conns {
		syscall.Close(int(conn.fd))
	}
	syscall.Close(c.epoll)
}

// now is a clock that costs little and never jumps.
var clockStart = time.Now()

func now() time.Duration { return time.Since(clockStart) }

// run keeps every connection busy for d and counts the answers within that time.
// Requests in flight at the end belong to the next run.
func (c *client) run(d time.Duration) (took time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := now()
	end := begin + d
	c.answered, c.wrong = 0, 0
	for _, conn := range c.conns {
		if conn.waiting == 0 {
			if err := c.ask(conn); err != nil {
				return 0, err
			}
		}
	}
	for at := begin; at < end; at = now() {
		if err := c.turn(end - at); err != nil {
			return 0, err
		}
	}
	return now() - begin, c.complain()
}

// runUntil continues until each connection has had n answers since it was opened,
// and counts the answers of this call.
func (c *client) runUntil(n int64) (took time.Duration, err error) {
	c.answered, c.wrong = 0, 0
	begin := now()
	err = c.more(n)
	return now() - begin, err
}

// more continues until each connection has done n requests in total.
func (c *client) more(n int64) error {
	c.last = n
	for _, conn := range c.conns {
		if err := c.ask(conn); err != nil {
			return err
		}
	}
	for last := now(); c.waiting > 0; {
		before := c.answered
		if err := c.turn(time.Second); err != nil {
			return err
		}
		if c.answered != before {
			last = now()
		} else if now()-last > answerLimit {
			return fmt.Errorf("no answer for %v", answerLimit)
		}
	}
	return c.complain()
}

func (c *client) complain() error {
	if c.wrong > 0 {
		return fmt.Errorf("%d of %d answers were of a wrong status; the first was %s", c.wrong, c.answered, c.answer)
	}
	return nil
}

// drain waits for the answers in flight, and sends no more requests.
func (c *client) drain() error {
	c.stopping = true
	defer func() { c.stopping = false }()
	for end := now() + answerLimit; c.waiting > 0; {
		if err := c.turn(time.Second); err != nil {
			return err
		}
		if now() > end {
			return fmt.Errorf("%d requests are not answered after %v", c.waiting, answerLimit)
		}
	}
	return nil
}

// turn waits for the sockets once, and serves those that are ready.
func (c *client) turn(limit time.Duration) error {
	ms := int((limit + time.Millisecond - 1) / time.Millisecond)
	n, err := syscall.EpollWait(c.epoll, c.events[:], ms)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return err
	}
	for i := range max(n, 0) {
		ev := &c.events[i]
		conn := c.conns[ev.Fd]
		if ev.Events&syscall.EPOLLOUT != 0 {
			err = c.flush(conn)
		}
		if err == nil && ev.Events&^syscall.EPOLLOUT != 0 {
			err = c.read(conn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ask sends the next requests of a connection.
func (c *client) ask(conn *clientConn) error {
	conn.out = conn.out[:0]
	for range c.depth {
		conn.out = c.source.appendRequest(conn.out, conn.id, conn.n)
		conn.n++
	}
	conn.waiting = c.depth
	c.waiting += c.depth
	conn.sent = now()
	conn.unsent = conn.out
	return c.write(conn)
}

// write sends as much of the unsent bytes as the socket takes.
func (c *client) write(conn *clientConn) error {
	n, err := rawWrite(conn.fd, conn.unsent)
	if err != nil {
		return fmt.Errorf("send a request: %w", err)
	}
	conn.unsent = conn.unsent[n:]
	if len(conn.unsent) == 0 {
		return nil
	}
	return c.poll(conn, syscall.EPOLLIN|syscall.EPOLLOUT)
}

// flush continues with the bytes that the socket had no room for.
func (c *client) flush(conn *clientConn) error {
	if err := c.write(conn); err != nil || len(conn.unsent) > 0 {
		return err
	}
	return c.poll(conn, syscall.EPOLLIN)
}

func (c *client) poll(conn *clientConn, events uint32) error {
	return syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_MOD, int(conn.fd), event(conn.id, events))
}

func (c *client) read(conn *clientConn) error {
	n, err := rawRead(conn.fd, c.buffer[:])
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	b := c.buffer[:max(n, 0)]
	for len(b) > 0 {
		var done bool
		if b, done, err = conn.answers.next(b); err != nil {
			return err
		}
		if !done {
			return nil
		}
		c.note(conn)
	}
	if conn.waiting == 0 && !c.stopping && (c.last == 0 || conn.n < c.last) {
		return c.ask(conn)
	}
	return nil
}

// note counts an answer.
func (c *client) note(conn *clientConn) {
	conn.waiting--
	c.waiting--
	c.answered++
	if c.delay != nil {
		d := max(min(int64(now()-conn.sent), delayHighest), delayLowest)
		_ = c.delay.RecordValue(d) // it is within the limits
	}
	if !c.source.wants(conn.answers.code) {
		if c.wrong++; c.wrong == 1 {
			c.answer = fmt.Sprintf("%d, to %.200q", conn.answers.code, conn.out)
		}
	}
}
