package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit in which the kernel reports a process's CPU time.
const tick = time.Second / 100

// cpuTime is the CPU time that a process has used so far, user and system.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	const utime, stime = 11, 12 // counted from the state, the first behind the name
	if len(fields) <= stime {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, text)
	}
	u, err := strconv.ParseInt(fields[utime], 10, 64)
	if err != nil {
		return 0, err
	}
	s, err := strconv.ParseInt(fields[stime], 10, 64)
	return time.Duration(u+s) * tick, err
}

// ownTime is the same for this process.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// busyTime is the time that all processors together have been busy since the start,
// including the time that the hypervisor took.
func busyTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var busy int64
	for i, field := range strings.Fields(line) {
		const idle, iowait, guest = 4, 5, 9
		if i == 0 || i == idle || i == iowait || i >= guest {
			continue
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		busy += n
	}
	return time.Duration(busy) * tick, nil
}

// usage is the CPU time used between two readings, and the bytes that the server wrote.
type usage struct {
	server, client, others time.Duration
	written                int64 // bytes to disk
}

// look reads the clocks of the server, of this process and of the machine.
func look(pid int) (usage, error) {
	server, err := cpuTime(pid)
	if err != nil {
		return usage{}, err
	}
	written, err := writtenBytes(pid)
	if err != nil {
		return usage{}, err
	}
	all, err := busyTime()
	own := ownTime()
	return usage{server: server, client: own, others: all - server - own, written: written}, err
}

func (u usage) since(before usage) usage {
	return usage{u.server - before.server, u.client - before.client, u.others - before.others, u.written - before.written}
}

// writtenBytes is how many bytes a process has caused to be written to disk so far.
// The kernel counts a page when it becomes dirty, so pages that are still in its cache
// are included.
func writtenBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, err
	}
	return parseWritten(string(text))
}

func parseWritten(io string) (int64, error) {
	for line := range strings.Lines(io) {
		if rest, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			return strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
		}
	}
	return 0, fmt.Errorf("no write_bytes in %q", io)
}
