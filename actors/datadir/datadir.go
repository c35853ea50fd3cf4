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

// What can be wrong with a data directory. The error that Open returns says in one
// line what to do about it; errors.Is tells the kinds apart.
var (
	ErrLocked       = errors.New("data directory in use")
	ErrUnwritable   = errors.New("data directory not writable")
	ErrForbidden    = fmt.Errorf("%w by this user", ErrUnwritable)
	ErrNotDirectory = errors.New("data directory is not a directory")
	ErrNewer        = errors.New("data directory of a newer format")
	ErrCorrupt      = errors.New("data directory corrupt")
	ErrForeign      = errors.New("data directory of something else")
	ErrContradicted = errors.New("data directory of another cluster")
	ErrFounded      = errors.New("data directory of a cluster already")
	ErrTaken        = errors.New("data directory not empty")
)

// dirError is one line for the operator, of one of the kinds above.
type dirError struct {
	kind error
	line string
}

func (e *dirError) Error() string { return e.line }
func (e *dirError) Unwrap() error { return e.kind }

func dirErrorf(kind error, format string, args ...any) error {
	return &dirError{kind: kind, line: fmt.Sprintf(format, args...)}
}

const (
	lockName     = "LOCK"
	identityName = "copse.json"
	raftName     = "raft"
	// Certificates of auto-tls and peer-auto-tls: a member may need one to ask others which
	// cluster it belongs to.
	ownCertificates = "fixtures"
)

// Dir is a data directory that belongs to this process until Close.
//
//	<dir>/LOCK          locked with flock; contains the holder's process id
//	<dir>/copse.json    the Identity, replaced atomically
//	<dir>/raft/         dragonboat's: raft/<host name>/<deployment id>/...
//	<dir>/fixtures/     certificates that config/certs has made
//	<dir>/shard-0001/   the state machine's store, one for each shard
type Dir struct {
	// Identity is the one stored in the directory. From the second start on it
	// overrides what Open was asked for.
	Identity Identity
	// Created: the directory had no identity before.
	Created bool
	// Warnings say what was found and repaired, in one line each.
	Warnings []string

	path string
	lock *os.File // nil after Close
}

// Founded reports whether the directory belongs to a cluster already.
func Founded(path string) bool { return exists(filepath.Join(path, identityName)) }

// Claim is what the settings say explicitly about the cluster that a data directory
// belongs to. A zero field is one they don't mention.
type Claim struct {
	ClusterID uint64
	Token     string
	Shards    int
}

