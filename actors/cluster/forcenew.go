package cluster

import (
	"errors"
	"fmt"

	"copse/actors/datadir"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// Forced is what ForceNew works on.
type Forced struct {
	Dir     *datadir.Dir
	Members []tree.Member // those that the settings name
	// Open opens the stores of all shards, from MembersShard on. If it fails, it
	// returns those that it has opened.
	Open func() ([]*statemachine.Machine, error)
	// Replay applies to each store what its raft log holds beyond it, committed or
	// not. A nil machine is left alone.
	Replay func(machines []*statemachine.Machine, learning bool) error
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
	if err := f.Dir.Amend(func(id *datadir.Identity) { id.Forcing = true }); err != nil {
		return err
	}
	if err := f.renewStores(); err != nil {
		return fmt.Errorf("force a new cluster: %w", err)
	}
	if err := f.Dir.DropRaftLog(); err != nil {
		return fmt.Errorf("force a new cluster: %w", err)
	}
	return f.Dir.Amend(func(id *datadir.Identity) {
		id.Generation++
		id.Marks = datadir.Marks{}
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
	if !Renewed(machines[0]) {
		if err := f.replay(machines); err != nil {
			return err
		}
	}
	keep := tree.Member{ID: f.Dir.Identity.MemberID, PeerURLs: f.ownURLs(machines[0])}
	// The shard with the list comes last: its index goes on above all that the others
	// have used.
	var settled tree.Index
	for _, m := range machines[1:] {
		settled = max(settled, m.Index())
		if err := m.ForceNew(keep, 0); err != nil {
			return err
		}
	}
	return machines[0].ForceNew(keep, settled)
}

// replay leaves out the stores that were renewed before a crash.
func (f Forced) replay(machines []*statemachine.Machine) error {
	behind := make([]*statemachine.Machine, len(machines))
	for i, m := range machines {
		if !Renewed(m) {
			behind[i] = m
		}
	}
	return f.Replay(behind, f.Dir.Identity.Learning)
}

// ownURLs are this member's peer URLs: those that the cluster knows, or else those of
// the settings.
func (f Forced) ownURLs(m *statemachine.Machine) []string {
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

// Renewed reports whether the store is the first of a new generation: it knows its
// member, but has applied no log.
func Renewed(m *statemachine.Machine) bool { return m.RaftIndex() == 0 && m.Membership().Founded() }
