package datadir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// unfinishedName is a file that is there while a directory is being filled. Without an
// identity beside it, whatever else is there counts for nothing.
const unfinishedName = "restore.unfinished"

// shardPrefix begins the names of the shards' directories.
const shardPrefix = "shard-"

// Begin takes an empty directory, or makes one, to be filled for a member with that
// identity. It is the member's once Complete has returned nil, and worth nothing before: what an
// interrupted attempt has left is removed by the next one.
func Begin(path string, id Identity) (*Dir, error) {
	if err := id.check(); err != nil {
		return nil, dirErrorf(ErrContradicted, "data directory %s: %v", path, err)
	}
	if err := makeDir(path); err != nil {
		return nil, err
	}
	if Founded(path) {
		return nil, dirErrorf(ErrTaken, "data directory %s has data already: choose an empty one", path)
	}
	if !exists(filepath.Join(path, unfinishedName)) {
		if err := refuseForeign(path); errors.Is(err, ErrForeign) || errors.Is(err, ErrCorrupt) {
			return nil, dirErrorf(ErrTaken, "%v", err)
		} else if err != nil {
			return nil, err
		}
	}
	lock, err := Lock(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{Identity: id, Created: true, path: path, lock: lock}
	if err = d.begin(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Dir) begin() error {
	if Founded(d.path) { // since the first look
		return dirErrorf(ErrTaken, "data directory %s has data already: choose an empty one", d.path)
	}
	err := replaceFile(filepath.Join(d.path, unfinishedName), nil)
	if err == nil {
		err = d.wipe()
	}
	if err != nil {
		return unwritable(d.path, err)
	}
	return nil
}

// Complete makes what was filled the member's, durably and in one step.
func (d *Dir) Complete() error {
	if err := syncDir(d.path); err != nil {
		return unwritable(d.path, err)
	}
	if err := d.record(d.Identity); err != nil {
		return err
	}
	return d.finished()
}

// Abandon removes what was filled, unless it was completed.
func (d *Dir) Abandon() error {
	if Founded(d.path) {
		return nil
	}
	if err := d.wipe(); err != nil {
		return err
	}
	return d.finished()
}

// wipe removes the shards' directories.
func (d *Dir) wipe() error {
	entries, err := os.ReadDir(d.path)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), shardPrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(d.path, e.Name())))
		}
	}
	return errors.Join(err, syncDir(d.path))
}

func (d *Dir) finished() error {
	err := os.Remove(filepath.Join(d.path, unfinishedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, syncDir(d.path))
}
