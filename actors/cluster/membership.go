package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"copse/actors/datadir"
	"copse/actors/loop"
	"copse/statemachine/tree"
)

// ErrRemoved says that this member has been removed from its cluster.
var ErrRemoved = errors.New("this member was removed from the cluster, for good: to bring it back, add it anew (POST /v2/members) and start it with an empty --data-dir and --initial-cluster-state=existing")

// errNoSuccessor says that there is nobody to transfer leadership to.
var errNoSuccessor = errors.New("no other voter was heard from lately")

// Membership is the actor that makes the raft groups follow the list of members. It
// compares the two and takes one step at a time, so a change that a crash interrupts
// is continued by whoever leads next:
//
//   - a shard's leader adds members that have no replica yet, without a vote, and
//     removes the replicas of members that were removed;
//   - a member without a vote asks for it once it has caught up;
//   - a member that finds itself removed transfers its leaderships and stops;
//   - a member whose data differs from that of most members stops its replicas.
//
// It also keeps the peer link's address book, and publishes this member's name and
// client URLs.
type Membership struct {
	// Fixed after NewMembership.
	raft Raft
	list List
	o    MembershipOptions
	log  *slog.Logger
	life loop.Life

	// Owned by Run.
	silentSince time.Time           // since when no leader is known; zero: one is
	bookFilled  bool                // the address book has the members' addresses
	urls        map[uint64][]string // in the address book
	learned     map[uint64]bool     // shards in which this replica was seen without a vote
	reclaim     map[uint64]int      // shards to lead again: attempts left
	quiet       int                 // steps since something has changed, or was left to do

	able atomic.Pointer[Abilities] // nil: not known
}

// List is the list of members, as far as this member knows it.
type List interface {
	Membership() *tree.Membership
	MembershipChanged() <-chan struct{} // rings when it has changed
}

// MembershipOptions configure a Membership.
type MembershipOptions struct {
	Self       uint64
	Shards     int // raft groups
	Election   time.Duration
	Dir        *datadir.Dir
	Peers      Peers
	Name       string // this member's, published with its client URLs
	ClientURLs []string
	Known      []tree.Member // whose addresses were known at the start
	// SetAddresses replaces the peer link's address book: peer URLs by member.
	SetAddresses func(urls map[uint64][]string)
	Questions
	// EndWatches ends all watches, again and again while the data is wrong.
	EndWatches func()
	Start      *LogStart
}

// Questions has what a Membership asks the other members, and what was found out about its own.
type Questions struct {
	// Refused asks whether they refuse to speak to this member for good; see Others.Refusal.
	Refused func(ctx context.Context) error
	// Able asks what all can read. It isn't called again once they can read all that this version writes.
	Able func(ctx context.Context) Abilities
	// Wrong says what is wrong with this member's data; see Comparer.
	Wrong func() string
}

// NewMembership returns the actor.
func NewMembership(raft Raft, list List, o MembershipOptions, log *slog.Logger) *Membership {
	return &Membership{raft: raft, list: list, o: o, log: log, life: loop.NewLife(), urls: PeerURLs(o.Known), learned: map[uint64]bool{}, reclaim: map[uint64]int{}}
}

// How long the actor sleeps while there is something left to do, and otherwise.
const (
	busyPause = 100 * time.Millisecond
	idlePause = time.Second
)

// reconcileEvery is which of the idle steps compare the voters with the list. Whatever changes
// either rings a bell; and to ask for the voters of all shards takes a round of messages each.
const reconcileEvery = 10

// Run is the actor's loop. It returns ErrRemoved, or ErrFormer, when this member has no
// place in the cluster any longer.
func (a *Membership) Run() error {
	if !a.life.Begin() {
		return nil
	}
	defer a.life.End()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-a.list.MembershipChanged():
			a.quiet = 0
		case <-a.raft.Changed():
			a.quiet = 0
		case <-a.life.Stopping():
			return nil
		}
		more, err := a.step()
		switch {
		case errors.Is(err, ErrRemoved), errors.Is(err, ErrFormer):
			return err
		case a.life.Halting():
			return nil
		case err != nil:
			a.log.Debug("a step towards the list of members failed; trying again", "err", err)
			more = true
		}
		if more {
			a.quiet = 0
			timer.Reset(busyPause)
		} else {
			a.quiet++
			timer.Reset(idlePause)
		}
	}
}

