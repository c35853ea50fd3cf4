package peerlink

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTheOldestOfTooManyGoes(t *testing.T) {
	w := newWaiting(2)
	var ours, theirs [4]net.Conn
	for i := range ours {
		ours[i], theirs[i] = net.Pipe()
		defer theirs[i].Close()
		if !w.add(ours[i]) {
			t.Fatal("it is closed")
		}
		if i == 0 && (!w.remove(ours[i]) || w.remove(ours[i])) {
			t.Error("one that has introduced itself")
		}
	}
	closed := func(i int) bool {
		return errors.Is(theirs[i].SetReadDeadline(time.Now()), io.ErrClosedPipe)
	}
	if closed(0) || !closed(1) || closed(2) || closed(3) || w.remove(ours[1]) {
		t.Errorf("closed: %v %v %v %v", closed(0), closed(1), closed(2), closed(3))
	}
	w.close()
	if !closed(2) || !closed(3) || w.remove(ours[2]) || w.add(ours[0]) {
		t.Error("after the end")
	}
	ours[0].Close()
}

// A test here can't cut the network, but it can check the kernel's settings for that.
func TestTheKernelIsToldToGiveUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	told := func() (ms int) {
		t.Helper()
		sys, err := raw.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = sys.Control(func(fd uintptr) { ms, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) })
		if err != nil {
			t.Fatal(err)
		}
		return ms
	}
	p := usualTimeouts()
	c := newConn(raw, p)
	if got := told(); got != int(p.lost/time.Millisecond) {
		t.Errorf("told %d ms", got)
	}
	c.writesToDisk()
	if got := told(); got != int(p.disk/time.Millisecond) {
		t.Errorf("told %d ms where the other side writes to its disk", got)
	}
}
