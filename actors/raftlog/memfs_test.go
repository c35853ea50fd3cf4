package raftlog

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"syscall"
)

// errCut is the error of every operation once the power is off.
var errCut = errors.New("the power is off")

// disc is a directory in memory that loses unsynced data when the power is cut. Of the
// writes since a file's last sync, any subset of sectors survives; of the renames since
// the directory's last sync, any number of the first ones.
type disc struct {
	mu    sync.Mutex
	names map[string]*memFile
	sure  map[string]*memFile // as of the last Sync
	steps []func(map[string]*memFile)
	left  int   // operations until the power is cut; negative: never
	fails error // what the next write or sync returns
	ops   int
	room  int64 // bytes that may be allocated; 0: any number
	most  int64 // bytes of a file that may be written; 0: any number
}

type memFile struct {
	d    *disc
	data []byte
	sure []byte // as of the last Sync
}

func newDisc() *disc {
	return &disc{names: map[string]*memFile{}, sure: map[string]*memFile{}, left: -1}
}

// op counts an operation that changes the disk.
func (d *disc) op() error {
	if d.left == 0 {
		return errCut
	}
	d.left--
	d.ops++
	if err := d.fails; err != nil {
		return err
	}
	return nil
}

// cut returns what survives a power cut; keep decides about unsynced data.
func (d *disc) cut(keep func() bool) *disc {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newDisc()
	for _, step := range d.steps {
		if !keep() {
			break
		}
		step(d.sure)
	}
	for name, f := range d.sure {
		g := &memFile{d: next, data: slices.Clone(f.sure)}
		for at := 0; at < len(f.data); at += sectorSize {
			end := min(at+sectorSize, len(f.data))
			if end <= len(g.data) && string(g.data[at:end]) != string(f.data[at:end]) && keep() {
				copy(g.data[at:end], f.data[at:end])
			}
		}
		g.sure = slices.Clone(g.data)
		next.names[name], next.sure[name] = g, g
	}
	return next
}

// clone returns a copy of the directory in which everything is synced.
func (d *disc) clone() *disc {
	next := newDisc()
	for name, f := range d.names {
		g := &memFile{d: next, data: slices.Clone(f.data), sure: slices.Clone(f.data)}
		next.names[name], next.sure[name] = g, g
	}
	return next
}

func (d *disc) Path(name string) string { return name }

func (d *disc) List() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.names)), nil
}

func (d *disc) Open(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.names[name]; f != nil {
		return f, nil
	}
	return nil, fs.ErrNotExist
}

func (d *disc) step(change func(map[string]*memFile)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return err
	}
	change(d.names)
	d.steps = append(d.steps, change)
	return nil
}

func (d *disc) Create(name string) (file, error) {
	f := &memFile{d: d}
	return f, d.step(func(names map[string]*memFile) { names[name] = f })
}

func (d *disc) Rename(from, to string) error {
	return d.step(func(names map[string]*memFile) {
		if f := names[from]; f != nil {
			names[to] = f
			delete(names, from)
		}
	})
}

func (d *disc) Remove(name string) error {
	return d.step(func(names map[string]*memFile) { delete(names, name) })
}

func (d *disc) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return err
	}
	d.sure, d.steps = maps.Clone(d.names), nil
	return nil
}

func (f *memFile) Close() error { return nil }

func (f *memFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.data)), nil
}

// Allocate is durable at once: the log never uses a file that it has not synced since.
func (f *memFile) Allocate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.op(); err != nil {
		return err
	}
	if f.d.room > 0 && size > f.d.room {
		return syscall.ENOSPC
	}
	f.data, f.sure = make([]byte, size), make([]byte, size)
	return nil
}

func (f *memFile) ReadAt(b []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if at >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.op(); err != nil {
		return 0, err
	}
	if at+int64(len(b)) > int64(len(f.data)) {
		return 0, errors.New("a write behind the end of a segment")
	}
	if most := max(0, f.d.most-at); f.d.most > 0 && int64(len(b)) > most {
		copy(f.data[at:], b[:most])
		return 0, syscall.EFBIG // as os.File, which doesn't count what a write has done before an error
	}
	return copy(f.data[at:], b), nil
}

func (f *memFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.op(); err != nil {
		return err
	}
	f.sure = slices.Clone(f.data)
	return nil
}
