package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// What can be wrong with a data directory. The error that Open returns
// says in one line what to do; errors.Is tells which of these it is.
var (
	ErrLocked       = errors.New("data directory in use")
	ErrUnwritable   = errors.New("data directory not writable")
	ErrNotDirectory = errors.New("data directory is not a directory")
	ErrNewer        = errors.New("data directory of a newer format")
	ErrCorrupt      = errors.New("data directory corrupt")
	ErrForeign      = errors.New("data directory of something else")
	ErrContradicted = errors.New("data directory of another cluster")
)

// failure is one line for the operator, of one of the kinds above.
type failure struct {
	kind error
	line string
}

func (e *failure) Error() string { return e.line }
func (e *failure) Unwrap() error { return e.kind }

func failuref(kind error, format string, args ...any) error {
	return &failure{kind: kind, line: fmt.Sprintf(format, args...)}
}

const (
	lockName     = "LOCK"
	identityName = "copse.json"
	raftName     = "raft"
)

// Dir is a data directory that belongs to this process until Close.
//
//	<dir>/LOCK          held with flock, contains the holder's process id
//	<dir>/copse.json    the Identity, written whole or not at all
//	<dir>/raft/         the engine's: raft/<host name>/<deployment id>/...
//	<dir>/shard-0001/   the state machine's store, one for each shard
type Dir struct {
	// Identity is the stored one: on a later start, what Open was asked for
	// gives way to it.
	Identity Identity
	// Created says that the directory was fresh.
	Created bool
	// Warnings tell, a line each, what was found and mended.
	Warnings []string

	path string
	lock *os.File // nil after Close
}

// Founded reports whether the directory belongs to a cluster already. A member
// that is told to join an existing cluster must not found one by mistake.
func Founded(path string) bool { return exists(filepath.Join(path, identityName)) }

// Claim is what a user said of the cluster that a data directory belongs to; zero
// where nothing was said.
type Claim struct {
	ClusterID uint64
	Token     string
	Shards    int
}

// Open makes the directory if need be, takes its lock, and reads its
// identity; a fresh directory gets want. One that contradicts the claim is
// refused.
func Open(path string, want Identity, claim Claim) (*Dir, error) {
	if err := makeDir(path); err != nil {
		return nil, err
	}
	if err := refuseForeign(path); err != nil { // before a lock file is left there
		return nil, err
	}
	lock, err := lockDir(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, lock: lock}
	if err := d.load(want, claim); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// load reads or founds the identity, with the lock held.
func (d *Dir) load(want Identity, claim Claim) error {
	stored, err := Read(d.path)
	switch {
	case err == nil:
		return d.adopt(stored, want.Name, claim)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// Another copse may have come and gone since the first look.
	if err := refuseForeign(d.path); err != nil {
		return err
	}
	d.Created = true
	return d.record(want)
}

// adopt makes the stored identity this one's. What founded the cluster can't be
// changed by asking for something else; a name may change.
func (d *Dir) adopt(stored Identity, name string, claim Claim) error {
	d.Identity = stored
	var list []string
	complain := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if claim.Token != "" && claim.Token != stored.Token {
		complain("--initial-cluster-token is %q, the cluster of %s was founded with %q", claim.Token, d.path, stored.Token)
	}
	if claim.Shards != 0 && claim.Shards != stored.Shards {
		complain("--shards is %d, the cluster of %s was founded with %d, and that can't change", claim.Shards, d.path, stored.Shards)
	}
	if claim.ClusterID != 0 && claim.ClusterID != stored.ClusterID {
		complain("--initial-cluster founds the cluster %x, %s belongs to %x: leave it out, say --initial-cluster-state=existing, or give another --data-dir", claim.ClusterID, d.path, stored.ClusterID)
	}
	if len(list) > 0 {
		return failuref(ErrContradicted, "%s", strings.Join(list, "\n"))
	}
	return d.Amend(func(id *Identity) { id.Name = name })
}

// Amend changes the identity durably.
func (d *Dir) Amend(change func(*Identity)) error {
	id := d.Identity
	change(&id)
	if id == d.Identity {
		return nil
	}
	return d.record(id)
}

// record stores id durably, and makes it this directory's.
func (d *Dir) record(id Identity) error {
	if err := id.check(); err != nil {
		return fmt.Errorf("identity for data directory %s: %w", d.path, err)
	}
	if err := writeIdentity(d.path, id); err != nil {
		return failuref(ErrUnwritable, "data directory %s can't be written: %v; free space or repair it, then start again", d.path, err)
	}
	d.Identity = id
	return nil
}

// Path is the directory itself.
func (d *Dir) Path() string { return d.path }

// RaftDir is where the raft engine keeps its log.
func (d *Dir) RaftDir() string { return filepath.Join(d.path, raftName) }

// ShardDir is where the state machine of a shard keeps its store.
func (d *Dir) ShardDir(shard uint64) string {
	return filepath.Join(d.path, fmt.Sprintf("shard-%04d", shard))
}

// Close lets go of the lock. It may be called more than once.
func (d *Dir) Close() error {
	lock := d.lock
	if lock == nil {
		return nil
	}
	d.lock = nil
	// The file stays: whoever removed it could pull it from under a copse that
	// has opened it already, and then two would hold "the" lock.
	return errors.Join(lock.Truncate(0), lock.Close())
}

// makeDir makes the directory, or makes sure that it is one.
func makeDir(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil, errors.Is(err, syscall.ENOTDIR):
		return failuref(ErrNotDirectory, "data directory %s is not a directory: give another --data-dir", path)
	case !errors.Is(err, fs.ErrNotExist):
		return unwritable(path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return unwritable(path, err)
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return unwritable(path, err)
	}
	return nil
}

func unwritable(path string, err error) error {
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return failuref(ErrUnwritable, "data directory %s can't be written (%v): give this user the right to it, or another --data-dir", path, err)
}

// refuseForeign refuses a directory without an identity that has content.
func refuseForeign(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return unwritable(path, err)
	}
	var names []string
	for _, e := range entries {
		switch e.Name() {
		case identityName:
			return nil
		case "member", "proxy":
			return failuref(ErrForeign, "data directory %s is etcd's and can't be opened: give another --data-dir and load the keys over HTTP", path)
		case lockName, identityName + tempSuffix, "lost+found":
		default:
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil
	}
	if slices.Contains(names, raftName) {
		return failuref(ErrCorrupt, "data directory %s has lost its %s: put it back from a backup, or give another --data-dir", path, identityName)
	}
	return failuref(ErrForeign, "data directory %s holds files that are not copse's (%q first): give an empty one as --data-dir", path, names[0])
}

// lockDir takes the lock that keeps a second copse out. The kernel drops it when
// the process ends, in whatever way.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, unwritable(path, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder := ""
		if pid := lockHolder(f); pid != 0 {
			holder = fmt.Sprintf(" (process %d)", pid)
		}
		err = failuref(ErrLocked, "data directory %s is in use by another copse%s: stop that one, or give another --data-dir", path, holder)
		return nil, errors.Join(err, f.Close())
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, unwritable(path, err)
	}
	return f, nil
}

// lockHolder reads the process id that the holder wrote, or 0.
func lockHolder(f *os.File) int {
	var buf [24]byte
	n, _ := f.ReadAt(buf[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil || pid < 1 {
		return 0
	}
	return pid
}
