//go:build !race

package httpfront

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of a poll loop never block, so the scheduler isn't told of them: that costs as
// much as parsing a request, and may cost the loop its processor. What takes long all the same is
// told, so that others may have the processor meanwhile: nobody can take it from a raw call, and a collection
// that stops all goroutines waits for the call to end.
const longCall = 64 << 10 // bytes

func readCall(fd int, b []byte) (int, error) {
	if len(b) == 0 || len(b) > longCall {
		return syscall.Read(fd, b)
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return called(n, errno)
}

func writeCall(fd int, b []byte) (int, error) {
	if len(b) == 0 || len(b) > longCall {
		return syscall.Write(fd, b)
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return called(n, errno)
}

// epollNow fills events with what has happened, and returns how many that is.
func epollNow(fd int, events []unix.EpollEvent) int {
	n, errno := uintptr(0), syscall.EINTR
	for errno == syscall.EINTR {
		n, _, errno = syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	}
	if errno != 0 {
		return 0
	}
	return int(n)
}

func called(n uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
