package actors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"copse/actors/raftlog"
)

// InspectLog prints what the raft log of a data directory holds that no copse is using. An
// error says in one line what is wrong; one that is ErrRaftDamaged tells how to go on.
func InspectLog(path string, w io.Writer) error {
	return withLog(path, func(dir string) error {
		err := raftlog.Inspect(dir, w)
		var damaged *raftlog.Damage
		if !errors.As(err, &damaged) {
			return err
		}
		if damaged.Position == (raftlog.Position{}) {
			return dirErrorf(ErrRaftDamaged, "%v. Restore the data directory from a backup, or replace the member", damaged)
		}
		return dirErrorf(ErrRaftDamaged, "%v. What is above is sound. To go on with that and lose what came after it, acknowledged writes among it: copse raftlog cut %v", damaged, damaged.Position)
	})
}

// CutLog drops what lies behind the damage of such a log. position is what InspectLog says.
func CutLog(path, position string) error {
	at, err := raftlog.ParsePosition(position)
	if err != nil {
		return err
	}
	return withLog(path, func(dir string) error { return raftlog.Cut(dir, at) })
}

// withLog calls f with the directory of the log, while no copse has the data directory.
func withLog(path string, f func(dir string) error) error {
	id, err := readIdentity(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is no data directory of copse's", path)
	}
	if err != nil {
		return err
	}
	lock, err := lockDir(path)
	if err != nil {
		return err
	}
	defer lock.Close()
	for _, host := range []string{id.Host, id.MovingTo} {
		if found, _ := filepath.Glob(filepath.Join(path, raftName, host, "*", raftlog.Subdirectory)); host != "" && len(found) > 0 {
			return f(found[len(found)-1])
		}
	}
	return dirErrorf(ErrRaftDamaged, "data directory %s has no raft log", path)
}
