package raftlog

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/vfs"

	"copse/statemachine/metric"
)

// Log is the files of the raft log below one directory.
type Log struct {
	// Fixed after Open.
	below  string // the directory, and a separator
	length int64

	Syncs  *metric.Histogram
	Failed atomic.Uint64 // syncs
}

// The logs that are open. The engine's stores look here for each file that they make.
var (
	install sync.Once
	mu      sync.RWMutex
	logs    = map[*Log]bool{}
)

// Open looks after the log's files below dir that are made from now on, until Close:
// each is length bytes long from the beginning.
func Open(dir string, length int64) *Log {
	install.Do(func() { vfs.Default = &fileSystem{vfs.Default} })
	l := &Log{below: absolute(dir) + string(filepath.Separator), length: length, Syncs: metric.NewDurations()}
	mu.Lock()
	defer mu.Unlock()
	logs[l] = true
	return l
}

// Close ends what Open began, for files to come.
func (l *Log) Close() {
	mu.Lock()
	defer mu.Unlock()
	delete(logs, l)
}

// of returns the Log that a file belongs to, nil if none.
func of(name string) *Log {
	if filepath.Ext(name) != ".log" {
		return nil
	}
	name = absolute(name)
	mu.RLock()
	defer mu.RUnlock()
	for l := range logs {
		if strings.HasPrefix(name, l.below) {
			return l
		}
	}
	return nil
}

// absolute is path from the root, if the working directory is known.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}

// fileSystem is Pebble's own, but for the files that a Log looks after.
type fileSystem struct{ vfs.FS }

func (f *fileSystem) Create(name string) (vfs.File, error) {
	made, err := f.FS.Create(name)
	return adopt(name, made, err)
}

func (f *fileSystem) ReuseForWrite(oldname, newname string) (vfs.File, error) {
	made, err := f.FS.ReuseForWrite(oldname, newname)
	return adopt(newname, made, err)
}

// adopt gives a file of a Log its length.
func adopt(name string, made vfs.File, err error) (vfs.File, error) {
	l := of(name)
	if err != nil || l == nil {
		return made, err
	}
	system, ok := made.(interface{ Fd() uintptr })
	if !ok {
		return made, nil
	}
	f := &file{File: made, log: l, fd: int(system.Fd())}
	f.lengthen()
	return f, nil
}

// file is one of a Log's. It keeps its descriptor from Pebble, which would reserve
// blocks and sync by itself.
type file struct {
	vfs.File
	log *Log
	fd  int
}

// lengthen makes the file as long as it will get; what is new reads as zeros. Nothing
// but the time of a sync depends on it, so where a file system can't, or has no space,
// it stays as it is.
func (f *file) lengthen() {
	if info, err := f.Stat(); err != nil || info.Size() >= f.log.length {
		return
	}
	if syscall.Fallocate(f.fd, 0, 0, f.log.length) == nil {
		_ = f.File.Sync() // or the first write's sync does it
	}
}

// Sync makes what was written durable, and the length if that has changed.
func (f *file) Sync() error {
	began := time.Now()
	for {
		err := syscall.Fdatasync(f.fd)
		switch err {
		case nil:
			f.log.Syncs.ObserveSince(began)
			return nil
		case syscall.EINTR:
		default:
			f.log.Failed.Add(1)
			return fmt.Errorf("sync the raft log: %w", err)
		}
	}
}
