package etcddir

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"copse/statemachine/tree"
)

// Source is where a member's files are.
type Source struct {
	Name string // for messages
	Dir  fs.FS  // the data directory
	WAL  fs.FS  // the directory with the log, if it isn't in Dir
}

// Options say what to read of a source.
type Options struct {
	CommittedOnly bool  // leave out what isn't known to be committed
	TakeSound     bool  // read up to the first damage, instead of refusing
	Now           int64 // Unix nanoseconds: expirations are compared with it
}

// ErrNoData is the error for a directory that isn't one of etcd's.
var ErrNoData = errors.New("not the data directory of an etcd member, which has member/wal and member/snap")

// ErrOld is the error for a log with a POST of etcd before 2.2, which named its node
// without zeros in front.
var ErrOld = errors.New("the log has a POST of etcd before 2.2, which named nodes without zeros in front: upgrade to etcd 2.3 first")

// ErrClusters is the error for directories of different clusters.
var ErrClusters = errors.New("the directories aren't of one cluster")

// tries is how often a log is read whose end doesn't make sense: a member that runs may be
// writing there.
const tries = 3

// Read reads the source whose log goes furthest, as an election would choose. All of them
// must be of one cluster. An error that is a *Damage says where a file is damaged.
func Read(sources []Source, o Options) (*Result, error) {
	var best *reading
	var others Losses // of those that aren't the best
	whole := map[uint64]bool{}
	for _, s := range sources {
		r, err := begin(s, o)
		if err != nil {
			best.close()
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		if best != nil && best.log.owner.cluster != r.log.owner.cluster {
			err := fmt.Errorf("%w: %s is of %x, %s of %x", ErrClusters, best.source.Name, best.log.owner.cluster, s.Name, r.log.owner.cluster)
			best.close()
			r.close()
			return nil, err
		}
		if len(r.losses.Damages) == 0 {
			whole[r.log.owner.node] = true
		}
		if best != nil && !r.further(best) {
			best, r = r, best
		}
		best.close()
		others.add(best)
		best = r
	}
	if best == nil {
		return nil, ErrNoData
	}
	defer best.close()
	result, err := best.finish(o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", best.source.Name, err)
	}
	l := &result.Losses
	if l.Passed = append(l.Passed, others.Passed...); len(whole) > len(result.Cluster.Members)/2 {
		l.Passed = append(l.Passed, others.Damages...) // a majority has what was acknowledged
	} else {
		l.Damages = append(l.Damages, others.Damages...)
	}
	whole[best.log.owner.node] = true
	result.Sources = len(whole)
	return result, nil
}

// reading is a source that is being read: its log is checked.
type reading struct {
	source   Source
	log      *log
	snapshot *snapshot // nil: none
	tail     tail
	losses   Losses
}

func (r *reading) close() {
	if r == nil {
		return
	}
	closeAll(r.log.files)
	if r.snapshot != nil {
		_ = r.snapshot.Close() // opened to read
	}
}

// further reports whether r would win an election against other, or is alike and whole.
func (r *reading) further(other *reading) bool {
	return cmp.Or(cmp.Compare(r.tail.last.term, other.tail.last.term), cmp.Compare(r.tail.last.index, other.tail.last.index), cmp.Compare(len(other.losses.Damages), len(r.losses.Damages))) > 0
}

// begin reads and checks the log, and finds the snapshot.
func begin(s Source, o Options) (r *reading, err error) {
	snapDir, walDir := "member/snap", "member/wal"
	if s.WAL != nil {
		walDir = "."
	} else {
		s.WAL = s.Dir
	}
	if info, err := fs.Stat(s.WAL, walDir); err != nil || !info.IsDir() {
		return nil, why(s.Dir)
	}
	for range tries {
		r, err = s.scan(walDir, snapDir, o)
		if _, damaged := errors.AsType[*Damage](err); !damaged {
			break
		}
	}
	return r, err
}

// scan reads the log and finds the snapshot. The snapshots' names come first: the log
// knows all that were there before it.
func (s Source) scan(walDir, snapDir string, o Options) (*reading, error) {
	names, err := numbered(s.Dir, snapDir, ".snap")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files, err := openLog(s.WAL, walDir)
	if err != nil {
		return nil, err
	}
	r := &reading{source: s, log: &log{files: files}}
	if err := r.load(snapDir, names, o); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *reading) load(snapDir string, names []numberedName, o Options) error {
	files := r.log.files
	if len(files) == 0 {
		return why(r.source.Dir)
	}
	l, damage, err := scan(files, o.TakeSound)
	r.log = l
	if err != nil {
		return err
	}
	if damage != nil {
		r.losses.Damages = append(r.losses.Damages, damage)
	}
	r.losses.Torn, r.losses.Filled = l.cut, l.filled
	var passed []passedOver
	if r.snapshot, passed, err = openSnapshot(r.source.Dir, snapDir, l, names, o.TakeSound); err != nil {
		return err
	}
	var base mark
	if r.snapshot != nil {
		base = r.snapshot.at
	}
	if r.tail, err = l.after(base); err != nil {
		return err
	}
	for _, p := range passed {
		if holds(r.tail.places, p.at) {
			r.losses.Passed = append(r.losses.Passed, p.damage)
		} else {
			r.losses.Damages = append(r.losses.Damages, p.damage)
		}
	}
	if l.committed > r.tail.last.index && damage == nil {
		last := files[len(files)-1]
		return last.damaged(last.size, fmt.Sprintf("the log ends at entry %d, though %d is committed", r.tail.last.index, l.committed))
	}
	return nil
}

// finish reads the snapshot and applies what follows it.
func (r *reading) finish(o Options) (*Result, error) {
	p := replay{store: newStore(), now: o.Now, window: window{start: 1}}
	if r.snapshot == nil {
		for _, dir := range []string{clusterSpace, keySpace} {
			p.store.Put(&tree.Node{Key: dir, Dir: true}, nil)
		}
	} else if err := r.restore(&p); err != nil {
		return nil, err
	}
	version := r.tail.floor
	if n, ok := p.store.Get(versionKey); ok && version == "" {
		version = string(n.Value)
	}
	p.refuseDirs, p.unpadded = atLeast(version, 3, 5), !atLeast(version, 2, 2)
	for _, at := range r.tail.places {
		if at.index > r.log.committed {
			p.counted.Uncommitted++
			if o.CommittedOnly {
				p.counted.Entries++
				r.losses.Uncommitted++
				continue
			}
		}
		b, err := at.file.read(at.offset, at.size)
		if err != nil {
			return nil, err
		}
		e, err := parseEntry(b)
		if err == nil {
			err = p.entry(&e)
		}
		if errors.Is(err, ErrOld) {
			return nil, err
		}
		if err != nil {
			return nil, at.file.damaged(at.offset, fmt.Sprintf("entry %d is %v", at.index, err))
		}
	}
	return r.result(&p, version), nil
}

func (r *reading) restore(p *replay) error {
	s, err := readStore(r.snapshot.store(), p.store)
	if err != nil {
		return r.snapshot.damaged(r.snapshot.json, err.Error())
	}
	p.last, p.window.start = tree.Index(s.index), tree.Index(s.start)
	slices.SortFunc(s.events, func(a, b tree.Event) int { return cmp.Compare(a.Index(), b.Index()) })
	for _, e := range s.events {
		p.window.add(e)
	}
	return nil
}

func (r *reading) result(p *replay, version string) *Result {
	access, left := p.store.access()
	r.losses.Left = append(r.losses.Left, left...)
	result := &Result{
		Source: r.source.Name, Index: p.last, Term: max(r.log.term, r.tail.last.term), Raft: r.tail.last.index,
		Cluster: Cluster{ID: r.log.owner.cluster, Version: version, Members: p.members()}, Access: access, Window: Window{Start: p.window.start, Events: p.window.events},
		Counts: p.counted, Losses: r.losses, store: p.store,
	}
	for n := range result.Nodes() {
		result.Counts.Nodes++
		if tree.HiddenBelow("/", n.Key) {
			result.Counts.Hidden++
		}
		if n.Expires != 0 {
			result.Counts.Expires++
			if n.Expires <= p.now {
				result.Counts.Expired++
			}
		}
	}
	return result
}

// why says what a directory is that has no log of etcd's.
func why(dir fs.FS) error {
	for _, known := range [][2]string{
		{"proxy", "it is the directory of an etcd proxy, which has no data: give that of a member"},
		{"snapshot", "it was written by etcd 0.4: start etcd 2.3 on a copy of it first, which converts it"},
		{"wal", "it is the folder \"member\" of a data directory: give the one above it"},
	} {
		if info, err := fs.Stat(dir, known[0]); err == nil && info.IsDir() {
			return fmt.Errorf("%w: %s", ErrNoData, known[1])
		}
	}
	return ErrNoData
}