// Stop ends the loop and waits for it.
func (a *Membership) Stop() { a.life.Halt() }

func (a *Membership) leads(shard uint64) bool { return a.raft.Leader(shard) == a.o.Self }

// step does what can be done now, and reports whether it has to be called again soon.
func (a *Membership) step() (more bool, err error) {
	ms := a.list.Membership()
	a.fillBook(ms)
	if a.o.Dir.Identity.Removed || ms.WasRemoved(a.o.Self) {
		return false, a.depart()
	}
	if why := a.o.Wrong(); why != "" {
		return false, a.stepOut(why)
	}
	if a.raft.Leader(MembersShard) == 0 {
		return false, a.checkSilence()
	}
	a.silentSince = time.Time{}
	if err := a.Publish(a.life.Stopping()); err != nil {
		return true, err
	}
	for shard := uint64(1); shard <= uint64(a.o.Shards); shard++ {
		again, err := a.stepShard(shard)
		if err != nil {
			return true, err
		}
		more = more || again
	}
	if !more && a.o.Dir.Identity.Learning {
		a.log.Info("this member has caught up and votes from now on")
		return false, a.o.Dir.Amend(func(id *datadir.Identity) { id.Learning = false })
	}
	if !more && a.Able() != full {
		able := a.o.Able(context.Background())
		a.able.Store(&able)
	}
	return more, nil
}

// Able is what all members can read, as far as this member knows. It may be called from any goroutine. Once that is
// all, it isn't asked again: from then on leaders write the time of their shards into the log, which gives the stores a
// format that older binaries refuse. So no member can become one that can read less.
func (a *Membership) Able() Abilities {
	if able := a.able.Load(); able != nil {
		return *able
	}
	return Abilities{}
}

// fillBook gives the address book the addresses of the members, and of removed ones
// whose vote still counts. A joining member that hasn't received the list yet asks
// others for it, as it has to do again after a restart.
func (a *Membership) fillBook(ms *tree.Membership) {
	members := ms.Members
	if len(members) == 0 {
		if a.bookFilled || !a.o.Dir.Identity.Joined {
			return
		}
		notes, _ := a.o.Peers.notes(context.Background()) // the next step asks again
		for _, note := range notes {
			members = note.Members
		}
	}
	if len(members) == 0 {
		return
	}
	urls := PeerURLs(members)
	for _, id := range ms.Removed {
		if known := a.urls[id]; known != nil && a.raft.Votes(id) {
			urls[id] = known
		}
	}
	a.o.SetAddresses(urls)
	a.urls, a.bookFilled = urls, true
}

// PeerURLs are the members' peer URLs by member id, as the address book wants them.
func PeerURLs(members []tree.Member) map[uint64][]string {
	urls := make(map[uint64][]string, len(members))
	for _, m := range members {
		urls[m.ID] = m.PeerURLs
	}
	return urls
}

// Publish tells the cluster this member's name and client URLs, unless it knows them.
// A member without a name counts as not started.
func (a *Membership) Publish(stop <-chan struct{}) error {
	urls := slices.Sorted(slices.Values(a.o.ClientURLs))
	m, listed := a.list.Membership().Member(a.o.Self)
	if !listed || m.Name == a.o.Name && slices.Equal(m.ClientURLs, urls) {
		return nil
	}
	c := tree.MemberCommand(tree.OpMemberPublish, tree.Member{ID: m.ID, Name: a.o.Name, ClientURLs: urls})
	_, err := a.raft.Execute(stop, MembersShard, &c)
	return err
}

// reclaimAttempts is how often a shard's leadership is asked back.
const reclaimAttempts = 20

