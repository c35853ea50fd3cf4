package damage_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"copse/bench/peer"

	"golang.org/x/sys/unix"
)

// stepsEnv makes the test binary run the command line that follows and kill it at a step: its
// value is the step's number, 0 for none, the directory whose changes are the steps, and
// whether what it sends to others is a step, too.
const stepsEnv = "COPSE_TEST_STEPS"

// killedAtStep is the exit code after that.
const killedAtStep = 77

func TestMain(m *testing.M) {
	if how := os.Getenv(stepsEnv); how != "" {
		t, err := newTracer(how)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		code, err := t.run(os.Args[1:])
		if err == nil {
			err = os.WriteFile(t.dir+".steps", []byte(strconv.Itoa(t.seen)), 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// traced are the options of a server that is killed at a step; the last one counts only.
func traced(o peer.Options, step int, sends bool) peer.Options {
	o.Prefix = []string{os.Args[0]}
	o.Env = append(o.Env, fmt.Sprintf("%s=%d\n%s\n%v", stepsEnv, step, filepath.Join(o.Dir, "data"), sends))
	return o
}

// steps is how many steps the traced server in dir took.
func steps(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data.steps"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// diedThere reports whether a traced server was killed at its step. Otherwise it ended by itself.
func diedThere(node *peer.Server) (bool, error) {
	var exit *exec.ExitError
	switch err := node.Exit(); {
	case err == nil:
		return false, nil
	case errors.As(err, &exit) && exit.ExitCode() == killedAtStep:
		return true, nil
	default:
		return false, fmt.Errorf("it ended with %w\n%s", err, node.LogTail())
	}
}

// tracer follows each system call of a program. Only its own thread may ask about it.
type tracer struct {
	kill  int // the step
	dir   string
	sends bool
	seen  int
	pid   int
}

func newTracer(how string) (*tracer, error) {
	parts := strings.Split(how, "\n")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%s: %q", stepsEnv, how)
	}
	step, err := strconv.Atoi(parts[0])
	return &tracer{kill: step, dir: parts[1], sends: parts[2] == "true"}, err
}

// run returns the program's exit code.
func (t *tracer) run(line []string) (int, error) {
	runtime.LockOSThread()
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, stepsEnv) })
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	t.pid = cmd.Process.Pid
	go func() {
		for range ends {
			_ = syscall.Kill(t.pid, syscall.SIGTERM)
		}
	}()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(t.pid, &status, 0, nil); err != nil { // it stops before its first instruction
		return 0, err
	}
	if err := syscall.PtraceSetOptions(t.pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		return 0, err
	}
	if err := syscall.PtraceSyscall(t.pid, 0); err != nil {
		return 0, err
	}
	inside := map[int]bool{} // threads that are in a system call
	for {
		thread, err := syscall.Wait4(-1, &status, unix.WALL, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		if status.Exited() || status.Signaled() {
			if thread != t.pid {
				continue
			}
			if status.Signaled() {
				return killedAtStep, nil
			}
			return status.ExitStatus(), nil
		}
		signal := status.StopSignal()
		switch {
		case signal == syscall.SIGTRAP|0x80:
			signal = 0
			if inside[thread] = !inside[thread]; inside[thread] && t.step(thread) {
				if t.seen++; t.seen == t.kill {
					if err := syscall.Kill(t.pid, syscall.SIGKILL); err != nil {
						return 0, err
					}
				}
			}
		case signal == syscall.SIGTRAP, signal == syscall.SIGSTOP:
			signal = 0 // a thread begins
		}
		_ = syscall.PtraceSyscall(thread, int(signal)) // it may be dead
	}
}

// step reports whether a thread is about to change something in the directory or, if that
// counts, to send something.
func (t *tracer) step(thread int) bool {
	var r syscall.PtraceRegs
	if syscall.PtraceGetRegs(thread, &r) != nil {
		return false
	}
	switch r.Orig_rax {
	case unix.SYS_OPENAT:
		return r.Rdx&(unix.O_CREAT|unix.O_TRUNC) != 0
	case unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_MKDIR, unix.SYS_UNLINK, unix.SYS_RMDIR,
		unix.SYS_RENAME, unix.SYS_LINK, unix.SYS_FTRUNCATE, unix.SYS_TRUNCATE, unix.SYS_FALLOCATE:
		return true
	case unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2:
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t.pid, r.Rdi))
		return strings.HasPrefix(to, t.dir+"/") || t.sends && strings.HasPrefix(to, "socket:")
	}
	return false
}
