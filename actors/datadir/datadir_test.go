package datadir_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"copse/actors/datadir"
)

func identity() datadir.Identity {
	return datadir.Identity{
		ClusterID: 0xa7ef944b95711739, MemberID: 0xddd67b312462fd7b,
		Name: "default", Token: "etcd-cluster", Shards: 1, ExecShards: 1,
		Host:    "box1",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
	}
}

func openDir(t *testing.T, path string, want datadir.Identity) *datadir.Dir {
	t.Helper()
	d, err := datadir.Open(path, want, datadir.Claim{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func closeDir(t *testing.T, d *datadir.Dir) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// refusal opens a directory that must be refused, and checks the error's line.
func refusal(t *testing.T, path string, kind error, parts ...string) {
	t.Helper()
	d, err := datadir.Open(path, identity(), datadir.Claim{})
	if err == nil {
		d.Close()
		t.Fatal("Open succeeds")
	}
	if !errors.Is(err, kind) {
		t.Errorf("err = %v, want one of kind %v", err, kind)
	}
	for _, part := range append(parts, path) {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("err = %q, want %q in it", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("err = %q, want one line", err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDataDirIsMadeAndFoundAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b.copse")
	if datadir.Founded(path) {
		t.Error("Founded before the first open")
	}
	d := openDir(t, path, identity())
	if !d.Created || d.Identity != identity() || len(d.Warnings) != 0 || !datadir.Founded(path) {
		t.Errorf("fresh: %+v", d)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got, want := d.RaftDir(), filepath.Join(path, "raft"); got != want {
		t.Errorf("RaftDir = %s, want %s", got, want)
	}
	if got, want := d.ShardDir(1), filepath.Join(path, "shard-0001"); got != want {
		t.Errorf("ShardDir = %s, want %s", got, want)
	}
	closeDir(t, d)
	closeDir(t, d)

	again := identity()
	again.MemberID, again.ClusterID = 1, 2
	again.ExecShards, again.Host, again.Created = 4, "box2", time.Now()
	d = openDir(t, path, again)
	if d.Created || d.Identity != identity() || len(d.Warnings) != 0 {
		t.Errorf("again: %+v", d)
	}
}

func TestDataDirRefusesAnotherClusterAndTakesAnotherName(t *testing.T) {
	path := t.TempDir()
	closeDir(t, openDir(t, path, identity()))
	_, err := datadir.Open(path, identity(), datadir.Claim{ClusterID: 0xabc, Token: "tok", Shards: 3})
	if !errors.Is(err, datadir.ErrContradicted) {
		t.Fatalf("err = %v", err)
	}
	for _, part := range []string{`"tok"`, "--shards is 3", "founds the cluster abc", path} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("err = %q, want %q in it", err, part)
		}
	}
	same := datadir.Claim{ClusterID: identity().ClusterID, Token: identity().Token, Shards: identity().Shards}
	renamed := identity()
	renamed.Name = "infra0"
	d, err := datadir.Open(path, renamed, same)
	if err != nil {
		t.Fatal(err)
	}
	if d.Identity != renamed {
		t.Errorf("identity %+v, want %+v", d.Identity, renamed)
	}
	closeDir(t, d)
	if d = openDir(t, path, renamed); d.Identity.Name != "infra0" {
		t.Errorf("the new name is not kept: %+v", d.Identity)
	}
}

func TestDataDirIsLocked(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path, identity())
	refusal(t, path, datadir.ErrLocked, "in use", "process "+strconv.Itoa(os.Getpid()))
	closeDir(t, d)
	closeDir(t, openDir(t, path, identity()))
}

// holdEnv makes the test binary act as a second copse, which locks a directory until
// it is killed.
const holdEnv = "COPSE_TEST_HOLD_DATA_DIR"

func TestDataDirIsFreeAfterAKill(t *testing.T) {
	if path := os.Getenv(holdEnv); path != "" {
		if _, err := datadir.Open(path, identity(), datadir.Claim{}); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("held\n")
		bufio.NewReader(os.Stdin).ReadByte() // until the parent closes the pipe, or ends
		return
	}
	path := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestDataDirIsFreeAfterAKill$")
	child.Env = append(os.Environ(), holdEnv+"="+path)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Errorf("child says %q, %v", line, err)
	}
	refusal(t, path, datadir.ErrLocked, "process "+strconv.Itoa(child.Process.Pid))
	child.Process.Kill()
	child.Wait()
	if d := openDir(t, path, identity()); d.Created || d.Identity != identity() {
		t.Errorf("after the kill: %+v", d)
	}
}

func TestDataDirRefusals(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, path string)
		kind    error
		part    string
	}{
		{"a file", func(t *testing.T, path string) { os.Remove(path); write(t, path, "") },
			datadir.ErrNotDirectory, "not a directory"},
		{"etcd's", func(t *testing.T, path string) { write(t, filepath.Join(path, "member", "snap", "db"), "") },
			datadir.ErrForeign, "belongs to etcd"},
		{"somebody's", func(t *testing.T, path string) { write(t, filepath.Join(path, "letter"), "") },
			datadir.ErrForeign, `"letter"`},
		{"identity lost", func(t *testing.T, path string) { write(t, filepath.Join(path, "raft", "x"), "") },
			datadir.ErrCorrupt, "lost its copse.json"},
		{"newer", func(t *testing.T, path string) {
			write(t, filepath.Join(path, "copse.json"), `{"format":3,"shards":"three"}`)
		}, datadir.ErrNewer, "newer copse"},
		{"empty identity", func(t *testing.T, path string) { write(t, filepath.Join(path, "copse.json"), "") },
			datadir.ErrCorrupt, "corrupt"},
		{"huge identity", func(t *testing.T, path string) {
			write(t, filepath.Join(path, "copse.json"), strings.Repeat(" ", 1<<17))
		}, datadir.ErrCorrupt, "corrupt"},
		{"a bit flipped", func(t *testing.T, path string) {
			closeDir(t, openDir(t, path, identity()))
			file := filepath.Join(path, "copse.json")
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, file, strings.Replace(string(b), "ddd67b", "ddd67c", 1))
		}, datadir.ErrCorrupt, "checksum"},
		{"no lock possible", func(t *testing.T, path string) {
			if err := os.Mkdir(filepath.Join(path, "LOCK"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, datadir.ErrUnwritable, "can't be written"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dir")
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			tt.prepare(t, path)
			refusal(t, path, tt.kind, tt.part)
			// A refusal must release the lock, too.
			refusal(t, path, tt.kind, tt.part)
		})
	}
}

func TestForeignDirIsLeftUntouched(t *testing.T) {
	path := t.TempDir()
	write(t, filepath.Join(path, "member", "wal"), "")
	refusal(t, path, datadir.ErrForeign, "belongs to etcd")
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want member alone", entries, err)
	}
}

// A crash during the first write of the identity leaves a lock and a torn temporary
// file. The directory still counts as fresh.
func TestDataDirAfterATornStart(t *testing.T) {
	path := t.TempDir()
	write(t, filepath.Join(path, "LOCK"), "12345\n")
	write(t, filepath.Join(path, "copse.json.tmp"), `{"form`)
	if d := openDir(t, path, identity()); !d.Created || d.Identity != identity() {
		t.Errorf("%+v", d)
	}
}

func TestUnwritableDirIsRefused(t *testing.T) {
	path := t.TempDir()
	if err := os.Chmod(path, 0o500); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// root may write anywhere, so this thread becomes nobody to the file
		// system; it stays locked, and ends with the goroutine.
		if os.Geteuid() == 0 {
			runtime.LockOSThread()
			syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0)
			if err := os.Chmod(path, 0o500); err == nil {
				t.Error("the thread still owns the directory")
			}
		}
		_, err := datadir.Open(path, identity(), datadir.Claim{})
		if !errors.Is(err, datadir.ErrForbidden) || !errors.Is(err, datadir.ErrUnwritable) || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("err = %v", err)
		}
		_, err = datadir.Open(filepath.Join(path, "new"), identity(), datadir.Claim{})
		if !errors.Is(err, datadir.ErrForbidden) {
			t.Errorf("err = %v", err)
		}
	}()
	<-done
}

// A start that forgets --data-dir is told of the data that it doesn't use.
func TestANewDirectoryBesideAnEtcdsSaysSo(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "default.etcd", "member"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "default.copse")
	d := openDir(t, path, identity())
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], filepath.Join(dir, "default.etcd")+" is an etcd's data") {
		t.Errorf("warnings %q", d.Warnings)
	}
	closeDir(t, d)
	if d = openDir(t, path, identity()); len(d.Warnings) != 0 {
		t.Errorf("once it has data of its own: %q", d.Warnings)
	}
	if d = openDir(t, filepath.Join(dir, "other.copse"), identity()); len(d.Warnings) != 0 {
		t.Errorf("beside another's: %q", d.Warnings)
	}
}
