package limits

import (
	"bytes"
	"log/slog"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// TimerSlack has the kernel wake this process's threads up to slack late, which lets it wake
// them less often. Go's monitor asks to be woken every 20 microseconds while a thread is in
// a system call, such as a sync; that alone takes an eighth of a busy server's CPU time.
//
// A thread takes its slack from the one that creates it, and the runtime has its threads
// before main begins. So the process starts over, with the same id, arguments and environment:
// TimerSlack doesn't return then. It returns where there is nothing to change, or where the
// system doesn't allow it. It must be called before anything is opened, and before signals
// are caught, as they would be lost.
func TimerSlack(slack time.Duration) {
	runtime.LockOSThread() // the thread that is left of the process when it starts over
	defer runtime.UnlockOSThread()
	if slack == 0 || timerSlack() == slack || traced() {
		return
	}
	self, err := os.Executable()
	if err == nil {
		err = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0)
	}
	if err == nil && timerSlack() == slack { // it is what the next start will find
		err = syscall.Exec(self, os.Args, os.Environ())
	}
	slog.Debug("the timer slack stays as it is", "component", "main", "err", err)
}

// timerSlack is that of the current thread; 0 if it isn't known.
func timerSlack() time.Duration {
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return 0
	}
	return time.Duration(slack)
}

// traced reports whether a debugger has the process: its breakpoints would be lost.
func traced() bool {
	status, err := os.ReadFile("/proc/self/status")
	_, tracer, found := bytes.Cut(status, []byte("\nTracerPid:\t"))
	return err == nil && found && !bytes.HasPrefix(tracer, []byte("0\n"))
}
