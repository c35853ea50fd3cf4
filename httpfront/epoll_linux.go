package httpfront

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// poller waits for sockets on behalf of the poll loop, with an epoll instance of its own:
// the runtime's wakes goroutines, and parked connections have none. The instance is
// registered with the runtime as a file, so that waiting for it blocks a goroutine but no
// thread.
//
// This file is for Linux. Another system would need one like it.
//
// Sockets are watched edge-triggered, from the start for reading and hang-up: a parked
// connection costs one system call when it arrives and one when it is handed back.
type poller struct {
	fd     int
	file   *os.File
	events chan []unix.EpollEvent
	taken  chan struct{} // the receiver has handled the events
	closed chan struct{}
}

const (
	pollReadable = unix.EPOLLIN
	pollWritable = unix.EPOLLOUT
	pollHalfGone = unix.EPOLLRDHUP
	pollGone     = unix.EPOLLHUP | unix.EPOLLERR
)

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("unblock epoll instance: %w", err), unix.Close(fd))
	}
	return &poller{
		fd:     fd,
		file:   os.NewFile(uintptr(fd), "epoll"),
		events: make(chan []unix.EpollEvent),
		taken:  make(chan struct{}),
		closed: make(chan struct{}),
	}, nil
}

// run delivers events, one batch at a time, until close. The receiver owns a batch until it
// sends on taken.
func (p *poller) run() {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return // closed before it began
	}
	buf := make([]unix.EpollEvent, 256)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, err = unix.EpollWait(int(fd), buf, 0)
			return n > 0 || err != nil
		})
		if err != nil {
			return // closed
		}
		if n <= 0 {
			continue // interrupted, the only error that is possible
		}
		select {
		case p.events <- buf[:n]:
		case <-p.closed:
			return
		}
		select {
		case <-p.taken:
		case <-p.closed:
			return
		}
	}
}

// close ends run. The owner of the sockets calls it once, and doesn't use the poller
// afterwards.
func (p *poller) close() {
	close(p.closed)
	_ = p.file.Close() // nothing was written to it
}

// token identifies a parked connection in an event: its slot, and a number that
// distinguishes it from earlier owners of the slot.
type token struct{ slot, generation int32 }

func tokenOf(ev *unix.EpollEvent) token { return token{slot: ev.Fd, generation: ev.Pad} }

// add starts watching a socket. Conditions that already hold are reported at once.
func (p *poller) add(fd int, t token) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, 0, t)
}

// addWritable also reports when fd can be written again.
func (p *poller) addWritable(fd int, t token) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, pollWritable, t)
}

// remove stops watching a socket that stays open; closing one does so by itself.
func (p *poller) remove(fd int) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
}

func (p *poller) control(op, fd int, more uint32, t token) error {
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET | more,
		Fd:     t.slot,
		Pad:    t.generation,
	}
	return unix.EpollCtl(p.fd, op, fd, &ev)
}
