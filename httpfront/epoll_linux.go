package httpfront

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for sockets on behalf of a poll loop, with an epoll instance of its own:
// the runtime's wakes goroutines, and parked connections have none. The instance is
// registered with the runtime as a file, so that waiting for it blocks a goroutine but no
// thread.
//
// This file is for Linux. Another system would need one like it.
//
// Sockets are watched edge-triggered, from the start for reading and hang-up, and to their end:
// while a goroutine has a connection, its events have a token that nobody knows.
type poller struct {
	fd     int
	file   *os.File
	raw    syscall.RawConn
	waits  atomic.Bool // attend waits, or is about to
	events []unix.EpollEvent
}

const (
	pollReadable = unix.EPOLLIN
	pollWritable = unix.EPOLLOUT
	pollHalfGone = unix.EPOLLRDHUP
	pollGone     = unix.EPOLLHUP | unix.EPOLLERR
)

// pollLimit is how many events are taken at once.
const pollLimit = 256

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("unblock epoll instance: %w", err), unix.Close(fd))
	}
	p := &poller{fd: fd, file: os.NewFile(uintptr(fd), "epoll"), events: make([]unix.EpollEvent, pollLimit)}
	p.raw, err = p.file.SyscallConn()
	return p, err
}

// attend calls turn with what has happened to the sockets, until turn returns false. In between it
// waits for more, or for ring, as long as quiet says that there is nothing else to do.
//
// It doesn't look again before it waits: what happens once it has looked ends the wait. That holds
// within one Read, which forgets at its beginning what has happened before; so the turns are taken
// in there. Turn owns the events until it returns.
func (p *poller) attend(turn func([]unix.EpollEvent) bool, quiet func() bool) {
	for on := true; on; {
		err := p.raw.Read(func(uintptr) bool {
			for on {
				p.waits.Store(false)
				n := epollNow(p.fd, p.events)
				on = turn(p.events[:n])
				p.waits.Store(true) // who has something to do from now on rings
				if on && n < len(p.events) && quiet() {
					return false
				}
			}
			return true
		})
		if err != nil { // it rang
			_ = p.file.SetReadDeadline(time.Time{})
		}
	}
	p.waits.Store(false)
}

// ring ends a wait. It costs a load if there is none, and wakes the loop once however many ring.
func (p *poller) ring() {
	if p.waits.Load() && p.waits.CompareAndSwap(true, false) {
		_ = p.file.SetReadDeadline(longAgo)
	}
}

var longAgo = time.Unix(1, 0)

// close is called once, by the owner of the sockets, who doesn't use the poller afterwards.
func (p *poller) close() { _ = p.file.Close() } // nothing was written to it

// token identifies a parked connection in an event: its slot, and a number that
// distinguishes it from earlier owners of the slot.
type token struct{ slot, generation int32 }

func tokenOf(ev *unix.EpollEvent) token { return token{slot: ev.Fd, generation: ev.Pad} }

// add starts watching a socket. Conditions that already hold are reported at once.
func (p *poller) add(fd int, t token) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, 0, t)
}

// again is add for a socket that is being watched under another token.
func (p *poller) again(fd int, t token) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, 0, t)
}

// addWritable also reports when fd can be written again.
func (p *poller) addWritable(fd int, t token) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, pollWritable, t)
}

func (p *poller) control(op, fd int, more uint32, t token) error {
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET | more,
		Fd:     t.slot,
		Pad:    t.generation,
	}
	return unix.EpollCtl(p.fd, op, fd, &ev)
}
