package logging_test

import (
	"net"
	"os"
	"syscall"
	"testing"

	"copse/config/logging"
)

func TestAdviceFitsTheErrorOfAListener(t *testing.T) {
	for cause, want := range map[syscall.Errno]string{
		syscall.EADDRINUSE:    "is another server running there? --f sets the address",
		syscall.EACCES:        "ports below 1024 need CAP_NET_BIND_SERVICE; --f sets the address",
		syscall.EADDRNOTAVAIL: "--f sets the address",
	} {
		err := &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", cause)}
		if got := logging.BindAdvice(err, "f"); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
