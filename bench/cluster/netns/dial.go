package netns

import (
	"context"
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// Dial returns a function that dials from inside namespace i.
func (s *Switch) Dial(i int) func(ctx context.Context, network, address string) (net.Conn, error) {
	path := where + "/" + s.name(i)
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = inside(path, func() (err error) {
			// An address that is no name is dialled on this very thread, and a
			// socket belongs to the namespace in which it was made.
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// inside runs f on a thread that is in a namespace.
func inside(path string, f func() error) error {
	there, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("enter %s: %w", path, err)
	}
	defer unix.Close(there)
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("find the own namespace: %w", err)
	}
	defer unix.Close(home)
	if err := unix.Setns(there, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter %s: %w", path, err)
	}
	err = f()
	if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
		// The thread stays locked, and so ends with its goroutine.
		return fmt.Errorf("come back from %s: %w", path, back)
	}
	runtime.UnlockOSThread()
	return err
}
