package etcddir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryDoesntFollowTheSizeOfAFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, filepath.FromSlash(fuzzWAL))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, length := range map[string]int{"a record of 2 GiB": 2 << 30, "a record beyond the file": 4 << 30} {
		var sum uint32
		wal := frame(nil, sumRecord, nil, &sum)
		wal = frame(wal, metadataRecord, appendVarintField(appendVarintField(nil, 1, 1), 2, 2), &sum)
		if err := os.WriteFile(path, appendHead(wal, length), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 3<<30); err != nil {
			t.Fatal(err)
		}
		for _, sound := range []bool{false, true} {
			r, err := Read([]Source{{Dir: os.DirFS(dir)}}, Options{TakeSound: sound})
			if sound && (err != nil || r.Losses.Whole()) || !sound && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
