package statemachine

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A shard's directory contains one store, in a sub-directory, and the file CURRENT, which
// names it and says what it holds at least. CURRENT is text:
//
//	copse store 5        the format of it and of the store; 8 once a value has been written in several rows
//	name store-000001    the sub-directory
//	raft 1234            the last raft entry that a Sync has made durable
//	tree 5678            the tree's index then
//	blob 000012.blob 90  a file with large values, and its size; a line for each
//	crc32c 89abcdef      of the lines before
//
// It is replaced atomically: when a Sync has made more durable, when a file with large
// values is written (which is before Pebble refers to it), and when a snapshot is installed,
// by which a new store is filled beside the old one. Leftovers of a crash are removed at the
// next start.
//
// Pebble keeps a list of its files, and takes what it can't read at the end of the list for
// the end; without the marker of the list it begins an empty store. CURRENT tells such a
// store from one that is whole: it holds less than it should.
const (
	currentFile = "CURRENT"
	storePrefix = "store-"
)

// current is the content of CURRENT.
type current struct {
	name  string
	raft  uint64
	tree  tree.Index
	blobs string // lines
	rows  bool   // values may have several rows
}

// promises reports whether the store must exist. Before the first Sync the raft log holds
// everything, so that a store whose creation was cut off can be made again.
func (c current) promises() bool { return c.raft > 0 || c.tree > 0 }

func (c current) encode() string {
	text := fmt.Sprintf("copse store %d\nname %s\nraft %d\ntree %d\n%s", c.format(), c.name, c.raft, c.tree, c.blobs)
	return text + checksumLine(text)
}

// format is the version of CURRENT, by which an earlier copse refuses a store that it would take for damaged.
func (c current) format() uint64 {
	if c.rows {
		return formatRows
	}
	return formatUntimed
}

func checksumLine(text string) string {
	return fmt.Sprintf("crc32c %08x\n", crc32.Checksum([]byte(text), castagnoli))
}

func decodeCurrent(data string) (c current, err error) {
	var format, number uint64
	if n, _ := fmt.Sscanf(data, storePrefix+"%d\n", &number); n == 1 && data == storeName(int(number))+"\n" {
		return c, formatError(4, formatRows) // and older
	}
	text := data[:max(0, strings.LastIndex(data, "crc32c"))]
	if text+checksumLine(text) != data {
		return c, ErrDamaged
	}
	if _, err := fmt.Sscanf(text, "copse store %d\n", &format); err != nil {
		return c, ErrDamaged
	}
	if err := formatError(format, formatRows); err != nil {
		return c, err
	}
	_, err = fmt.Sscanf(text, "copse store %d\nname %s\nraft %d\ntree %d\n", &format, &c.name, &c.raft, &c.tree)
	c.rows = format == formatRows
	if i := strings.Index(text, "\nblob "); i >= 0 {
		c.blobs = text[i+1:]
	}
	if err != nil || c.encode() != data || !strings.HasPrefix(c.name, storePrefix) || strings.ContainsRune(c.name, filepath.Separator) {
		return c, ErrDamaged
	}
	return c, nil
}

// home is a shard's directory.
type home struct {
	fs      vfs.FS
	dir     string
	created bool // there was no store

	mu      sync.Mutex
	current current
}

// openHome reads or makes the directory dir, and removes stores that aren't current.
func openHome(fs vfs.FS, dir string) (h *home, err error) {
	h = &home{fs: fs, dir: dir}
	if err := makeDir(fs, dir); err != nil {
		return h, fmt.Errorf("create shard directory: %w", err)
	}
	stores, err := h.stores()
	if err != nil {
		return h, err
	}
	h.current, err = h.read()
	switch {
	case errors.Is(err, errNoCurrent) && len(stores) > 0:
		return h, fmt.Errorf("%w: %s has %s, but its file %s is missing", ErrDamaged, dir, stores[0], currentFile)
	case errors.Is(err, errNoCurrent):
		h.created = true
		err = h.change(func(c *current) { c.name = storeName(1) })
	}
	if err != nil {
		return h, err
	}
	for _, name := range stores {
		if name != h.current.name {
			if err := fs.RemoveAll(filepath.Join(dir, name)); err != nil {
				return h, fmt.Errorf("remove %s: %w", name, err)
			}
		}
	}
	return h, nil
}

// stores lists the stores in the directory, current or not.
func (h *home) stores() (stores []string, err error) {
	names, err := h.fs.List(h.dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", h.dir, err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, storePrefix) {
			stores = append(stores, name)
		}
	}
	return stores, nil
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

// now returns the content of CURRENT.
func (h *home) now() current {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current
}

var errNoCurrent = errors.New("no current store")

func (h *home) read() (current, error) {
	path := filepath.Join(h.dir, currentFile)
	f, err := h.fs.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return current{}, errNoCurrent
	}
	if err != nil {
		return current{}, fmt.Errorf("read %s: %w", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	var c current
	if err == nil {
		c, err = decodeCurrent(string(data))
	}
	if err != nil {
		err = fmt.Errorf("read %s: %w", path, err)
	}
	return c, err
}

// change replaces CURRENT, if edit changes it.
func (h *home) change(edit func(*current)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.current
	if edit(&c); c == h.current {
		return nil
	}
	path := filepath.Join(h.dir, currentFile)
	err := writeSynced(h.fs, path+".new", c.encode())
	if err == nil {
		err = h.fs.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(h.fs, h.dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	h.current = c
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
