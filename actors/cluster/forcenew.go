package cluster

import (
	"errors"
	"fmt"
	"slices"

	"copse/actors/datadir"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// ErrNoData is the cause if there is nothing to force a new cluster from.
var ErrNoData = errors.New("there is no data here, and --force-new-cluster goes on with the data of a member: is --data-dir right?")

// Forced is what ForceNew works on.
type Forced struct {
	Dir     *datadir.Dir
	Members []tree.Member // those that the settings name
	URLs    []string      // this member's peer URLs, if the settings name them: it may have moved
	// Open opens the stores of all shards, from MembersShard on. If it fails, it
	// returns those that it has opened.
	Open func() ([]*statemachine.Machine, error)
	// Replay applies to each store what its raft log holds beyond it, committed or
	// not. A nil machine is left alone. It returns the highest term of all logs.
	Replay func(machines []*statemachine.Machine, learning bool) (term uint64, err error)
	// Bump is by how much the tree's index grows.
	Bump tree.Index

	again bool // a crash has interrupted it before
}

// Renewal says how a cluster goes on in a new generation: with what stores hold, and
// without any log.
type Renewal struct {
	Members []tree.Member // all that there are at first, with their peer URLs
	Shards  int           // data shards; stores that know the number keep their own
	// Term and Index are the highest that a client may have been shown, as far as is known.
	// What the stores themselves know needn't be named.
	Term  uint64
	Index tree.Index
	// Bump is what to add to the index, as clients may have been shown indexes, and events at
	// them, that nobody here knows of.
	Bump tree.Index
	// KeepWindow keeps the event window, where no client can have been shown anything newer.
	KeepWindow bool
}

// unseenTerms is how many elections there may have been that nobody here knows of: while
// this member was away, or since the copy or the backup was made that it starts from.
const unseenTerms = 1000

// Renew makes the stores, of all shards from MembersShard on, the first state of a new
// generation: its members are r's, X-Raft-Term goes on above r.Term, the tree's index above
// r.Index and all that the stores know, and the event window is empty, so that whoever
// watches from an index of the past is told to read anew (401) and never waits for what
// has happened, or is about to happen a second time. Tree, users and roles stay.
//
// The stores are open and nothing else uses them: either all of their logs was applied, or
// they are new and have been filled. The caller then sees to it that the directory has no
// raft log, and an Identity with a Generation above the former one; the next start does the
// rest (Joiner.Later). If a crash interrupts Renew, it is called again; then the index is
// bumped again. Where several members found the generation together, each calls it with the
// same r on stores of the same content.
func Renew(machines []*statemachine.Machine, r Renewal) error {
	for _, m := range machines {
		r.Index = max(r.Index, m.Index())
	}
	// The shard with the list comes last: renewed looks there.
	for _, m := range slices.Backward(machines) {
		err := m.Renew(statemachine.Renewal{Members: r.Members, Shards: r.Shards, TermBase: r.Term + unseenTerms, Index: r.Index + r.Bump, KeepWindow: r.KeepWindow})
		if err != nil {
			return err
		}
	}
	return nil
}

// ForceNew makes this member the only one of its cluster, with the data on its disk:
// the way out when a majority is lost for good. It begins a new generation of the
// cluster, whose members refuse all others, in whatever state those are. The
// directory is open and nothing else runs. If a crash interrupts it, the next start
// finds Identity.Forcing and completes it.
//
// Everything in this member's log is kept, whether this member knows it to be
// committed or not: acknowledged writes may be among it.
func ForceNew(f Forced) error {
	f.again = f.Dir.Identity.Forcing
	if err := f.Dir.Amend(func(id *datadir.Identity) { id.Forcing = true }); err != nil {
		return err
	}
	err := f.renewStores()
	if errors.Is(err, ErrNoData) {
		return errors.Join(fmt.Errorf("data directory %s: %w", f.Dir.Path(), err), f.Dir.Amend(func(id *datadir.Identity) { id.Forcing = false }))
	}
	if err != nil {
		return fmt.Errorf("force a new cluster: %w", err)
	}
	if err := f.Dir.DropRaftLog(); err != nil {
		return fmt.Errorf("force a new cluster: %w", err)
	}
	return f.Dir.Amend(func(id *datadir.Identity) {
		id.Generation++
		id.Marks = datadir.Marks{Restored: id.Restored}
	})
}

// renewStores applies to every store the rest of its log, and makes it the first of a
// new log.
func (f Forced) renewStores() (err error) {
	machines, err := f.Open()
	defer func() {
		for _, m := range machines {
			err = errors.Join(err, m.Close())
		}
	}()
	if err != nil {
		return err
	}
	var seen uint64
	if !f.again || !renewed(machines[0]) {
		if seen, err = f.replay(machines); err != nil {
			return err
		}
	}
	if !machines[0].Membership().Founded() {
		return ErrNoData
	}
	keep := tree.Member{ID: f.Dir.Identity.MemberID, PeerURLs: f.ownURLs(machines[0])}
	term := machines[0].Membership().TermBase + seen
	return Renew(machines, Renewal{Members: []tree.Member{keep}, Term: term, Bump: f.Bump})
}

// replay leaves out the stores that were renewed before a crash. Those of a restored member,
// which look the same, have a log.
func (f Forced) replay(machines []*statemachine.Machine) (term uint64, err error) {
	behind := make([]*statemachine.Machine, len(machines))
	for i, m := range machines {
		if !f.again || !renewed(m) {
			behind[i] = m
		}
	}
	return f.Replay(behind, f.Dir.Identity.Learning)
}

// ownURLs are this member's peer URLs: those of the settings, or else those that the
// cluster knows.
func (f Forced) ownURLs(m *statemachine.Machine) []string {
	if len(f.URLs) > 0 {
		return f.URLs
	}
	id := f.Dir.Identity.MemberID
	if self, ok := m.Membership().Member(id); ok {
		return self.PeerURLs
	}
	for _, self := range f.Members {
		if self.ID == id {
			return self.PeerURLs
		}
	}
	return nil
}

// renewed reports whether the store is the first of a new generation: it knows its
// member, but has applied no log.
func renewed(m *statemachine.Machine) bool { return m.RaftIndex() == 0 && m.Membership().Founded() }
