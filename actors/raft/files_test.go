package raft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"copse/actors/peerlink"
	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/lni/vfs"
)

// faultPlanEnv makes the test binary run two members, of which the second one's disk, as
// dragonboat sees it, fails from a call on: "dir kind n", where the kinds are full and error,
// which count calls that write, and read, which counts those that read. With rot a single
// write gets a wrong byte.
const faultPlanEnv = "COPSE_TEST_RAFT_FAULT_PLAN"

// failingFiles fails from a call on, or has one wrong byte.
type failingFiles struct {
	vfs.FS
	kind  string
	calls *atomic.Int64
	from  int64
}

func (f failingFiles) fault(writes bool) error {
	if f.kind == "rot" || writes == (f.kind == "read") || f.calls.Add(1) < f.from {
		return nil
	}
	if f.kind == "full" {
		return &fs.PathError{Op: "write", Path: "somewhere", Err: syscall.ENOSPC}
	}
	return syscall.EIO
}

func (f failingFiles) wrap(writes bool, open func() (vfs.File, error)) (vfs.File, error) {
	if err := f.fault(writes); err != nil {
		return nil, err
	}
	file, err := open()
	return failingFile{file, f}, err
}

func (f failingFiles) Create(name string) (vfs.File, error) {
	return f.wrap(true, func() (vfs.File, error) { return f.FS.Create(name) })
}

func (f failingFiles) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	return f.wrap(false, func() (vfs.File, error) { return f.FS.Open(name, o...) })
}

func (f failingFiles) OpenDir(name string) (vfs.File, error) {
	return f.wrap(false, func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f failingFiles) OpenForAppend(name string) (vfs.File, error) {
	return f.wrap(true, func() (vfs.File, error) { return f.FS.OpenForAppend(name) })
}

func (f failingFiles) Rename(from, to string) error {
	return firstOf(f.fault(true), func() error { return f.FS.Rename(from, to) })
}

func (f failingFiles) RemoveAll(name string) error {
	return firstOf(f.fault(true), func() error { return f.FS.RemoveAll(name) })
}

func (f failingFiles) MkdirAll(dir string, perm fs.FileMode) error {
	return firstOf(f.fault(true), func() error { return f.FS.MkdirAll(dir, perm) })
}

func (f failingFiles) List(dir string) (names []string, err error) {
	err = firstOf(f.fault(false), func() error { names, err = f.FS.List(dir); return err })
	return names, err
}

type failingFile struct {
	vfs.File
	fs failingFiles
}

func (f failingFile) Write(b []byte) (n int, err error) {
	if f.fs.kind == "rot" && len(b) > 0 && f.fs.calls.Add(1) == f.fs.from {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 4
	}
	err = firstOf(f.fs.fault(true), func() error { n, err = f.File.Write(b); return err })
	return n, err
}

func (f failingFile) Read(b []byte) (n int, err error) {
	err = firstOf(f.fs.fault(false), func() error { n, err = f.File.Read(b); return err })
	return n, err
}

func (f failingFile) Sync() error { return firstOf(f.fs.fault(true), f.File.Sync) }

func firstOf(err error, call func() error) error {
	if err != nil {
		return err
	}
	return call()
}

func endFaulty(err error) {
	fmt.Println("ended:", err)
	if errors.Is(err, ErrDamaged) || errors.Is(err, statemachine.ErrDamaged) {
		os.Exit(5)
	}
	os.Exit(1)
}

func mustEnd(err error) {
	if err != nil {
		endFaulty(err)
	}
}

// faultyMember is a member of a cluster with one shard.
type faultyMember struct {
	*Host
	m       *statemachine.Machine
	link    *peerlink.Link
	applied chan struct{} // has a value after each update
}

func newFaultyMember(dir string, id uint64, book *peerlink.Book, files vfs.FS, s Start) *faultyMember {
	n := &faultyMember{applied: make(chan struct{}, 1)}
	var err error
	mustEnd(os.MkdirAll(dir, 0o700))
	n.link, err = peerlink.Listen(peerlink.Options{Self: id, Cluster: 7, Listen: []string{"127.0.0.1:0"}, Book: book, Logger: slog.New(slog.DiscardHandler)})
	mustEnd(err)
	n.m, err = statemachine.New(statemachine.Options{Dir: filepath.Join(dir, "store"), Replica: id, Window: 100, WindowBytes: 1 << 20, Fatal: endFaulty})
	mustEnd(err)
	n.m.Subscribe(func(*statemachine.ApplyResult) {
		select {
		case n.applied <- struct{}{}:
		default:
		}
	})
	n.Host, err = newHost(Options{
		Dir: filepath.Join(dir, "raft"), Replica: id, Link: n.link, DeploymentID: 7, Shards: 1, ExecShards: 1, Heartbeat: 10 * time.Millisecond,
		Election: 100 * time.Millisecond, SnapshotCount: 100, RequestTimeout: 5 * time.Second, Fatal: endFaulty, Logger: slog.New(slog.DiscardHandler),
	}, files)
	mustEnd(err)
	mustEnd(n.StartReplica(1, n.m, s))
	return n
}

// has waits until the member has applied the entry.
func (n *faultyMember) has(index uint64) {
	for n.m.RaftIndex() < index {
		<-n.applied
	}
}

// write has the member apply so many writes.
func (n *faultyMember) write(writes int) {
	for i := range writes {
		c := tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/k%d", i), Value: []byte("v")}
		cmd := tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &c)
		for {
			r, err := n.Propose(1, cmd)
			if err == nil {
				if result := <-r.rs.AppliedC(); result.Completed() {
					break
				}
			}
			<-n.Changed() // there is no leader yet
		}
	}
}

