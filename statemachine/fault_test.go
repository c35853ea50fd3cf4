package statemachine_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// The storage fails below a replica in a process of its own, since Pebble ends
// the process where it can't go on. The parent reads how far the replica said
// that it got, opens the store on good storage, and holds it against the model.

// faultPlanEnv makes the test binary play the process whose storage fails:
// "dir kind n" lets the n-th and all later calls fail: those that write, or for the kinds
// read and rot those that read a file.
const faultPlanEnv = "COPSE_TEST_FAULT_PLAN"

// faultCommand is the i-th command of the log that is applied under faults.
func faultCommand(i int) tree.Command {
	c := tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/d%d/k%d", i%7, i%31), Value: []byte(strings.Repeat("v", 10+i*37%3000)), Now: int64(i)}
	if i%40 == 9 { // in two rows
		c.Value = []byte(strings.Repeat("v", 257<<10))
	}
	switch i % 11 {
	case 3:
		c.Expires = int64(i + 5)
	case 5:
		c = tree.Command{Op: tree.OpDelete, Key: fmt.Sprintf("/d%d", i%7), Recursive: true, Now: int64(i)}
	case 7:
		c = tree.Command{Op: tree.OpExpire, Key: "/", Limit: 3, Now: int64(i)}
	}
	return c
}

const faultCommands = 400

// faultNames let the windows of some names be large, some small, and leave one without.
var faultNames = statemachine.NameLimits{Events: 5, Bytes: 60_000, Names: 6, Total: 250_000}

func faultEntry(i int) sm.Entry {
	c := faultCommand(i)
	return sm.Entry{Index: uint64(i + 1), Cmd: tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)}
}

// runFaulty is the process whose storage fails. It prints "synced N" once raft
// entry N is promised to be durable, and "wrong" should a read ever lie.
func runFaulty(plan string) int {
	var dir, kind string
	var n int64
	if _, err := fmt.Sscanf(plan, "%s %s %d", &dir, &kind, &n); err != nil {
		fmt.Println("bad plan", plan)
		return 2
	}
	m, err := statemachine.New(statemachine.Options{
		Dir: dir, Replica: replica, Window: window, WindowBytes: 1 << 30, Names: faultNames, Fatal: endProcess,
		FS: &faultyFS{FS: vfs.Default, kind: kind, left: new(atomic.Int64), from: n},
	})
	if err != nil {
		endProcess(err)
	}
	want := &model{}
	for i := range faultCommands {
		c := faultCommand(i)
		if _, err := m.Update([]sm.Entry{faultEntry(i)}); err != nil {
			endProcess(err)
		}
		want.apply(&c)
		if i%20 == 19 {
			if err := m.Sync(); err != nil {
				endProcess(err)
			}
			fmt.Println("synced", i+1)
		}
		if i%50 == 49 {
			state, err := m.PrepareSnapshot()
			if err == nil {
				err = m.SaveSnapshot(state, io.Discard, nil)
			}
			if err != nil {
				endProcess(err)
			}
			checkReads(m, want)
		}
	}
	checkReads(m, want)
	return 0
}

// ended is never unlocked: Pebble's goroutines may fail beside the replica's, and the
// first reason is the reason.
var ended sync.Mutex

// endProcess ends the process as copse does: damage is 5, all else is 1.
func endProcess(err error) {
	ended.Lock()
	fmt.Println("ended:", err)
	if errors.Is(err, statemachine.ErrDamaged) {
		os.Exit(5)
	}
	os.Exit(1)
}

// checkReads makes sure that what the replica answers, while reads fail, is true.
func checkReads(m *statemachine.Machine, want *model) {
	for i := range 31 {
		q := tree.Query{Key: fmt.Sprintf("/d%d/k%d", i%7, i)}
		out, rest, err, fail := m.Get(nil, &q, at(0))
		if fail != nil || rest != nil {
			continue
		}
		if err != nil {
			out = tree.AppendError(nil, err)
		}
		if string(out) != want.get(&q, 0) {
			fmt.Println("wrong", q.Key, string(out), want.get(&q, 0))
		}
	}
}

// faultyFS fails calls that write (create, write, sync, rename …) from the from-th on:
// with an I/O error, with a full disk, or by writing half. Of the kinds read and rot it
// fails reads instead: with an I/O error, or by returning other bytes.
type faultyFS struct {
	vfs.FS
	kind string
	left *atomic.Int64 // calls so far
	from int64
}