// Open creates the directory if there is none, takes its lock, and reads its
// identity; an empty directory gets the identity want. A directory whose identity
// contradicts the claim is refused.
func Open(path string, want Identity, claim Claim) (*Dir, error) {
	if err := makeDir(path); err != nil {
		return nil, err
	}
	if err := refuseForeign(path); err != nil { // before creating a lock file in it
		return nil, err
	}
	lock, err := Lock(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, lock: lock}
	if err := d.load(want, claim); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// load reads the identity, or stores want as the first. The lock is held.
func (d *Dir) load(want Identity, claim Claim) error {
	stored, err := Read(d.path)
	switch {
	case err == nil:
		if err := d.finished(); err != nil { // of what was restored
			return unwritable(d.path, err)
		}
		return d.adopt(stored, want.Name, claim)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// Another copse may have started and ended since the first check.
	if err := refuseForeign(d.path); err != nil {
		return err
	}
	d.Created = true
	if name, own := strings.CutSuffix(d.path, ".copse"); own && exists(filepath.Join(name+".etcd", "member")) {
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s.etcd is an etcd's data, and isn't read: this server begins with an empty %s", name, d.path))
	}
	return d.record(want)
}

// adopt takes over the stored identity. The settings the cluster was founded with
// can't be changed by asking for others; only the name may change.
func (d *Dir) adopt(stored Identity, name string, claim Claim) error {
	d.Identity = stored
	var list []string
	complain := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if claim.Token != "" && claim.Token != stored.Token {
		complain("--initial-cluster-token is %q, but the cluster of %s was founded with %q", claim.Token, d.path, stored.Token)
	}
	if claim.Shards != 0 && claim.Shards != stored.Shards {
		complain("--shards is %d, but the cluster of %s was founded with %d, which can't change", claim.Shards, d.path, stored.Shards)
	}
	if claim.ClusterID != 0 && claim.ClusterID != stored.ClusterID && !stored.Restored {
		complain("--initial-cluster founds the cluster %x, but %s belongs to %x: leave it out, use --initial-cluster-state=existing, or choose another --data-dir", claim.ClusterID, d.path, stored.ClusterID)
	}
	if len(list) > 0 {
		return dirErrorf(ErrContradicted, "%s", strings.Join(list, "\n"))
	}
	return d.Amend(func(id *Identity) { id.Name = name })
}

// Amend changes the stored identity durably.
func (d *Dir) Amend(change func(*Identity)) error {
	id := d.Identity
	change(&id)
	if id == d.Identity {
		return nil
	}
	return d.record(id)
}

// record stores id durably as the directory's identity.
func (d *Dir) record(id Identity) error {
	if err := id.check(); err != nil {
		return fmt.Errorf("identity for data directory %s: %w", d.path, err)
	}
	if err := writeIdentity(d.path, id); err != nil {
		return dirErrorf(ErrUnwritable, "data directory %s can't be written: %v; free some space or repair the disk, then start again", d.path, err)
	}
	d.Identity = id
	return nil
}

// Path is the path of the directory.
func (d *Dir) Path() string { return d.path }

// RaftDir is where dragonboat keeps the raft log.
func (d *Dir) RaftDir() string { return filepath.Join(d.path, raftName) }

// DropRaftLog removes the raft log durably.
func (d *Dir) DropRaftLog() error {
	err := os.RemoveAll(d.RaftDir())
	if err == nil {
		err = syncDir(d.path)
	}
	if err != nil {
		return fmt.Errorf("remove the raft log: %w", err)
	}
	return nil
}

// ShardDir is where the state machine of a shard keeps its store.
func (d *Dir) ShardDir(shard uint64) string {
	return filepath.Join(d.path, fmt.Sprintf(shardPrefix+"%04d", shard))
}

// Close releases the lock. It may be called more than once.
func (d *Dir) Close() error {
	lock := d.lock
	if lock == nil {
		return nil
	}
	d.lock = nil
	// The file stays. If it were removed, another copse might have opened it just
	// before, and a third could then create and lock a new one.
	return errors.Join(lock.Truncate(0), lock.Close())
}

// makeDir creates the directory, or makes sure that path is one.
func makeDir(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil, errors.Is(err, syscall.ENOTDIR):
		return dirErrorf(ErrNotDirectory, "data directory %s is not a directory: choose another --data-dir", path)
	case !errors.Is(err, fs.ErrNotExist):
		return unwritable(path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return unwritable(path, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return unwritable(path, err)
	}
	return nil
}

func unwritable(path string, err error) error {
	kind := ErrUnwritable
	if errors.Is(err, fs.ErrPermission) { // unlike a full disk, or a file system that is read-only for now
		kind = ErrForbidden
	}
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	remedy := "give this user write permission"
	if errors.Is(err, syscall.EROFS) {
		remedy = "mount it for writing"
	}
	return dirErrorf(kind, "data directory %s can't be written (%v): %s, or choose another --data-dir", path, err, remedy)
}

// refuseForeign refuses a directory that has content but no identity.
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
			return dirErrorf(ErrForeign, "data directory %s belongs to etcd: stop etcd, take over its data by copse import %s --data-dir %s.copse with the other settings as they are, and start copse with that --data-dir", path, path, strings.TrimSuffix(path, ".etcd"))
		case lockName, identityName + tempSuffix, unfinishedName + tempSuffix, ownCertificates, "lost+found":
		default:
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil
	}
	if slices.Contains(names, unfinishedName) {
		return dirErrorf(ErrForeign, "data directory %s is from a copse restore that was interrupted: run it again, or empty the directory", path)
	}
	if slices.Contains(names, raftName) {
		return dirErrorf(ErrCorrupt, "data directory %s has lost its %s: restore it from a backup, or choose another --data-dir", path, identityName)
	}
	return dirErrorf(ErrForeign, "data directory %s contains files that don't belong to copse (such as %q): choose an empty one as --data-dir", path, names[0])
}

// Lock takes the lock that keeps a second copse out. The kernel releases it when
// the process ends, however that happens.
func Lock(path string) (*os.File, error) {
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
		err = dirErrorf(ErrLocked, "data directory %s is in use by another copse%s: stop that one, or choose another --data-dir", path, holder)
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

// lockHolder returns the process id that the holder of the lock wrote, or 0.
func lockHolder(f *os.File) int {
	var buf [24]byte
	n, _ := f.ReadAt(buf[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil || pid < 1 {
		return 0
	}
	return pid
}
