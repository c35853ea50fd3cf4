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

// Files of the engine in its directory (its internal/server/environment.go).
const (
	enginePin = "dragonboat.ds" // host name, raft address and frozen settings
	engineID  = "NODEHOST.ID"
)

// LiftHostPin readies the engine's directory for this host's name, before the
// engine is started. The engine keeps its log under raft/<host name>/ and refuses
// a directory whose dragonboat.ds names another host; a container's name changes
// at will. What dragonboat.ds guards, the Identity guards too, so it may go: the
// engine makes it anew.
//
// A crash between any two steps is finished by the next call, also for a
// third name: the identity names both the old directory and the new one while
// the log is under way, and the log is in the first of them that exists.
func (d *Dir) LiftHostPin(host string) error {
	for _, step := range d.liftSteps(host) {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// liftSteps are what LiftHostPin does, in order. Each leaves a state on disk from
// which the whole can begin again.
func (d *Dir) liftSteps(host string) []func() error {
	if !isPathElement(host) {
		return []func() error{func() error { return fmt.Errorf("%q can't be the name of a host", host) }}
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

// findLog settles a move that a crash may have cut short: afterwards
// Identity.Host is where the log is. The next announceMove makes it durable.
func (d *Dir) findLog(host string) error {
	id := &d.Identity
	if exists(d.hostDir(id.Host)) {
		return nil
	}
	if id.MovingTo != "" && exists(d.hostDir(id.MovingTo)) {
		id.Host = id.MovingTo
		return nil
	}
	// The engine makes the log's directory before dragonboat.ds, so there was one.
	if exists(filepath.Join(d.RaftDir(), enginePin)) {
		return failuref(ErrCorrupt, "data directory %s has lost its raft log, %s: put it back from a backup, or give another --data-dir",
			d.path, d.hostDir(id.Host))
	}
	return nil
}

// announceMove records where the log is and where it will be.
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
	return SyncDir(d.RaftDir())
}

// setAside makes way for the log. An engine that was refused for its host name
// has left a directory there, perhaps with an empty log in it. It is not the log
// that the identity names; but nothing with a file in it is destroyed here.
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
			return fmt.Errorf("set aside what a refused start left: %w", err)
		}
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s was in the way of the raft log and is now %s; it is not used", path, aside))
		return nil
	}
}

// settle records that the log is where it should be.
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
		return fmt.Errorf("lift the engine's pin: %w", err)
	}
	return SyncDir(d.RaftDir())
}

// dropTornFiles removes those of the engine's small files that a crash cut off
// while they were first written: the engine does not write them atomically, and
// panics on half a one. It makes them anew.
func (d *Dir) dropTornFiles() error {
	for _, name := range []string{enginePin, engineID} {
		b, err := os.ReadFile(filepath.Join(d.RaftDir(), name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the engine's %s: %w", name, err)
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

// engineFileWhole checks the second half of an MD5 that the engine puts before
// the content.
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

// onlyDirs reports whether there is nothing but directories below path.
func onlyDirs(path string) bool {
	err := filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = fs.ErrExist
		}
		return err
	})
	return err == nil
}
