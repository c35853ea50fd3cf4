package netns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Switch is a set of namespaces that a bridge joins. Its methods are for one
// goroutine, but for what Dial returns.
type Switch struct {
	prefix string
	n      int
	cuts   map[[2]int]bool // from, to
	lossy  map[int]int     // percent of the packets to a member
	slow   map[int]bool
}

// The switches of this process are made one after the other, as ip prepares the machine when it is first used,
// and have names of their own.
var (
	making sync.Mutex
	made   int
)

// where ip keeps the namespaces' names.
const where = "/run/netns"

// New joins n namespaces.
func New(n int) (*Switch, error) {
	making.Lock()
	defer making.Unlock()
	if err := sweep(); err != nil {
		return nil, err
	}
	made++
	s := &Switch{prefix: fmt.Sprintf("copse-%d-%d", os.Getpid(), made), n: n, cuts: map[[2]int]bool{}, lossy: map[int]int{}, slow: map[int]bool{}}
	if err := s.build(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Switch) name(i int) string { return fmt.Sprintf("%s-m%d", s.prefix, i) }
func (s *Switch) hub() string       { return s.prefix + "-sw" }

// Address is the address at which the others reach namespace i.
func (s *Switch) Address(i int) string { return fmt.Sprintf("192.0.2.%d", i+1) }

// Prefix is the command that runs another one in namespace i.
func (s *Switch) Prefix(i int) []string { return []string{"ip", "netns", "exec", s.name(i)} }

func (s *Switch) build() error {
	if err := run("ip", "netns", "add", s.hub()); err != nil {
		return err
	}
	if err := run("ip", "-n", s.hub(), "link", "add", "br0", "type", "bridge"); err != nil {
		return err
	}
	if err := run("ip", "-n", s.hub(), "link", "set", "br0", "up"); err != nil {
		return err
	}
	for i := range s.n {
		port := fmt.Sprint("v", i)
		for _, args := range [][]string{
			{"netns", "add", s.name(i)},
			{"-n", s.hub(), "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", s.name(i)},
			{"-n", s.hub(), "link", "set", port, "master", "br0", "up"},
			{"-n", s.name(i), "addr", "add", s.Address(i) + "/24", "dev", "eth0"},
			{"-n", s.name(i), "link", "set", "eth0", "up"},
			{"-n", s.name(i), "link", "set", "lo", "up"},
		} {
			if err := run("ip", args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close removes the namespaces, and with them all that was made in them.
func (s *Switch) Close() error {
	var errs []error
	for i := range s.n {
		errs = append(errs, remove(s.name(i)))
	}
	return errors.Join(append(errs, remove(s.hub()))...)
}

func remove(name string) error {
	if _, err := os.Stat(where + "/" + name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return run("ip", "netns", "del", name)
}

// sweep removes the namespaces of runs that have ended.
func sweep() error {
	names, err := os.ReadDir(where)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range names {
		rest, ours := strings.CutPrefix(entry.Name(), "copse-")
		number, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(number)
		if !ours || err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if err := remove(entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

func run(program string, args ...string) error { return feed("", program, args...) }

func feed(input, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
