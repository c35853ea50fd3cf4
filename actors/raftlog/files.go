package raftlog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// files is the directory that a log lives in. The system's is directory; tests have
// one that forgets what wasn't synced.
type files interface {
	List() ([]string, error) // names, in any order
	Open(name string) (file, error)
	Create(name string) (file, error) // empty, also if there was one
	Rename(from, to string) error
	Remove(name string) error
	Sync() error // of the names
	Path(name string) string
}

// file is one file of the directory.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	// Allocate makes an empty file size bytes long, all zero, with its blocks reserved
	// where the file system can do that.
	Allocate(size int64) error
	Sync() error // of the data
}

// directory is a directory of the operating system's.
type directory string

func openDirectory(path string) (directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", err
	}
	d := directory(path)
	return d, errors.Join(d.Sync(), directory(filepath.Dir(path)).Sync())
}

func (d directory) Path(name string) string { return filepath.Join(string(d), name) }

func (d directory) List() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (d directory) open(name string, flags int) (file, error) {
	f, err := os.OpenFile(d.Path(name), os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, err
	}
	return systemFile{f}, nil
}

func (d directory) Open(name string) (file, error) { return d.open(name, 0) }

func (d directory) Create(name string) (file, error) {
	return d.open(name, os.O_CREATE|os.O_TRUNC)
}

func (d directory) Rename(from, to string) error { return os.Rename(d.Path(from), d.Path(to)) }

func (d directory) Remove(name string) error {
	err := os.Remove(d.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d directory) Sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

type systemFile struct{ *os.File }

func (f systemFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f systemFile) Allocate(size int64) error {
	err := uninterrupted(func() error { return syscall.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		err = f.Truncate(size)
	}
	return err
}

// Sync is fdatasync: a segment's length doesn't change once it is in use.
func (f systemFile) Sync() error {
	return uninterrupted(func() error { return syscall.Fdatasync(int(f.Fd())) })
}

// uninterrupted makes a system call until no signal interrupts it.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
