package raftlog_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/vfs"

	"copse/actors/raftlog"
)

const length = 1 << 20

// store opens an engine's store below dir.
func store(t *testing.T, dir string) *pebble.DB {
	t.Helper()
	db, err := pebble.Open(filepath.Join(dir, "logdb-0"), &pebble.Options{MemTableSize: 256 << 10, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// quiet is a Pebble that says nothing unless it ends the process.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }
func key(i int) []byte                          { return fmt.Appendf(nil, "key-%06d", i) }
func value(i int) []byte                        { return bytes.Repeat(key(i), 20) }
func opened(t *testing.T, dir string) *raftlog.Log {
	t.Helper()
	l := raftlog.Open(dir, length)
	t.Cleanup(l.Close)
	return l
}

// write puts the keys [from, to), each synced.
func write(t *testing.T, db *pebble.DB, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := db.Set(key(i), value(i), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
}

func sizes(t *testing.T, dir string) (list []int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "logdb-0", "*.log"))
	if err != nil || len(names) == 0 {
		t.Fatalf("logs: %v, %v", names, err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, info.Size())
	}
	return list
}

// TestALogHasItsLengthFromTheBeginning goes through enough files for the store to
// write over old ones.
func TestALogHasItsLengthFromTheBeginning(t *testing.T) {
	dir := t.TempDir()
	l := opened(t, dir)
	db := store(t, dir)
	defer db.Close()
	for i := 0; i < 10_000; i += 1000 {
		write(t, db, i, i+1000)
		for _, size := range sizes(t, dir) {
			if size != length {
				t.Fatalf("after %d writes a file has %d bytes, want %d", i+1000, size, length)
			}
		}
	}
	if got := l.Syncs.Count(); got < 10_000 {
		t.Errorf("%d syncs were counted for 10000 writes, one after the other", got)
	}
	if l.Failed.Load() != 0 {
		t.Errorf("%d syncs failed", l.Failed.Load())
	}
}

// TestAStoreThatIsCutOffHasAllThatWasSynced opens copies of the store's files, made
// while it is written: what a process leaves that is killed.
func TestAStoreThatIsCutOffHasAllThatWasSynced(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir)
	db := store(t, dir)
	defer db.Close()
	written := 0
	for _, n := range []int{1, 100, 3000, 3001, 9000} {
		write(t, db, written, n)
		written = n
		left := t.TempDir()
		if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		opened(t, left)
		for range 2 { // the second time, after a start that was cut off as well
			again := store(t, left)
			for i := range written {
				got, closer, err := again.Get(key(i))
				if err != nil || !bytes.Equal(got, value(i)) {
					t.Fatalf("of %d keys, key %d: %q, %v", written, i, got, err)
				}
				closer.Close()
			}
			iter := again.NewIter(nil)
			n := 0
			for iter.First(); iter.Valid(); iter.Next() {
				n++
			}
			if err := iter.Close(); err != nil || n != written {
				t.Fatalf("%d keys, want %d: %v", n, written, err)
			}
			next := t.TempDir()
			if err := os.CopyFS(next, os.DirFS(left)); err != nil {
				t.Fatal(err)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			left = next
		}
	}
}

func TestOtherFilesAreLeftAlone(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	l := opened(t, dir)
	for _, name := range []string{filepath.Join(other, "000001.log"), filepath.Join(dir, "000001.sst"), dir + "x.log"} {
		f, err := vfs.Default.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, "text"); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if info, err := f.Stat(); err != nil || info.Size() != 4 {
			t.Errorf("%s: %v, %v", name, info.Size(), err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if l.Syncs.Count() != 0 {
		t.Errorf("%d of their syncs were counted", l.Syncs.Count())
	}
	l.Close()
	if f, err := vfs.Default.Create(filepath.Join(dir, "000002.log")); err != nil {
		t.Fatal(err)
	} else if info, err := f.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("a log that is closed lengthens files: %v, %v", info.Size(), err)
	} else {
		f.Close()
	}
}

// TestALengthThatCantBeHadIsDoneWithout: more than any file may have.
func TestALengthThatCantBeHadIsDoneWithout(t *testing.T) {
	dir := t.TempDir()
	l := raftlog.Open(dir, 1<<60)
	t.Cleanup(l.Close)
	db := store(t, dir)
	write(t, db, 0, 3000)
	for _, size := range sizes(t, dir) {
		if size > length {
			t.Errorf("a file has %d bytes", size)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := store(t, dir)
	defer again.Close()
	_, closer, err := again.Get(key(2999))
	if err != nil {
		t.Fatal(err)
	}
	closer.Close()
}

// TestASyncThatFailsIsAnError: the engine ends the process for it.
func TestASyncThatFailsIsAnError(t *testing.T) {
	dir := t.TempDir()
	l := opened(t, dir)
	f, err := vfs.Default.Create(filepath.Join(dir, "000001.log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err == nil || l.Failed.Load() != 1 || l.Syncs.Count() != 0 {
		t.Errorf("a file that is closed: %v; %d failed, %d counted", err, l.Failed.Load(), l.Syncs.Count())
	}
}

// TestADirectoryMayBeRelative: where the engine has it from the root.
func TestADirectoryMayBeRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	opened(t, "raft")
	if err := os.Mkdir("raft", 0o700); err != nil {
		t.Fatal(err)
	}
	abs, err := filepath.Abs("raft")
	if err != nil {
		t.Fatal(err)
	}
	f, err := vfs.Default.Create(filepath.Join(abs, "000001.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != length {
		t.Errorf("%v, %v", info.Size(), err)
	}
}
