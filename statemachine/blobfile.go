package statemachine

import (
	"bytes"
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/blob"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// blobFile is a blob file that Pebble reads: blocks, each with its checksum, and a footer.
// Damage in it ends the process here, and so does what the disk doesn't return: Pebble
// would take that for damage in a footer, and panics when it writes the file anew.
type blobFile struct {
	vfs.File
	path   string
	size   int64
	footer []byte // what was last read at the end of the file
	end    ending
}

// openBlob returns the file with its footer read and understood, so that Pebble will
// understand it.
func (s *storeFS) openBlob(path string, file vfs.File) (vfs.File, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, firstError(err, file.Close())
	}
	f := &blobFile{File: file, path: path, size: info.Size(), end: s.end}
	content, err := sstable.NewSimpleReadable(f)
	if err == nil {
		_, err = blob.NewFileReader(context.Background(), content, blob.FileReaderOptions{}) // owns nothing but the file
	}
	if pebble.IsCorruptionError(err) {
		f.damaged(err)
	}
	if err != nil {
		return nil, firstError(err, file.Close())
	}
	return f, nil
}

func (f *blobFile) damaged(err error) { f.end.with(fmt.Errorf("%w: %s: %w", ErrDamaged, f.path, err)) }

// ReadAt implements vfs.File.
func (f *blobFile) ReadAt(p []byte, off int64) (int, error) {
	last := off+int64(len(p)) == f.size
	if last && len(p) == len(f.footer) {
		return copy(p, f.footer), nil
	}
	n, err := f.File.ReadAt(p, off)
	switch {
	case err != nil:
		f.end.with(fmt.Errorf("read %s: %w", f.path, err))
	case last:
		f.footer = bytes.Clone(p)
	case len(p) > block.TrailerLen:
		if err := block.ValidateChecksum(block.ChecksumTypeCRC32c, p, block.Handle{Length: uint64(len(p) - block.TrailerLen)}); err != nil {
			f.damaged(fmt.Errorf("at %d: %w", off, err))
		}
	}
	return n, err
}
