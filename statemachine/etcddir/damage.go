package etcddir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ErrDamaged is what every *Damage is.
var ErrDamaged = errors.New("a data directory of etcd is damaged")

// Damage is what makes a directory unreadable: a file, the offset in it, and what is wrong
// there.
type Damage struct {
	File   string
	Offset int64
	What   string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s", d.File, d.Offset, d.What)
}

// Is makes a Damage ErrDamaged.
func (d *Damage) Is(target error) bool { return target == ErrDamaged }

// file is one file of the source.
type file struct {
	fs.File
	name string
	at   io.ReaderAt
	size int64
}

func open(dir fs.FS, path, name string) (*file, error) {
	f, err := dir.Open(path)
	if err != nil {
		return nil, err
	}
	at, ok := f.(io.ReaderAt)
	info, err := f.Stat()
	if err == nil && (!ok || !info.Mode().IsRegular()) {
		err = fmt.Errorf("%s isn't a file that can be read", name)
	}
	if err != nil {
		_ = f.Close() // opened to read
		return nil, err
	}
	return &file{File: f, name: name, at: at, size: info.Size()}, nil
}

// read reads n bytes at the offset. More than any record has would be damage, perhaps in a
// file that is larger than memory, and sparse.
func (f *file) read(offset, n int64) ([]byte, error) {
	if n > recordLimit {
		return nil, f.damaged(offset, "more than 1 GiB in one piece")
	}
	b := make([]byte, n)
	if _, err := f.at.ReadAt(b, offset); err != nil {
		return nil, fmt.Errorf("read %s at byte %d: %w", f.name, offset, err)
	}
	return b, nil
}

func (f *file) damaged(offset int64, what string) error {
	return &Damage{File: f.name, Offset: offset, What: what}
}
