package datadir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Identity says which cluster and member a data directory belongs to, and holds the
// settings that were fixed when it was created.
type Identity struct {
	ClusterID  uint64
	MemberID   uint64
	Name       string
	Token      string
	Shards     int    // data shards
	ExecShards uint64 // dragonboat's, fixed with its log
	// Generation counts how often the cluster was started anew from one member
	// (--force-new-cluster). Members of an earlier generation are refused.
	Generation uint64
	Marks
	// Host is the host name under which the raft log's directory is found. MovingTo
	// is set while that directory is being renamed; see LiftHostPin.
	Host     string
	MovingTo string
	Created  time.Time
}

// Marks record what has happened to the member.
type Marks struct {
	Joined   bool `json:"joined,omitempty"`   // it was added to a running cluster
	Learning bool `json:"learning,omitempty"` // it has no vote yet, since it may not have caught up
	Removed  bool `json:"removed,omitempty"`  // it was removed from its cluster, and must never serve again
	// Forcing: the change to a new generation has begun, and must be completed before
	// anything else.
	Forcing bool `json:"forcing,omitempty"`
	// Restored: the cluster's id came with a backup, or from the source of a mirror, and not from the founders' URLs.
	Restored bool `json:"restored,omitempty"`
	Logged   bool `json:"logged,omitempty"` // the raft log was created: a directory without one has lost it
	// Differs, if not empty, says how its data differs from that of most members. It
	// must neither vote nor serve again.
	Differs string `json:"differs,omitempty"`
}

// identityFormat is the version of the whole data directory's format. Up to 1 the raft
// log was dragonboat's own; no release wrote that.
const identityFormat = 2

// identityLimit is the largest copse.json that is read, in bytes.
const identityLimit = 64 << 10

// identityFile is copse.json. Ids are hexadecimal, as everywhere in v2. The checksum
// covers the same JSON without the checksum field: otherwise a flipped bit in an id
// would turn this member into another one, with an empty log.
type identityFile struct {
	Format     int    `json:"format"`
	ClusterID  string `json:"clusterId"`
	MemberID   string `json:"memberId"`
	Name       string `json:"name"`
	Token      string `json:"token"`
	Shards     int    `json:"shards"`
	ExecShards uint64 `json:"execShards"`
	Generation uint64 `json:"generation,omitempty"`
	Marks
	Host     string    `json:"host"`
	MovingTo string    `json:"movingTo,omitempty"`
	Created  time.Time `json:"created"`
	Checksum string    `json:"checksum,omitempty"`
}

func (f identityFile) sum() (string, error) {
	f.Checksum = ""
	b, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%08x", crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))), nil
}

func encodeIdentity(id Identity) ([]byte, error) {
	f := identityFile{
		Format:     identityFormat,
		ClusterID:  strconv.FormatUint(id.ClusterID, 16),
		MemberID:   strconv.FormatUint(id.MemberID, 16),
		Name:       id.Name,
		Token:      id.Token,
		Shards:     id.Shards,
		ExecShards: id.ExecShards,
		Generation: id.Generation,
		Marks:      id.Marks,
		Host:       id.Host,
		MovingTo:   id.MovingTo,
		Created:    id.Created.UTC(),
	}
	var err error
	if f.Checksum, err = f.sum(); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(f, "", "  ")
	return append(b, '\n'), err
}

// errOlderFormat is decodeIdentity's error for a format that no release has written.
var errOlderFormat = errors.New("older format")

// errNewerFormat is decodeIdentity's error for a later format, whose other fields it
// can't check.
var errNewerFormat = errors.New("newer format")

func decodeIdentity(b []byte) (Identity, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Identity{}, err
	}
	if head.Format > identityFormat {
		return Identity{}, fmt.Errorf("%w: %d", errNewerFormat, head.Format)
	}
	if head.Format == 1 {
		return Identity{}, fmt.Errorf("%w: %d", errOlderFormat, head.Format)
	}
	var f identityFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Identity{}, err
	}
	if sum, err := f.sum(); err != nil || sum != f.Checksum {
		return Identity{}, fmt.Errorf("checksum %q does not match", f.Checksum)
	}
	id := Identity{
		Name: f.Name, Token: f.Token, Shards: f.Shards, ExecShards: f.ExecShards,
		Generation: f.Generation, Marks: f.Marks,
		Host: f.Host, MovingTo: f.MovingTo, Created: f.Created,
	}
	var err error
	if id.ClusterID, err = strconv.ParseUint(f.ClusterID, 16, 64); err != nil {
		return Identity{}, err
	}
	if id.MemberID, err = strconv.ParseUint(f.MemberID, 16, 64); err != nil {
		return Identity{}, err
	}
	return id, id.check()
}

// check rejects an identity that no copse would have stored.
func (id Identity) check() error {
	switch {
	case id.ClusterID == 0 || id.MemberID == 0:
		return errors.New("an id is zero")
	case id.Shards < 1 || id.ExecShards < 1:
		return errors.New("there are no shards")
	case !isPathElement(id.Host) || id.MovingTo != "" && !isPathElement(id.MovingTo):
		return fmt.Errorf("%q is not a host name", id.Host+id.MovingTo)
	case !utf8.ValidString(strings.Join([]string{id.Name, id.Token, id.Host, id.MovingTo, id.Differs}, "|")):
		// JSON would replace the invalid bytes, and the checksum would not match.
		return errors.New("a text is not UTF-8")
	}
	return nil
}

// isPathElement reports whether s can be the name of a directory.
func isPathElement(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00")
}

// Read returns the identity of the data directory dir, without taking its lock. The
// error is fs.ErrNotExist if it has none.
func Read(dir string) (Identity, error) {
	path := filepath.Join(dir, identityName)
	info, err := os.Stat(path)
	if err == nil && info.Size() > identityLimit {
		err = fmt.Errorf("it has %d bytes, which is too many", info.Size())
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	var id Identity
	if err == nil {
		id, err = decodeIdentity(b)
	}
	switch {
	case err == nil:
		return id, nil
	case errors.Is(err, fs.ErrNotExist):
		return Identity{}, err
	case errors.Is(err, fs.ErrPermission):
		return Identity{}, unwritable(dir, err)
	case errors.Is(err, errNewerFormat):
		return Identity{}, dirErrorf(ErrNewer, "data directory %s was made by a newer copse (%v, this one reads up to %d): start that version", dir, err, identityFormat)
	case errors.Is(err, errOlderFormat):
		return Identity{}, dirErrorf(ErrForeign, "data directory %s was made by a copse from before the first release (%v, this one reads %d): start with an empty directory, or load its keys over HTTP from a copse of that time", dir, err, identityFormat)
	default:
		return Identity{}, dirErrorf(ErrCorrupt, "%s is corrupt (%v): restore it from a backup, or choose another --data-dir", path, err)
	}
}

func writeIdentity(dir string, id Identity) error {
	b, err := encodeIdentity(id)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, identityName), b)
}

const tempSuffix = ".tmp"

// replaceFile durably replaces the content of path: after a crash, path holds all of
// the old content or all of the new.
func replaceFile(path string, content []byte) error {
	temp := path + tempSuffix
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes changes to the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
