package datadir

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Files that dragonboat keeps in its directory (its internal/server/environment.go).
const (
	enginePin = "dragonboat.ds" // host name, raft address and fixed settings
	engineID  = "NODEHOST.ID"
)

// LiftHostPin prepares dragonboat's directory for this host's name. It must be called
// before dragonboat starts, which keeps its log under raft/<host name>/ and refuses
// a directory whose dragonboat.ds names another host. A container's host name can
// change at any restart, and the Identity protects what dragonboat.ds does, so that
// file is removed; dragonboat writes a new one.
//
// If a crash interrupts the steps, the next call completes them, even for a third
// host name: while the log is being moved, the identity names both the old and the
// new directory, and the log is in the first of them that exists.
func (d *Dir) LiftHostPin(host string) error {
	for _, step := range d.liftSteps(host) {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// liftSteps are the steps of LiftHostPin, in order. After each of them, what is on
// disk allows the whole to be started again.
func (d *Dir) liftSteps(host string) []func() error {
	if !isPathElement(host) {
		return []func() error{func() error { return fmt.Errorf("%q is not a valid host name", host) }}
	}
	steps := []func() error{
		d.dropTornFiles,
		func() error { return d.findLog(host) },
	}
	if d.Identity.Host == host && d.Identity.MovingTo == "" {
		return steps
	}
	return append(steps,
		func() error { return d.announceMove(host) },
		func() error { return d.moveLog(host) },
		func() error { return d.removeEngineFile(enginePin) },
		func() error { return d.settle(host) },
	)
}

func (d *Dir) hostDir(host string) string { return filepath.Join(d.RaftDir(), host) }

// findLog makes Identity.Host the place where the log is, after a move that a crash
// may have interrupted. The next announceMove makes that durable.
func (d *Dir) findLog(host string) error {
	id := &d.Identity
	if exists(d.hostDir(id.Host)) {
		return nil
	}
	if id.MovingTo != "" && exists(d.hostDir(id.MovingTo)) {
		id.Host = id.MovingTo
		return nil
	}
	// dragonboat creates the log's directory before dragonboat.ds, so there was one.
	if exists(filepath.Join(d.RaftDir(), enginePin)) {
		return dirErrorf(ErrCorrupt, "data directory %s has lost its raft log, %s: restore it from a backup, or choose another --data-dir",
			d.path, d.hostDir(id.Host))
	}
	return nil
}

// announceMove records where the log is and where it is moving to.
func (d *Dir) announceMove(host string) error {
	id := d.Identity
	id.MovingTo = host
	return d.record(id)
}

// moveLog renames the log's directory.
func (d *Dir) moveLog(host string) error {
	from, to := d.hostDir(d.Identity.Host), d.hostDir(host)
	if from == to || !exists(from) {
		return nil
	}
	if err := d.setAside(to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("move the raft log to this host's name: %w", err)
	}
	return syncDir(d.RaftDir())
}

// setAside makes way for the log. A dragonboat that refused to start because of the
// host name has left a directory there, perhaps with an empty log. The identity
// doesn't name that log, but a directory with files in it is renamed rather than
// removed.
func (d *Dir) setAside(path string) error {
	if !exists(path) {
		return nil
	}
	if onlyDirs(path) {
		return os.RemoveAll(path)
	}
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s.refused-%d", path, n)
		if exists(aside) {
			continue
		}
		if err := os.Rename(path, aside); err != nil {
			return fmt.Errorf("rename what a refused start left behind: %w", err)
		}
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s was in the way of the raft log; it was renamed to %s and is not used", path, aside))
		return nil
	}
}

// settle records that the move is complete.
func (d *Dir) settle(host string) error {
	id := d.Identity
	id.Host, id.MovingTo = host, ""
	return d.record(id)
}

func (d *Dir) removeEngineFile(name string) error {
	err := os.Remove(filepath.Join(d.RaftDir(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove dragonboat's %s: %w", name, err)
	}
	return syncDir(d.RaftDir())
}

// dropTornFiles removes dragonboat's small files if a crash interrupted their first
// write: dragonboat doesn't write them atomically, and panics when it reads half a
// file. If one is missing, it writes a new one.
func (d *Dir) dropTornFiles() error {
	for _, name := range []string{enginePin, engineID} {
		b, err := os.ReadFile(filepath.Join(d.RaftDir(), name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read dragonboat's %s: %w", name, err)
		}
		if engineFileWhole(b) {
			continue
		}
		if err := d.removeEngineFile(name); err != nil {
			return err
		}
	}
	return nil
}

// engineFileWhole checks the half of an MD5 sum that dragonboat writes before the
// content.
func engineFileWhole(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	sum := md5.Sum(b[8:])
	return bytes.Equal(b[:8], sum[8:])
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// onlyDirs reports whether there are only directories below path.
func onlyDirs(path string) bool {
	err := filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = fs.ErrExist
		}
		return err
	})
	return err == nil
}
