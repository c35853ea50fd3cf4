package statemachine

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// storeFS is the file system under a store. It does three things that Pebble (v2.1.7)
// leaves to be done.
//
// A file that can't be written ends the process here: not everywhere does Pebble return
// such an error, and after a flush that failed it would try again without end.
//
// It keeps account of the blob files, those with large values, in CURRENT: Pebble checks
// at the start that its tables are there, but not its blob files, and later panics where
// one is missing. What CURRENT lists must be there. So a blob file is listed as soon as it
// is written, before Pebble refers to it, and one that Pebble removes stays until CURRENT
// doesn't list it any more, which is until the next Sync.
//
// It checks what is read of a blob file (blobFile), since Pebble panics where the footer
// makes no sense, or a block while the file is written anew.
type storeFS struct {
	vfs.FS
	end  ending
	home *home
	name string // of the store

	mu      sync.Mutex
	blobs   map[string]int64  // sizes of those that are written and not removed, by name
	removed map[string]string // paths of those that Pebble has removed, by name
}

const blobSuffix = ".blob"

// openFS reads which blob files the store has that at describes, and refuses it if one of
// those listed is not as it was.
func openFS(home *home, at current, end ending) (*storeFS, error) {
	fs, path := home.fs, filepath.Join(home.dir, at.name)
	s := &storeFS{FS: fs, end: end, home: home, name: at.name, blobs: map[string]int64{}, removed: map[string]string{}}
	names, err := fs.List(path)
	if err != nil && at.blobs == "" {
		return s, nil // there is no store yet
	}
	for _, name := range names {
		if strings.HasSuffix(name, blobSuffix) {
			info, err := fs.Stat(filepath.Join(path, name))
			if err != nil {
				return nil, err
			}
			s.blobs[name] = info.Size()
		}
	}
	for line := range strings.Lines(at.blobs) {
		var name string
		var size int64
		if _, err := fmt.Sscanf(line, "blob %s %d\n", &name, &size); err != nil {
			return nil, fmt.Errorf("%w: %q is not a blob file's line", ErrDamaged, line)
		}
		if now, there := s.blobs[name]; !there || now != size {
			return nil, fmt.Errorf("%w: its file %s had %d bytes, and is missing or has another size", ErrDamaged, name, size)
		}
	}
	return s, nil
}

// list returns the store's blob files, in lines for CURRENT, and the paths of those that
// may go once CURRENT says so.
func (s *storeFS) list() (lines string, removed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.blobs)) {
		fmt.Fprintf(&text, "blob %s %d\n", name, s.blobs[name])
	}
	return text.String(), slices.Sorted(maps.Values(s.removed))
}

// release removes files that list has returned as removed.
func (s *storeFS) release(removed []string) error {
	for _, path := range removed {
		if err := s.FS.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.mu.Lock()
		delete(s.removed, filepath.Base(path))
		s.mu.Unlock()
	}
	return nil
}

// Remove implements vfs.FS.
func (s *storeFS) Remove(path string) error {
	name := filepath.Base(path)
	if !strings.HasSuffix(name, blobSuffix) {
		return s.FS.Remove(path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, name)
	s.removed[name] = path
	return nil
}

// Create implements vfs.FS.
func (s *storeFS) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := s.FS.Create(path, category)
	return &storeFile{file, path, s}, s.fine(path, err)
}

// fine returns err, which is of writing the file at path, if it is nil.
func (s *storeFS) fine(path string, err error) error {
	if err != nil {
		s.end.with(fmt.Errorf("write %s: %w", path, err))
	}
	return err
}

// storeFile is a file that is being written.
type storeFile struct {
	vfs.File
	path string
	in   *storeFS
}

// Write implements vfs.File, as all below.
func (f *storeFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.in.fine(f.path, err)
}

func (f *storeFile) Sync() error     { return f.in.fine(f.path, f.File.Sync()) }
func (f *storeFile) SyncData() error { return f.in.fine(f.path, f.File.SyncData()) }
func (f *storeFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.in.fine(f.path, err)
}

func (f *storeFile) Close() error {
	info, err := f.Stat()
	err = firstError(err, f.File.Close())
	if name := filepath.Base(f.path); err == nil && strings.HasSuffix(name, blobSuffix) {
		err = f.in.written(name, info.Size())
	}
	return f.in.fine(f.path, err)
}

// written adds a blob file to CURRENT, if that is about this store.
func (s *storeFS) written(name string, size int64) error {
	s.mu.Lock()
	s.blobs[name] = size
	s.mu.Unlock()
	if err := syncDir(s.FS, filepath.Join(s.home.dir, s.name)); err != nil {
		return err
	}
	return s.home.change(func(c *current) {
		if c.name == s.name {
			c.blobs, _ = s.list()
		}
	})
}

// Open implements vfs.FS.
func (s *storeFS) Open(path string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := s.FS.Open(path, opts...)
	if !strings.HasSuffix(path, blobSuffix) {
		return file, err
	}
	if errors.Is(err, fs.ErrNotExist) {
		s.end.with(fmt.Errorf("%w: %s: %w", ErrDamaged, path, err))
	}
	if err != nil {
		return nil, err
	}
	return s.openBlob(path, file)
}