func (f *faultyFS) reads() bool { return f.kind == "read" || f.kind == "rot" }

func (f *faultyFS) fault() error {
	if f.reads() || f.left.Add(1) < f.from {
		return nil
	}
	if f.kind == "full" {
		return syscall.ENOSPC
	}
	return syscall.EIO
}

func (f *faultyFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	return &faultyFile{File: file, fs: f}, err
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	failing := f.fs.reads() && f.fs.left.Add(1) >= f.fs.from
	if failing && f.fs.kind == "read" {
		return 0, syscall.EIO
	}
	n, err := f.File.ReadAt(p, off)
	if failing && n > 0 {
		p[n/2] ^= 1
	}
	return n, err
}

func (f *faultyFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.fault(); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name, category)
	return &faultyFile{File: file, fs: f}, err
}

func (f *faultyFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.fault(); err != nil {
		return nil, err
	}
	file, err := f.FS.ReuseForWrite(oldname, newname, category)
	return &faultyFile{File: file, fs: f}, err
}

func (f *faultyFS) Rename(oldname, newname string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.FS.Rename(oldname, newname)
}

type faultyFile struct {
	vfs.File
	fs *faultyFS
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.fs.fault(); err != nil {
		if f.fs.kind == "short" {
			n, _ := f.File.Write(p[:len(p)/2])
			return n, io.ErrShortWrite
		}
		return 0, err
	}
	return f.File.Write(p)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.fault(); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) SyncData() error {
	if err := f.fs.fault(); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *faultyFile) SyncTo(length int64) (bool, error) {
	if err := f.fs.fault(); err != nil {
		return false, err
	}
	return f.File.SyncTo(length)
}

func TestStorageFaultsLoseNothingThatWasPromised(t *testing.T) {
	ends := map[int]string{0: "got through"} // an example for each exit code
	step := int64(3)
	if raceDetector {
		step = 1
	}
	for _, kind := range []string{"error", "full", "short", "read", "rot"} {
		for from := int64(1); from < 1500; from += from/step + 1 {
			dir, what := t.TempDir(), fmt.Sprintf("%s from call %d on", kind, from)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", faultPlanEnv, dir, kind, from))
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, _ := cmd.Output()
			code := cmd.ProcessState.ExitCode()
			ends[code] = what
			if stderr.Len() > 0 || code != 0 && code != 1 && (code != 5 || kind != "rot") || strings.Count(string(out), "ended:") > 1 {
				t.Fatalf("%s: exit code %d\n%s%s", what, code, out, stderr.String())
			}
			synced := uint64(0)
			lines := bufio.NewScanner(strings.NewReader(string(out)))
			for lines.Scan() {
				if strings.HasPrefix(lines.Text(), "wrong") {
					t.Fatalf("%s: %s", what, lines.Text())
				}
				_, _ = fmt.Sscanf(lines.Text(), "synced %d", &synced)
			}
			checkSurvivor(t, dir, what, synced)
		}
	}
	if len(ends) != 3 {
		t.Errorf("the ends of all runs: %v; want some of 0, 1 and 5", ends)
	}
}

// checkSurvivor opens what a failed replica left behind.
func checkSurvivor(t *testing.T, dir, what string, synced uint64) {
	t.Helper()
	m, err := statemachine.New(statemachine.Options{Dir: dir, Replica: replica, Window: window, WindowBytes: 1 << 30, Names: faultNames})
	if err != nil {
		if synced > 0 {
			t.Fatalf("%s: a store with %d promised entries doesn't open: %v", what, synced, err)
		}
		return
	}
	defer mustClose(t, m)
	at, err := m.Open(nil)
	if err != nil || at < synced || at > faultCommands {
		t.Fatalf("%s: raft index %d (%v), %d was promised", what, at, err, synced)
	}
	want := &model{}
	for i := range at {
		c := faultCommand(int(i))
		want.apply(&c)
	}
	sameAsModel(t, m, want)
	// The rest of the log brings it to the same end.
	for i := int(at); i < faultCommands; i++ {
		c := faultCommand(i)
		want.apply(&c)
		if _, err := m.Update([]sm.Entry{faultEntry(i)}); err != nil {
			t.Fatalf("%s: going on after the fault: %v", what, err)
		}
	}
	sameAsModel(t, m, want)
}
