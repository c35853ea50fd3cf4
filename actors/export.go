package actors

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"copse/actors/datadir"
	"copse/actors/raft"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// ErrIncomplete is the error of an export that lacks what only the raft log has.
var ErrIncomplete = errors.New("the file lacks what only the raft log has")

// incomplete says how much a store lacks, and how to get it. Applying the log here would be
// wrong: what isn't known to be committed may yet be replaced by the others.
func incomplete(shard int, has, last uint64) error {
	return fmt.Errorf("%w: shard %d has applied its entries up to %d of %d. Start the server, stop it by SIGTERM, and export again; or take copse backup while it runs. If its cluster is lost for good, start it with --force-new-cluster, which applies the whole log", ErrIncomplete, shard, has, last)
}

// Exported is the tree of a stopped member's store, as a file in parts.
type Exported struct {
	tree.Rest
	// Incomplete is nil if the store has all that the log has.
	Incomplete error

	machines []*statemachine.Machine
	dir      *datadir.Dir
}

// Export opens the data directory of a stopped member. It changes nothing of the cluster's
// state. The caller closes what it returns.
func Export(path string) (*Exported, error) {
	id, err := datadir.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a data directory of copse", path)
	}
	if err != nil {
		return nil, err
	}
	e := &Exported{}
	if e.dir, err = datadir.Open(path, id, datadir.Claim{}); err != nil {
		return nil, err
	}
	if err = e.open(); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *Exported) open() error {
	id := e.dir.Identity
	host, err := os.Hostname()
	if err == nil {
		err = e.dir.LiftHostPin(host)
	}
	if err != nil {
		return err
	}
	o := (&Starter{o: StartOptions{Log: slog.New(slog.DiscardHandler)}, dir: e.dir}).memberOptions()
	o.Window, o.WindowBytes, o.CacheSize = 1, 1, restoreCache
	o.Host.LogExpected = id.Logged
	if o.Host.Heartbeat, o.Host.Election, o.Host.RequestTimeout, o.Host.SnapshotCount = 100*time.Millisecond, time.Second, time.Second, 1000; id.Forcing {
		return fmt.Errorf("%s is in the middle of --force-new-cluster: start the server first", e.dir.Path())
	}
	last, term := make([]uint64, Groups(id.Shards)), uint64(0)
	if id.Logged {
		if last, term, err = raft.LogEnds(o.Host); err != nil {
			return err
		}
	}
	for i := range last {
		m, err := statemachine.New(machineOptions(o, nil, uint64(i)+orderShard))
		if err != nil {
			return err
		}
		e.machines = append(e.machines, m)
		if has := m.RaftIndex(); has < last[i] {
			e.Incomplete = errors.Join(e.Incomplete, incomplete(i+orderShard, has, last[i]))
		}
	}
	first := e.machines[0]
	b := statemachine.BackupOptions{ClusterID: id.ClusterID, Term: first.Membership().TermBase + term, Time: time.Now()}
	data := e.machines
	if len(data) > 1 {
		data = data[1:]
		b.Counter, b.Closed = first.Index, func(tree.Index) error { return nil }
	}
	e.Rest, err = statemachine.NewBackup(first, data, b)
	return err
}

// Close closes everything.
func (e *Exported) Close() {
	e.Rest.Close()
	_ = e.close() // nothing was written
}

func (e *Exported) close() (err error) {
	for _, m := range e.machines {
		err = errors.Join(err, m.Close())
	}
	return errors.Join(err, e.dir.Close())
}
