//go:build !race

package dispatch_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"copse/config/command"
	"copse/config/dispatch"
	"copse/statemachine/portable"
	"copse/statemachine/tree"

	"golang.org/x/sys/unix"
)

// commandEnv makes the test binary carry out the command line that it has, one word a line.
const commandEnv = "COPSE_TEST_COMMAND"

func TestMain(m *testing.M) {
	if line := os.Getenv(commandEnv); line != "" {
		work, code := command.Run(command.Line{Args: strings.Split(line, "\n"), Like: "2.3.8", MaxShards: 8, CacheSize: 128 << 20, Stdout: os.Stdout, Stderr: os.Stderr})
		if work != nil {
			code = dispatch.Run(context.Background(), work, nil, os.Stdout, os.Stderr)
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// changes are the system calls after which there may be something else on the disk.
var changes = []uint64{
	unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_OPENAT, unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT,
	unix.SYS_MKDIR, unix.SYS_UNLINK, unix.SYS_RMDIR, unix.SYS_RENAME, unix.SYS_LINK, unix.SYS_FTRUNCATE, unix.SYS_TRUNCATE, unix.SYS_FALLOCATE,
}

// changing reports whether a thread that is about to enter a system call may change files: of
// writes those to standard output and to pipes and eventfds of the runtime count too.
func changing(r *syscall.PtraceRegs) bool {
	if r.Orig_rax == unix.SYS_OPENAT {
		return r.Rdx&(unix.O_CREAT|unix.O_TRUNC) != 0
	}
	return slices.Contains(changes, r.Orig_rax)
}

// cut carries out a command until it is about to change files for the nth time, and kills
// it there. It reports whether that came.
func cut(t *testing.T, n int, args ...string) (killed bool) {
	t.Helper()
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), commandEnv+"="+strings.Join(args, "\n"), "GOMAXPROCS=2")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	check(t, cmd.Start())
	pid := cmd.Process.Pid
	defer cmd.Process.Release()
	var status syscall.WaitStatus
	_, err := syscall.Wait4(pid, &status, 0, nil) // it stops before its first instruction
	check(t, err)
	check(t, syscall.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL))
	check(t, syscall.PtraceSyscall(pid, 0))
	inside := map[int]bool{} // threads that are in a system call
	for {
		thread, err := syscall.Wait4(-1, &status, unix.WALL, nil)
		check(t, err)
		if status.Exited() || status.Signaled() {
			if thread == pid {
				return killed
			}
			continue
		}
		signal := status.StopSignal()
		switch {
		case signal == syscall.SIGTRAP|0x80:
			signal = 0
			if inside[thread] = !inside[thread]; !inside[thread] || killed {
				break
			}
			var r syscall.PtraceRegs
			if syscall.PtraceGetRegs(thread, &r) == nil && changing(&r) {
				if n--; n == 0 {
					killed = true
					check(t, syscall.Kill(pid, syscall.SIGKILL))
				}
			}
		case signal == syscall.SIGTRAP, signal == syscall.SIGSTOP:
			signal = 0 // a thread begins
		}
		_ = syscall.PtraceSyscall(thread, int(signal)) // it may be dead
	}
}

// smallBackup writes a file with a few nodes, one of them large.
func smallBackup(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	check(t, err)
	w, err := portable.NewWriter(f, portable.Header{ClusterID: 0xabc, Index: 9, Term: 1, Shards: 1, Nodes: 3, Time: time.Unix(1_790_000_000, 0)})
	check(t, err)
	for i, n := range []tree.Node{{Key: "/a", Value: bytes.Repeat([]byte("large"), 10_000)}, {Key: "/d", Dir: true}, {Key: "/d/x", Value: []byte("v"), Expires: 1 << 62}} {
		n.Created, n.Modified = tree.Index(i)+1, tree.Index(i)+1
		check(t, w.Node(&n))
	}
	check(t, w.Close())
	check(t, f.Close())
}

// A restore or an import that is killed, wherever that is, has made all or nothing: what it
// leaves is a whole member's directory, or one that is as good as empty.
func TestKilledAtEachStep(t *testing.T) {
	backup, dump := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "dump")
	smallBackup(t, backup)
	check(t, os.WriteFile(dump, []byte(`{"a":"`+strings.Repeat("large", 10_000)+`","d":{"x":"v"}}`), 0o600))
	t.Setenv("TMPDIR", scratch(t))
	for name, args := range map[string][]string{"restore": {"restore", backup}, "import": {"import", dump, "--cluster-id=abc"}} {
		t.Run(name, func(t *testing.T) {
			whole := filepath.Join(t.TempDir(), "m")
			command := func(data string) []string {
				return append(args, "--data-dir="+data, "--name=m", "--initial-advertise-peer-urls=http://127.0.0.1:1")
			}
			if code, out := run(t, command(whole)...); code != 0 {
				t.Fatal(out)
			}
			want, made := exported(t, whole), 0
			for n := 1; ; n++ {
				data := filepath.Join(t.TempDir(), "m")
				killed := cut(t, n, command(data)...)
				if _, err := os.Stat(filepath.Join(data, "copse.json")); err == nil {
					made++
				} else if code, out := run(t, command(data)...); code != 0 {
					t.Fatalf("killed at step %d, it isn't made the next time: exit code %d: %s", n, code, out)
				}
				if got := exported(t, data); got != want {
					t.Fatalf("killed at step %d: %s\nwant %s", n, got, want)
				}
				check(t, os.RemoveAll(filepath.Dir(data)))
				if !killed {
					t.Logf("%d steps, of which %d after it was made", n-1, made)
					return
				}
			}
		})
	}
}

// scratch is a directory in memory, if there is one: a kill loses nothing that was written.
func scratch(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "copse-killed-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// exported returns what a data directory holds, except for when it was made.
func exported(t *testing.T, data string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "export")
	if code, out := run(t, "export", file, "--data-dir="+data); code != 0 {
		t.Fatalf("%s: exit code %d: %s", data, code, out)
	}
	f, err := os.Open(file)
	check(t, err)
	defer f.Close()
	r, err := portable.NewReader(f)
	check(t, err)
	h := r.Header()
	h.Time = time.Time{}
	text := fmt.Sprintf("%+v\n", h)
	for {
		it, err := r.Next()
		if err == io.EOF {
			return text
		}
		check(t, err)
		switch {
		case it.Node != nil:
			text += fmt.Sprintf("%+v\n", *it.Node)
		case it.User != nil:
			text += fmt.Sprintf("%+v\n", *it.User)
		case it.Role != nil:
			text += fmt.Sprintf("%+v\n", *it.Role)
		}
	}
}
