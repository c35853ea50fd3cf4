package statemachine_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"copse/statemachine"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// spoiledStoreEnv names the store that TestAStoreServesWhatItHeld checks, in a process of
// its own: damage may be found by a goroutine of Pebble's.
const spoiledStoreEnv = "COPSE_TEST_SPOILED_STORE"

// stoppedStore makes a store of all faultCommands, and stops it: at first it flushes often,
// so that there are several tables.
func stoppedStore(t *testing.T, dir string) {
	m, err := statemachine.New(statemachine.Options{Dir: dir, Replica: replica, Window: window, WindowBytes: 1 << 30, Names: faultNames})
	if err != nil {
		t.Fatal(err)
	}
	for i := range faultCommands {
		if _, err := m.Update([]sm.Entry{faultEntry(i)}); err != nil {
			t.Fatal(err)
		}
		if i%100 == 99 {
			if err := m.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustClose(t, m)
}

// A store that was stopped serves all that it held.
func TestAStoreServesWhatItHeld(t *testing.T) {
	dir, spoiled := os.LookupEnv(spoiledStoreEnv)
	if !spoiled {
		dir = t.TempDir() + "/shard"
		stoppedStore(t, dir)
	}
	m, err := statemachine.New(statemachine.Options{Dir: dir, Replica: replica, Window: window, WindowBytes: 1 << 30, Names: faultNames, Fatal: endProcess})
	if err != nil {
		endProcess(err)
	}
	defer mustClose(t, m)
	want := &model{}
	for i := range faultCommands {
		c := faultCommand(i)
		want.apply(&c)
	}
	sameAsModel(t, m, want)
}

// Whatever becomes of one of its files, a store serves what it held or says that it is
// damaged.
func TestADamagedStoreIsRefused(t *testing.T) {
	dir := t.TempDir() + "/shard"
	stoppedStore(t, dir)
	files, err := filepath.Glob(dir + "/store-*/*")
	if err != nil || len(files) < 8 {
		t.Fatalf("%q %v", files, err)
	}
	refused := 0
	for _, file := range append(files, dir+"/CURRENT") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(content)
		if len(flipped) > 0 {
			flipped[len(flipped)/2] ^= 4
		}
		for what, spoil := range map[string]func(file string) error{
			"removed": os.Remove,
			"cut":     func(file string) error { return os.Truncate(file, int64(len(content)/2)) },
			"emptied": func(file string) error { return os.Truncate(file, 0) },
			"flipped": func(file string) error { return os.WriteFile(file, flipped, 0o600) },
		} {
			if what != "removed" && len(content) == 0 || what != "flipped" && raceDetector {
				continue
			}
			copied := t.TempDir() + "/shard"
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(dir, file)
			if err == nil {
				err = spoil(filepath.Join(copied, name))
			}
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestAStoreServesWhatItHeld$")
			cmd.Env = append(os.Environ(), spoiledStoreEnv+"="+copied)
			out, _ := cmd.CombinedOutput()
			switch code := cmd.ProcessState.ExitCode(); {
			case code == 5 && bytes.Count(out, []byte("\n")) == 1:
				refused++
			case code != 0:
				t.Errorf("%s is %s: exit code %d\n%s", name, what, code, out)
			}
		}
	}
	if refused < len(files)/2 {
		t.Errorf("%d of %d files' damages were refused", refused, len(files))
	}
}
