package statemachine_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"copse/statemachine"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// killedStoreEnv makes the test binary open the store that it names, and finish what is
// missing there: "dir stop" ends without closing it, once memory tables have been flushed
// since the last Sync, "dir read", "dir compact" and "dir rewrite" open it after that. With
// "-unreadable" files with large values can't be read any more.
const killedStoreEnv = "COPSE_TEST_KILLED_STORE"

const (
	killedSynced = faultCommands / 4     // entries before the only Sync
	killedAt     = faultCommands * 3 / 4 // entries before the end
)

// blobErrors is a file system that returns nothing of a file with large values but its end.
type blobErrors struct {
	vfs.FS
	on bool
}

func (f blobErrors) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if err == nil && f.on && strings.HasSuffix(name, ".blob") {
		file = unreadable{file}
	}
	return file, err
}

type unreadable struct{ vfs.File }

func (f unreadable) ReadAt(p []byte, off int64) (int, error) {
	if info, err := f.Stat(); err == nil && off+int64(len(p)) < info.Size() {
		return 0, syscall.EIO
	}
	return f.File.ReadAt(p, off)
}

// runKilled is the process that is killed, or a later one. A later one that doesn't end with
// a code of its own has found everything as it should be.
func runKilled(plan string) int {
	var dir, how string
	if _, err := fmt.Sscanf(plan, "%s %s", &dir, &how); err != nil {
		fmt.Println("bad plan", plan)
		return 3
	}
	how, unreadable := strings.CutSuffix(how, "-unreadable")
	rewritten := make(chan struct{}, 100)
	m, err := statemachine.NewTuned(statemachine.Options{Dir: dir, Replica: replica, Window: window, WindowBytes: 1 << 30, Names: faultNames, Fatal: endProcess, FS: blobErrors{vfs.Default, unreadable}}, func(o *pebble.Options) {
		policy := o.Experimental.ValueSeparationPolicy()
		policy.MaxBlobReferenceDepth = 1 // compactions read all values
		if policy.RewriteMinimumAge = 0; how == "rewrite" {
			policy.MaxBlobReferenceDepth, policy.TargetGarbageRatio = 1000, 0.01
			o.EventListener.BlobFileRewriteEnd = func(pebble.BlobFileRewriteInfo) { rewritten <- struct{}{} }
		}
		o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy { return policy }
		o.DisableAutomaticCompactions = how == "stop"
	})
	if err != nil {
		endProcess(err)
	}
	at, err := m.Open(nil)
	if err != nil {
		endProcess(err)
	}
	want := &model{}
	for i := range int(at) {
		c := faultCommand(i)
		want.apply(&c)
	}
	if how == "stop" {
		for i := range killedAt {
			if _, err = m.Update([]sm.Entry{faultEntry(i)}); err == nil && i%25 == 24 {
				err = m.Flush(nil)
			}
			if err == nil && i+1 == killedSynced {
				err = m.Sync()
			}
			if err != nil {
				endProcess(err)
			}
		}
		return 0
	}
	if how != "read" {
		err = m.Compact()
	}
	if err == nil && how == "rewrite" {
		<-rewritten
	}
	if err != nil {
		endProcess(err)
	}
	for i := range modelQueries {
		got, err := readAll(m, &modelQueries[i], modelNow)
		if err != nil {
			endProcess(err)
		}
		if got != want.get(&modelQueries[i], modelNow) {
			fmt.Println("wrong", modelQueries[i], got)
			return 3
		}
	}
	if wrong, err := wrongName(m, want); err != nil {
		endProcess(err)
	} else if wrong != "" {
		fmt.Println(wrong)
		return 3
	}
	ended.Lock() // Pebble may find the damage in the next file before the process ends
	fmt.Println("held", at)
	return 0
}

func playKilled(dir, how string) (code int, out string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s", killedStoreEnv, dir, how))
	text, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(text)
}

// A file with large values that was written after the last Sync of a process that was
// killed is missed, whoever opens it first, and a changed byte in it is never served.
func TestAKilledStoreMissesItsLargeValues(t *testing.T) {
	dir := t.TempDir() + "/shard"
	if code, out := playKilled(dir, "stop"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	blobs, err := filepath.Glob(dir + "/store-*/*.blob")
	if err != nil || len(blobs) < 5 {
		t.Fatalf("%q %v", blobs, err)
	}
	ends := map[string]int{}
	try := func(what, how, blob string, spoil func(path string) error) {
		t.Helper()
		copied := t.TempDir() + "/shard"
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(dir, blob)
		if err == nil {
			err = spoil(filepath.Join(copied, name))
		}
		if err != nil {
			t.Fatal(err)
		}
		code, out := playKilled(copied, how)
		if (code != 5 || !strings.HasPrefix(out, "ended:")) && (code != 0 || !strings.HasPrefix(out, "held")) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s %s, then %s: exit code %d\n%s", name, what, how, code, out)
		}
		ends[fmt.Sprintf("%s %s: %d", what, how, code)]++
	}
	for _, how := range []string{"read", "compact", "rewrite"} {
		try("whole", how, blobs[0], func(string) error { return nil })
		for _, blob := range blobs {
			content, err := os.ReadFile(blob)
			if err != nil {
				t.Fatal(err)
			}
			flip := func(at int) func(string) error {
				flipped := bytes.Clone(content)
				flipped[at] ^= 4
				return func(path string) error { return os.WriteFile(path, flipped, 0o600) }
			}
			try("removed", how, blob, os.Remove)
			try("flipped in a value", how, blob, flip(len(content)/3))
			if !raceDetector {
				try("cut", how, blob, func(path string) error { return os.Truncate(path, int64(len(content)/2)) })
				try("flipped in the index", how, blob, flip(len(content)-80))
				try("flipped in the footer", how, blob, flip(len(content)-30))
			}
		}
	}
	t.Log(ends)
	for _, how := range []string{"read-unreadable", "compact-unreadable", "rewrite-unreadable"} {
		copied := t.TempDir() + "/shard"
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if code, out := playKilled(copied, how); code != 1 || strings.Count(out, "\n") != 1 || !strings.Contains(out, "input/output error") {
			t.Errorf("%s: exit code %d\n%s", how, code, out)
		}
	}
	for _, how := range []string{"read", "compact", "rewrite"} {
		if ends["whole "+how+": 0"] != 1 || ends["removed "+how+": 5"] != len(blobs) || ends["flipped in a value "+how+": 5"] == 0 {
			t.Errorf("%v", ends)
		}
	}
}
