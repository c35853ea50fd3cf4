package etcddir

import (
	"iter"
	"path"
	"slices"

	"copse/statemachine/tree"
)

// Result is what a member had.
type Result struct {
	Source  string // that it was read from
	Sources int    // members whose directories are whole, and this one
	Index   tree.Index
	Term    uint64
	Raft    uint64 // raft's index
	Cluster Cluster
	Access  Access
	Window  Window
	Counts  Counts
	Losses  Losses

	store *store
}

// Cluster is the cluster that the member belonged to.
type Cluster struct {
	ID      uint64
	Version string // empty before 2.1
	Members []tree.Member
}

// Window has the latest events, by index. From Start on all are there.
type Window struct {
	Start  tree.Index
	Events []tree.Event
}

// Losses says what a Result lacks.
type Losses struct {
	Torn    *Damage   // the last frame, which was being written; nobody was told of it
	Filled  bool      // the log ends where its last file does: nothing would tell if it was cut there, between two frames
	Damages []*Damage // passed over with TakeSound: what comes after them
	Passed  []*Damage // passed over with TakeSound: all of it is elsewhere
	Left    []string  // what can't be taken over

	Uncommitted int // entries, left out with CommittedOnly
}

// Whole reports whether nothing that anybody was told of is missing.
func (l *Losses) Whole() bool { return !l.Writes() && len(l.Left) == 0 }

// Writes reports whether writes are missing, so that the source was ahead of the Result.
func (l *Losses) Writes() bool { return len(l.Damages) > 0 || l.Uncommitted > 0 }

// add adds what was passed over in a source, with the source's name.
func (l *Losses) add(r *reading) {
	if r == nil {
		return
	}
	for _, d := range slices.Concat(r.losses.Damages, r.losses.Passed) {
		d.File = path.Join(r.source.Name, d.File)
	}
	l.Damages, l.Passed = append(l.Damages, r.losses.Damages...), append(l.Passed, r.losses.Passed...)
}

// Nodes yields the nodes of the key space depth first.
func (r *Result) Nodes() iter.Seq[tree.Node] {
	return func(yield func(tree.Node) bool) {
		for n := range r.store.below(keySpace) {
			node := *n
			node.Key = node.Key[len(keySpace):]
			if !yield(node) {
				return
			}
		}
	}
}
