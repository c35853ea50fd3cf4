package actors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"copse/actors/datadir"
	"copse/actors/raft"
	"copse/actors/raftlog"
)

// InspectLog prints what the raft log of a data directory holds, which no copse may be
// using. An error says in one line what is wrong; one that is raft.ErrDamaged says how to
// go on.
func InspectLog(path string, w io.Writer) error {
	return withLog(path, func(dir string) error {
		err := raftlog.Inspect(dir, w)
		var damaged *raftlog.Damage
		if err == nil {
			_, err = fmt.Fprintln(w, "the raft log is sound")
		}
		if !errors.As(err, &damaged) {
			return err
		}
		if damaged.Position == (raftlog.Position{}) {
			return raft.Damaged("%v. Restore the data directory from a backup, or replace the member", damaged)
		}
		return raft.Damaged("%v. What is above is sound. To go on with that and lose what came after it, acknowledged writes among it: copse raftlog cut %v", damaged, damaged.Position)
	})
}

// CutLog drops what comes after the damage of such a log. position is what InspectLog
// says.
func CutLog(path, position string, w io.Writer) error {
	at, err := raftlog.ParsePosition(position)
	if err != nil {
		return err
	}
	err = withLog(path, func(dir string) error { return raftlog.Cut(dir, at) })
	if err == nil {
		_, err = fmt.Fprintln(w, "the raft log is sound")
	}
	return err
}

// withLog calls f with the directory of the log, while no copse has the data directory.
func withLog(path string, f func(dir string) error) error {
	id, err := datadir.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not a data directory of copse", path)
	}
	if err != nil {
		return err
	}
	lock, err := datadir.Lock(path)
	if err != nil {
		return err
	}
	defer lock.Close()
	for _, host := range []string{id.Host, id.MovingTo} {
		if found, _ := filepath.Glob(filepath.Join(path, "raft", host, "*", raftlog.Subdirectory)); host != "" && len(found) > 0 {
			return f(found[len(found)-1])
		}
	}
	return raft.Damaged("data directory %s has no raft log", path)
}
