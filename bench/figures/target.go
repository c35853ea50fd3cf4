package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"copse/bench/peer"
)

// target is one server under load: a contender, or one of the limits.
type target struct {
	name    string
	address string
	pid     int
	close   func() error
	// attended: started by somebody else, and must not be stopped.
	attended bool
}

// launch starts a server on an empty directory.
func launch(c contender) (*target, error) { return launchWith(c.name, c.kind, peer.Options{}) }

func launchWith(name string, kind peer.Kind, opts peer.Options) (*target, error) {
	s, err := peer.Launch(kind, opts)
	if err != nil {
		return nil, err
	}
	return &target{name: name, address: s.Address, pid: s.PID(), close: s.Close}, nil
}

// launchBare starts this program as the bare handler, which answers every
// request with sample.
func launchBare(sample string) (*target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "bare")
	cmd.Stdin = strings.NewReader(sample)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := func() error {
		_ = cmd.Process.Kill() // it may have ended already
		_ = cmd.Wait()
		return nil
	}
	port, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		_, err = strconv.Atoi(strings.TrimSpace(port))
	}
	if err != nil {
		_ = stop()
		return nil, fmt.Errorf("start the bare handler: %w", err)
	}
	return &target{name: bareName, address: "127.0.0.1:" + strings.TrimSpace(port), pid: cmd.Process.Pid, close: stop}, nil
}

func closeAll(field []*target) (err error) {
	for _, t := range field {
		err = errors.Join(err, t.close())
	}
	return err
}

// pause and proceed stop a server while it isn't its turn: even an idle one uses
// CPU time, which the others would lack.
func (t *target) pause() error   { return t.signal(syscall.SIGSTOP) }
func (t *target) proceed() error { return t.signal(syscall.SIGCONT) }

func (t *target) signal(s syscall.Signal) error {
	if t.attended {
		return nil
	}
	return syscall.Kill(t.pid, s)
}
