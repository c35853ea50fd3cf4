package peer

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is one run of a program.
type process struct {
	handle *os.Process
	done   chan struct{} // closed by the keeper after the end
	exit   error         // set by then: nil for the exit code 0
}

// startProcess hands the command to a keeper. Pdeathsig fires at the death of
// the thread that forked, not of the process, and Go may end idle threads at any
// time: so the keeper holds on to its thread as long as the child lives.
func startProcess(command func() (*exec.Cmd, error)) (*process, error) {
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the keeper
		defer close(p.done)
		cmd, err := command()
		if err != nil {
			started <- err
			return
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err = cmd.Start()
		if log, ok := cmd.Stdout.(*os.File); ok {
			log.Close() // the child has its own copy
		}
		if err != nil {
			started <- err
			return
		}
		p.handle = cmd.Process
		started <- nil
		p.exit = cmd.Wait()
	}()
	return p, <-started
}

// signal reports an error if the process has ended by itself. Going through
// the handle, it never reaches another process that got the same id since.
func (p *process) signal(sig syscall.Signal) error { return p.handle.Signal(sig) }
