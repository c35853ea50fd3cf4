package main

import (
	"errors"
	"net/netip"
	"syscall"
	"unsafe"
)

// bindAddressNoPort is IP_BIND_ADDRESS_NO_PORT, which leaves the choice of a port
// to connect. connect can reuse a port that a connection has left within the last minute;
// bind can't, and with tens of thousands of these takes long to find another.
const bindAddressNoPort = 24

// perSource is how many connections use one source address of 127.0.0.0/8, so
// that ports don't run out.
const perSource = 5000

// dialSocket connects a plain socket, the i-th one of many. Every perSource of them
// share a source address.
func dialSocket(to netip.AddrPort, i int) (fd int, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	source := i / perSource
	from := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 1 + byte(source>>8), byte(source) + 1}}
	err = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1)
	if err == nil {
		err = syscall.Bind(fd, from)
	}
	if err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	}
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err == nil {
		err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if err != nil {
		syscall.Close(fd)
		return 0, err
	}
	return fd, nil
}

var errClosed = errors.New("the server closed the connection")

// rawRead and rawWrite bypass the scheduler, because these calls never block.
func rawRead(fd int32, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return 0, nil
	case errno != 0:
		return 0, errno
	case n == 0:
		return 0, errClosed
	}
	return int(n), nil
}

func rawWrite(fd int32, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return 0, nil
	case errno != 0:
		return 0, errno
	}
	return int(n), nil
}
