package raft

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/lni/vfs"
)

// snapshotFiles is the file system in which dragonboat keeps its small files: the notes
// that a replica's snapshots consist of, and what pins the directory to this member. A
// disk that fails there would be a bare panic on one of its goroutines, with a stack and
// exit code 2; here it ends the process like any other failure of the disk.
//
// A snapshot that another member sent is a file of its own until the store has it. Its
// damage would be a panic too, so it is checked before dragonboat reads it.
type snapshotFiles struct {
	vfs.FS
	fail    func(error)
	checked *checkedSnapshots
}

// diskErrors are those that no retry gets rid of, as opposed to, say, a file that doesn't
// exist, which dragonboat asks for on purpose.
var diskErrors = []error{
	syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EFBIG, syscall.ENXIO, syscall.ESTALE,
	syscall.EACCES, syscall.EPERM, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
}

// check returns err, unless the disk has failed: then it doesn't return.
func (f snapshotFiles) check(err error) error {
	for _, fatal := range diskErrors {
		if err != nil && errors.Is(err, fatal) {
			f.end(fmt.Errorf("raft: the disk fails: %w", err))
		}
	}
	return err
}

// end doesn't return: dragonboat must not go on.
func (f snapshotFiles) end(err error) {
	f.fail(err)
	select {}
}

func (f snapshotFiles) file(file vfs.File, err error) (vfs.File, error) {
	if f.check(err) != nil {
		return nil, err
	}
	return snapshotFile{file, f}, nil
}

func (f snapshotFiles) Create(name string) (vfs.File, error) { return f.file(f.FS.Create(name)) }

func (f snapshotFiles) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, o...)
	if err == nil && strings.HasSuffix(name, snapshotSuffix) {
		if err := f.checked.check(name, file); errors.Is(err, ErrDamaged) {
			f.end(err)
		} else if err != nil {
			_ = f.check(err)
			return nil, errors.Join(err, file.Close())
		}
	}
	return f.file(file, err)
}

func (f snapshotFiles) OpenDir(name string) (vfs.File, error) { return f.file(f.FS.OpenDir(name)) }

func (f snapshotFiles) OpenForAppend(name string) (vfs.File, error) {
	return f.file(f.FS.OpenForAppend(name))
}

func (f snapshotFiles) ReuseForWrite(from, to string) (vfs.File, error) {
	return f.file(f.FS.ReuseForWrite(from, to))
}

func (f snapshotFiles) Link(from, to string) error   { return f.check(f.FS.Link(from, to)) }
func (f snapshotFiles) Rename(from, to string) error { return f.check(f.FS.Rename(from, to)) }
func (f snapshotFiles) Remove(name string) error     { return f.check(f.FS.Remove(name)) }
func (f snapshotFiles) RemoveAll(name string) error  { return f.check(f.FS.RemoveAll(name)) }

func (f snapshotFiles) MkdirAll(dir string, perm fs.FileMode) error {
	return f.check(f.FS.MkdirAll(dir, perm))
}

func (f snapshotFiles) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	return names, f.check(err)
}

type snapshotFile struct {
	vfs.File
	fs snapshotFiles
}

func (f snapshotFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.fs.check(err)
}

func (f snapshotFile) WriteAt(b []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(b, at)
	return n, f.fs.check(err)
}

func (f snapshotFile) Read(b []byte) (int, error) {
	n, err := f.File.Read(b)
	return n, f.fs.check(err)
}

func (f snapshotFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	return n, f.fs.check(err)
}

func (f snapshotFile) Sync() error  { return f.fs.check(f.File.Sync()) }
func (f snapshotFile) Close() error { return f.fs.check(f.File.Close()) }