// snapshot has the log compacted to its last entry.
func (n *faultyMember) snapshot() {
	r, err := n.compact(1, 1)
	mustEnd(err)
	if result := <-r.rs.AppliedC(); !result.Completed() {
		endFaulty(fmt.Errorf("no snapshot: %v", result))
	}
}

// runFaulty is the process of the two members: the second one gets a snapshot, and makes one.
func runFaulty(plan string) int {
	var dir, kind string
	var from int64
	if _, err := fmt.Sscanf(plan, "%s %s %d", &dir, &kind, &from); err != nil {
		fmt.Println("bad plan", plan)
		return 3
	}
	book := peerlink.NewBook()
	one := newFaultyMember(filepath.Join(dir, "1"), 1, book, vfs.Default, Start{Founders: []uint64{1}, Alone: true})
	one.write(20)
	one.snapshot()
	calls := new(atomic.Int64)
	two := newFaultyMember(filepath.Join(dir, "2"), 2, book, failingFiles{vfs.Default, kind, calls, from}, Start{})
	book.Set(map[uint64][]string{1: {"http://" + one.link.Addrs()[0]}, 2: {"http://" + two.link.Addrs()[0]}})
	set, err := one.VoterSet(1)
	mustEnd(err)
	mustEnd(one.AddVoter(1, 2, set.Change))
	two.has(one.m.RaftIndex())
	if two.m.Replaced() == 0 {
		fmt.Println("it got no snapshot")
		return 3
	}
	one.write(5)
	two.has(one.m.RaftIndex())
	two.snapshot()
	for _, n := range []*faultyMember{two, one} {
		n.Close()
		mustEnd(n.link.Close())
		mustEnd(n.m.Close())
	}
	fmt.Println("through after", calls.Load())
	return 0
}

// Wherever the disk fails under dragonboat, the process ends with one line, no stack and exit
// code 1; with code 5 where a byte is wrong that is read again.
func TestADiskThatFailsUnderDragonboatEndsTheProcessInOneLine(t *testing.T) {
	play := func(t *testing.T, kind string, from int64) (code int, out string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", faultPlanEnv, t.TempDir(), kind, from))
		text, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(text)
	}
	var damaged atomic.Int64
	for kind, text := range map[string]string{"full": "no space left on device", "error": "input/output error", "read": "input/output error", "rot": ""} {
		code, out := play(t, kind, 1<<40)
		var calls int64
		if _, err := fmt.Sscanf(out, "through after %d\n", &calls); code != 0 || err != nil || calls < 10 {
			t.Fatalf("%s: exit code %d\n%s", kind, code, out)
		}
		t.Logf("%s: %d calls", kind, calls)
		step := 1 + calls/25
		for from := int64(1); from <= calls; from += step {
			t.Run(fmt.Sprintf("%s from call %d on", kind, from), func(t *testing.T) {
				t.Parallel()
				code, out := play(t, kind, from)
				if code == 0 && (from > calls*3/4 || kind == "rot") {
					return // it needed fewer calls this time, or nobody has read the byte
				}
				want := 1
				if kind == "rot" {
					want = 5
					damaged.Add(1)
				}
				if code != want || !strings.HasPrefix(out, "ended: ") || strings.Count(out, "\n") != 1 || !strings.Contains(out, text) {
					t.Errorf("exit code %d\n%s", code, out)
				}
			})
		}
	}
	t.Cleanup(func() {
		if damaged.Load() < 2 {
			t.Errorf("%d wrong bytes were found", damaged.Load())
		}
	})
}
