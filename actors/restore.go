package actors

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"time"

	"copse/actors/cluster"
	"copse/actors/datadir"
	"copse/statemachine"
	"copse/statemachine/portable"
	"copse/statemachine/tree"
)

// RestoreOptions say what becomes of a file.
type RestoreOptions struct {
	Dir, HostName string
	Cluster       ClusterOptions
	Bump          tree.Index // added to the index
	// Resume: the cluster goes on where the file ends, with the file's events, so that watchers
	// notice nothing. Nothing may have happened since: Bump is left out. A file without events has none to keep.
	Resume       bool
	NewClusterID bool // the cluster lives beside the one that the file is from
	// Extend is added to all expirations; negative: the time since the file was made.
	Extend time.Duration
}

// Restored is what has come of a file.
type Restored struct {
	portable.Header                    // of the file
	Lines                       uint64 // of the file
	Cluster, Member, Generation uint64
	Index                       tree.Index
	Term                        uint64
	Shards                      int
	Expired                     int // nodes that are overdue, and go when the cluster serves
}

// ErrNotFounder is the cause if a cluster would be founded by others than the member that founds it.
var ErrNotFounder = errors.New("--initial-cluster does not have this member's --initial-advertise-peer-urls")

func checkFounder(founders []tree.Member, id uint64) error {
	if slices.ContainsFunc(founders, func(m tree.Member) bool { return m.ID == id }) {
		return nil
	}
	return ErrNotFounder
}

// restoreCache is the size of the cache of blocks, which filling a store hardly needs.
const restoreCache = 8 << 20

// Restore makes an empty data directory the first state of a new generation of the cluster
// that the file is from, founded by the members that o names: each of them restores the same
// file. If it fails, or is interrupted, the directory is as good as empty.
func Restore(file io.Reader, o RestoreOptions) (done Restored, err error) {
	r, err := portable.NewReader(file)
	if err != nil {
		return done, err
	}
	id, members, err := o.identity(r.Header())
	if err != nil {
		return done, err
	}
	dir, err := datadir.Begin(o.Dir, id)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	done = Restored{Header: r.Header(), Cluster: id.ClusterID, Member: id.MemberID, Generation: id.Generation, Shards: id.Shards}
	if err = o.fill(dir, r, members, &done); err == nil {
		err = dir.Complete()
	}
	if err != nil {
		return done, errors.Join(err, dir.Abandon())
	}
	return done, nil
}

// Founded reports whether the directory is a member's already.
func Founded(dir string) bool { return datadir.Founded(dir) }

// identity is that of this member, and who founds the cluster with it. They are the same
// on every member that is given the same file and the same founders.
func (o *RestoreOptions) identity(h portable.Header) (datadir.Identity, []tree.Member, error) {
	start := StartOptions{HostName: o.HostName, Cluster: o.Cluster}
	f := start.fresh()
	id := f.Wanted
	if err := checkFounder(f.Founders, id.MemberID); err != nil {
		return id, nil, err
	}
	if !o.Cluster.ShardsGiven {
		id.Shards = h.Shards
	}
	id.ExecShards = execShards(id.Shards, runtime.GOMAXPROCS(0))
	id.Generation, id.Restored = o.generation(h, id), true
	if o.NewClusterID {
		id.ClusterID = cluster.NewClusterID(id.ClusterID, id.Generation)
	} else {
		id.ClusterID = h.ClusterID
	}
	return id, f.Founders, nil
}

// generation is later than whatever has been counted, and different for different files and
// options: members that restored another file, or another tree of it, or nothing, can't take part. Nor
// can those of an earlier restore of the same file under another token.
func (o *RestoreOptions) generation(h portable.Header, id datadir.Identity) uint64 {
	const low = 1<<20 - 1 // a millisecond
	sum := fnv.New64a()
	fmt.Fprintf(sum, "%d %d %t %d %s", o.Bump, o.Extend, o.Resume, id.Shards, id.Token)
	return max(1, uint64(h.Time.UnixNano())&^low|sum.Sum64()&low)
}

func (o *RestoreOptions) fill(dir *datadir.Dir, r *portable.Reader, members []tree.Member, done *Restored) (err error) {
	options := MemberOptions{Dir: dir, StoreOptions: StoreOptions{Window: 1, WindowBytes: 1, CacheSize: restoreCache}, Logger: slog.New(slog.DiscardHandler)}
	var machines []*statemachine.Machine
	defer func() {
		for _, m := range machines {
			err = errors.Join(err, m.Close())
		}
	}()
	for i := range Groups(dir.Identity.Shards) {
		m, err := statemachine.New(machineOptions(options, nil, uint64(i)+orderShard))
		if err != nil {
			return err
		}
		machines = append(machines, m)
	}
	h, now := r.Header(), time.Now()
	extend := o.Extend
	if extend < 0 {
		extend = max(0, now.Sub(h.Time))
	}
	err = statemachine.Fill(machines, r, func(n *tree.Node) {
		if n.Expires == 0 {
			return
		}
		n.Expires += min(int64(extend), math.MaxInt64-n.Expires) // a file's are positive
		if n.Expires <= now.UnixNano() {
			done.Expired++
		}
	})
	done.Lines = r.Line()
	if err != nil {
		return err
	}
	renewal := cluster.Renewal{Members: members, Shards: dir.Identity.Shards, Term: h.Term, Index: h.Index, Bump: o.Bump}
	if o.Resume && h.Window != 0 {
		renewal.Bump, renewal.KeepWindow = 0, true
	}
	if err := cluster.Renew(machines, renewal); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	done.Index, done.Term = machines[0].Index(), machines[0].Membership().TermBase
	return nil
}
