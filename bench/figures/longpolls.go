package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// longPolls is a number of parked long-polls, all on one epoll. It belongs to one
// goroutine.
type longPolls struct {
	epoll   int
	address netip.AddrPort
	room    int // connections to make, the first time that they park
	request []byte
	streams bool            // they stay parked after an event
	end     []byte          // of what an event brings
	parked  map[int]*parked // by file descriptor
	buffer  [64 << 10]byte
}

// parked is one connection; answer grows until it is complete.
type parked struct {
	answer []byte
}

var (
	headEnd   = []byte("\r\n\r\n")
	bodyEnd   = []byte("\r\n0\r\n\r\n")
	streamEnd = []byte("}\n\r\n")   // of an event of a stream
	eventEnd  = []byte("}\n\n\r\n") // of a server-sent one
)

// stream makes the requests ask for one event after the other, as v2 sends them.
func (l *longPolls) stream() {
	l.streams, l.end = true, streamEnd
	l.request = bytes.Replace(l.request, []byte("?wait=true"), []byte("?wait=true&stream=true"), 1)
}

// serverSent makes the requests ask for server-sent events.
func (l *longPolls) serverSent() {
	l.streams, l.end = true, eventEnd
	l.request = append(bytes.TrimSuffix(l.request, headEnd), "\r\nAccept: text/event-stream\r\n\r\n"...)
}

// forget drops what streams have been answered.
func (l *longPolls) forget() {
	for _, p := range l.parked {
		if l.streams {
			p.answer = p.answer[:0]
		}
	}
}

// openLongPolls makes room for n connections, which are made when they are first
// parked. The sockets are ours alone: a net.Conn each would take more memory
// here than a good server takes there.
func openLongPolls(address, key string, n int) (*longPolls, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &longPolls{
		epoll:   epoll,
		address: to,
		room:    n,
		request: fmt.Appendf(nil, "GET /v2/keys%s?wait=true HTTP/1.1\r\nHost: %s\r\n\r\n", key, address),
		parked:  make(map[int]*parked, n),
		end:     bodyEnd,
	}, nil
}

func (l *longPolls) connect() (fd int, err error) {
	fd, err = dialSocket(l.address, len(l.parked))
	if err != nil {
		return 0, err
	}
	l.parked[fd] = &parked{}
	return fd, syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

func (l *longPolls) close() {
	for fd := range l.parked {
		syscall.Close(fd)
	}
	syscall.Close(l.epoll)
}

// batch is how many requests are sent before their heads are awaited, because
// a listener's queue and a socket's buffer are limited.
const batch = 100

// park sends a long-poll on each connection, and returns when all have received
// the response head, which the servers send when the watch is in place. A new
// connection sends at once, like a client that connects in order to watch.
func (l *longPolls) park() error {
	for fds := range slices.Chunk(slices.Collect(maps.Keys(l.parked)), batch) {
		if err := l.parkSome(fds); err != nil {
			return err
		}
	}
	for l.room > 0 {
		fds := make([]int, min(batch, l.room))
		l.room -= len(fds)
		for i := range fds {
			var err error
			if fds[i], err = l.connect(); err != nil {
				return fmt.Errorf("connection %d: %w", len(l.parked), err)
			}
		}
		if err := l.parkSome(fds); err != nil {
			return err
		}
	}
	return nil
}

func (l *longPolls) parkSome(fds []int) error {
	for _, fd := range fds {
		p := l.parked[fd]
		p.answer = p.answer[:0]
		if n, err := syscall.Write(fd, l.request); err != nil || n != len(l.request) {
			return fmt.Errorf("send a long-poll: %d bytes, %v", n, err)
		}
	}
	return l.await(headEnd, len(fds))
}

// woken returns when each connection has its whole event.
func (l *longPolls) woken() error { return l.await(l.end, len(l.parked)) }

// await reads until count answers contain the mark.
func (l *longPolls) await(mark []byte, count int) error {
	events := make([]syscall.EpollEvent, 512)
	for count > 0 {
		n, err := syscall.EpollWait(l.epoll, events, int(answerLimit/time.Millisecond))
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%d connections are still waiting after %v", count, answerLimit)
		}
		for _, ev := range events[:n] {
			p := l.parked[int(ev.Fd)]
			had := bytes.Contains(p.answer, mark)
			if err := l.read(int(ev.Fd), p); err != nil {
				return err
			}
			if !had && bytes.Contains(p.answer, mark) {
				count--
			}
		}
	}
	return nil
}

func (l *longPolls) read(fd int, p *parked) error {
	n, err := syscall.Read(fd, l.buffer[:])
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return nil
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("the server closed a parked connection after %.300q", p.answer)
	}
	p.answer = append(p.answer, l.buffer[:n]...)
	if !l.streams && !bytes.HasPrefix(p.answer, []byte("HTTP/1.1 200")[:min(12, len(p.answer))]) {
		return fmt.Errorf("a long-poll was answered with %.300q", p.answer)
	}
	return nil
}
