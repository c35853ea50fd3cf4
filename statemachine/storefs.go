package statemachine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/blob"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// storeFS is the file system under a store. It does three things that Pebble (v2.1.7)
// leaves to be done.
//
// A file that can't be written ends the process here: not everywhere does Pebble return
// such an error, and after a flush that failed it would try again without end.
//
// It keeps account of the blob files, those with large values, for CURRENT: Pebble checks
// at the start that its tables are there, but not its blob files, and later panics where
// one is missing. What CURRENT lists must be there, so a blob file that Pebble removes
// stays until CURRENT doesn't list it any more, which is until the next Sync.
//
// It reads the footer of a blob file before Pebble does, which panics where that is damaged.
type storeFS struct {
	vfs.FS
	end ending

	mu      sync.Mutex
	blobs   map[string]int64  // sizes of those that are written and not removed, by name
	removed map[string]string // paths of those that Pebble has removed, by name
}

const blobSuffix = ".blob"

// openFS reads which blob files the store at path has, and refuses it if one of those
// listed is not as it was. listed is what list returned.
func openFS(fs vfs.FS, path, listed string, end ending) (*storeFS, error) {
	s := &storeFS{FS: fs, end: end, blobs: map[string]int64{}, removed: map[string]string{}}
	names, err := fs.List(path)
	if err != nil && listed == "" {
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
	for line := range strings.Lines(listed) {
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
	if err = firstError(err, f.File.Close()); err != nil {
		return f.in.fine(f.path, err)
	}
	if name := filepath.Base(f.path); strings.HasSuffix(name, blobSuffix) {
		f.in.mu.Lock()
		f.in.blobs[name] = info.Size()
		f.in.mu.Unlock()
	}
	return nil
}

// Open implements vfs.FS.
func (s *storeFS) Open(path string, opts ...vfs.OpenOption) (vfs.File, error) {
	if strings.HasSuffix(path, blobSuffix) {
		if err := s.check(path); pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist) {
			s.end.with(fmt.Errorf("%w: %s: %w", ErrDamaged, path, err))
		}
	}
	return s.FS.Open(path, opts...)
}

// check reads the footer of a blob file.
func (s *storeFS) check(path string) error {
	file, err := s.FS.Open(path)
	if err != nil {
		return err
	}
	content, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return firstError(err, file.Close())
	}
	r, err := blob.NewFileReader(context.Background(), content, blob.FileReaderOptions{})
	if err != nil {
		return firstError(err, content.Close())
	}
	return r.Close()
}
