package statemachine

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A shard's directory contains one store, in a sub-directory, and the file CURRENT, which
// names it. A snapshot is installed by filling a new store beside the old one and replacing
// CURRENT atomically. Leftovers of a crash are removed at the next start.
const (
	currentFile = "CURRENT"
	storePrefix = "store-"
)

// currentStore returns the name of the current store in dir, and removes all others. If
// there is none, it names a first one, and created is true.
func currentStore(fs vfs.FS, dir string) (name string, created bool, err error) {
	if err := makeDir(fs, dir); err != nil {
		return "", false, fmt.Errorf("create shard directory: %w", err)
	}
	if name, err = readCurrent(fs, dir); err != nil {
		return "", false, err
	}
	if name == "" {
		name, created = storeName(1), true
		if err := setCurrent(fs, dir, name); err != nil {
			return "", false, err
		}
	}
	return name, created, removeOtherStores(fs, dir, name)
}

// makeDir creates dir and makes it durable. The parent of dir must already be durable.
func makeDir(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fs, filepath.Dir(dir))
}

func storeName(n int) string { return fmt.Sprintf("%s%06d", storePrefix, n) }

func nextStoreName(name string) string {
	var n int
	if _, err := fmt.Sscanf(name, storePrefix+"%d", &n); err != nil {
		n = 0
	}
	return storeName(n + 1)
}

func readCurrent(fs vfs.FS, dir string) (string, error) {
	path := filepath.Join(dir, currentFile)
	f, err := fs.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	name, whole := strings.CutSuffix(string(data), "\n")
	if !whole || !strings.HasPrefix(name, storePrefix) || strings.ContainsRune(name, filepath.Separator) {
		return "", fmt.Errorf("%w: %s", ErrDamaged, path)
	}
	return name, nil
}

func setCurrent(fs vfs.FS, dir, name string) error {
	path := filepath.Join(dir, currentFile)
	err := writeSynced(fs, path+".new", name+"\n")
	if err == nil {
		err = fs.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(fs, dir)
	}
	if err != nil {
		return fmt.Errorf("switch to %s: %w", name, err)
	}
	return nil
}

func writeSynced(fs vfs.FS, path, content string) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(content))
	return firstError(err, f.Sync(), f.Close())
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return firstError(d.Sync(), d.Close())
}

func removeOtherStores(fs vfs.FS, dir, keep string) error {
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, storePrefix) && name != keep {
			if err := fs.RemoveAll(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("remove %s: %w", name, err)
			}
		}
	}
	return nil
}

// storeOptions returns the options of a shard's store. Bloom filters save most disk reads
// of missing keys, which are common: a write first looks up its key and the parent.
//
// Pebble's format version is pinned. A newer Pebble must not make the store unreadable for
// an older copse, unless we decide so with a new Format.
func storeOptions(fs vfs.FS, from Options) *pebble.Options {
	logger := from.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	o := &pebble.Options{
		Cache:                       from.Cache,
		FS:                          fs,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		MaxOpenFiles:                from.Files,
		Logger:                      pebbleLogger{logger},
		MemTableSize:                8 << 20,
		MemTableStopWritesThreshold: 8,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             1 << 20,
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// pebbleLogger passes Pebble's messages to a slog.Logger. Pebble calls Fatalf when it can't
// continue, and expects it not to return.
type pebbleLogger struct{ log *slog.Logger }

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug(fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error(fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	panic("store: " + fmt.Sprintf(format, args...))
}
