package limits

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const wanted = 700 * time.Microsecond

// TestMain is, in a process that a test has started, a program that sets its slack.
func TestMain(m *testing.M) {
	if os.Getenv("SLACK_TEST") == "" {
		os.Exit(m.Run())
	}
	TimerSlack(wanted)
	fmt.Printf("%d %v\n", os.Getpid(), slackOfAnyThread())
}

// slackOfAnyThread is that of a few threads, if they all have the same.
func slackOfAnyThread() time.Duration {
	found := make(chan time.Duration)
	for range 3 {
		go func() {
			runtime.LockOSThread() // and never unlocked: so each of these is a thread of its own
			found <- timerSlack()
		}()
	}
	first := <-found
	for range 2 {
		if next := <-found; next != first {
			return -1
		}
	}
	return first
}

// program is this test's binary as such a program.
func program() (*exec.Cmd, *strings.Builder) {
	var out strings.Builder
	cmd := exec.Command(os.Args[0], "an argument")
	cmd.Env = append(os.Environ(), "SLACK_TEST=1")
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	return cmd, &out
}

func TestEveryThreadHasTheSlack(t *testing.T) {
	cmd, out := program()
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d %v\n", cmd.Process.Pid, wanted); out.String() != want {
		t.Errorf("the process and its slack are %q, want %q", out, want)
	}
}

// TestADebuggerKeepsItsProcess runs the program under ptrace. It would be stopped once more
// when it starts over.
func TestADebuggerKeepsItsProcess(t *testing.T) {
	runtime.LockOSThread() // ptrace wants to be called by one thread
	defer runtime.UnlockOSThread()
	cmd, out := program()
	stdout, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	cmd.Stdout = stdout // a file: nobody has to copy
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	stops := 0
	for {
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
			t.Fatal(err)
		}
		if status.Exited() || status.Signaled() {
			break
		}
		signal := 0
		if status.StopSignal() == syscall.SIGTRAP {
			stops++
		} else {
			signal = int(status.StopSignal())
		}
		if err := syscall.PtraceCont(pid, signal); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(stdout.Name())
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	if stops != 1 || strings.HasSuffix(out.String(), fmt.Sprintf(" %v\n", wanted)) || !strings.HasPrefix(out.String(), fmt.Sprintf("%d ", pid)) {
		t.Errorf("started %d times, and printed %q", stops, out)
	}
}