// stepShard brings one shard closer to the list of members.
func (a *Membership) stepShard(shard uint64) (more bool, err error) {
	leader := a.raft.Leader(shard)
	switch {
	case a.raft.Learning(shard):
		return a.askForVote(shard)
	case leader == a.o.Self:
		delete(a.reclaim, shard)
		if a.quiet%reconcileEvery != 0 {
			return false, nil
		}
		return a.reconcile(shard)
	case a.raft.Alone(shard) && leader != 0:
		// Somebody else leads: it is no longer alone. Afterwards it should lead again, as nothing was wrong with it.
		a.reclaim[shard] = reclaimAttempts
		return true, a.raft.RestartReplica(a.life.Stopping(), shard)
	case a.reclaim[shard] > 0 && leader != 0:
		if err := a.raft.Confirm(a.life.Stopping(), shard); err != nil {
			return true, err
		}
		a.reclaim[shard]-- // the leader may ignore it without saying so
		return true, a.raft.Transfer(shard, a.o.Self)
	default:
		return false, nil
	}
}

// askForVote makes this member a voter of the shard once it has caught up.
func (a *Membership) askForVote(shard uint64) (more bool, err error) {
	if err := a.raft.Confirm(a.life.Stopping(), shard); err != nil {
		return true, err
	}
	set, err := a.raft.VoterSet(shard)
	if err != nil {
		return true, err
	}
	switch {
	case set.Voters[a.o.Self]:
		return a.keepVote(shard)
	case !set.Learners[a.o.Self]:
		return true, nil // the leader hasn't added it yet
	}
	a.learned[shard] = true
	return true, a.raft.AddVoter(shard, a.o.Self, set.Change)
}

// keepVote makes the new vote survive a restart, and has dragonboat use it.
func (a *Membership) keepVote(shard uint64) (more bool, err error) {
	kept, err := a.raft.RemembersVote(shard)
	if err != nil {
		return true, err
	}
	if !kept {
		return true, a.raft.Snapshot(shard) // asked again until it is there: another may be under way
	}
	if a.learned[shard] {
		a.raft.EndLearning(shard)
		return false, nil
	}
	// The vote was given before dragonboat was started as a learner: it would never use it.
	return false, a.raft.RestartReplica(a.life.Stopping(), shard)
}

// reconcile makes the shard's replicas those of the members; this member leads. The
// list is read after the voter set, since a member is put on the list before its
// replica is added.
func (a *Membership) reconcile(shard uint64) (more bool, err error) {
	if err := a.StartLog(a.life.Stopping(), shard); err != nil {
		return true, err
	}
	set, err := a.raft.VoterSet(shard)
	if err != nil {
		return true, err
	}
	ms := a.list.Membership()
	for _, m := range ms.Members {
		if !set.Voters[m.ID] && !set.Learners[m.ID] && !set.Removed[m.ID] {
			a.log.Info("adding a replica", "shard", shard, "member", fmt.Sprintf("%x", m.ID))
			return true, a.raft.AddLearner(shard, m.ID, set.Change)
		}
	}
	// Only members that were removed by id lose their replica: a list that lags behind
	// has fewer members than there are.
	for _, id := range ms.Removed {
		switch {
		case !set.Voters[id] && !set.Learners[id]:
		case id == a.o.Self:
			return true, a.transfer(shard, set)
		default:
			a.log.Info("removing a replica", "shard", shard, "member", fmt.Sprintf("%x", id))
			return true, a.raft.RemoveReplica(shard, id, set.Change)
		}
	}
	if a.raft.Alone(shard) && len(set.Voters) > 1 {
		return true, a.transfer(shard, set)
	}
	return false, nil
}

// transfer lets the voter lead that was heard from last.
func (a *Membership) transfer(shard uint64, set VoterSet) error {
	to := a.raft.Successor(set.Voters)
	if to == 0 {
		return errNoSuccessor
	}
	return a.raft.Transfer(shard, to)
}
