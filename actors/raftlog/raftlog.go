package raftlog

import (
	"errors"
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
	if err := f.lengthen(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// file is one of a Log's. It keeps its descriptor from Pebble, which would reserve
// blocks and sync by itself.
type file struct {
	vfs.File
	log *Log
	fd  int // -1 once it is closed
}

// lengthen makes the file as long as it will get; what is new reads as zeros, and is
// on disk. Nothing but the time of a sync depends on it, so where a file system can't, or
// has no space for it, the file gets its length back.
func (f *file) lengthen() error {
	info, err := f.Stat()
	if err != nil || info.Size() >= f.log.length {
		return err
	}
	if uninterrupted(func() error { return syscall.Fallocate(f.fd, 0, 0, f.log.length) }) != nil {
		return uninterrupted(func() error { return syscall.Ftruncate(f.fd, info.Size()) })
	}
	return f.File.Sync()
}

// Sync makes what was written durable, and the length if that has changed.
func (f *file) Sync() error {
	began := time.Now()
	if err := uninterrupted(func() error { return syscall.Fdatasync(f.fd) }); err != nil {
		f.log.Failed.Add(1)
		return fmt.Errorf("sync the raft log: %w", err)
	}
	f.log.Syncs.ObserveSince(began)
	return nil
}

// Close closes the file: what its descriptor names afterwards is another's.
func (f *file) Close() error {
	f.fd = -1
	return f.File.Close()
}

// uninterrupted makes a system call until no signal interrupts it.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
