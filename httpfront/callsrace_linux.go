//go:build race

package httpfront

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Package syscall, unlike unix and raw calls, tells the race detector that what is read was written
// before. calls_linux.go has what is released.

func readCall(fd int, b []byte) (int, error) { return syscall.Read(fd, b) }

func writeCall(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }

func epollNow(fd int, events []unix.EpollEvent) int {
	n, err := 0, error(unix.EINTR)
	for err == unix.EINTR {
		n, err = unix.EpollWait(fd, events, 0)
	}
	return max(n, 0)
}
