package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"copse/actors/datadir"
	"copse/actors/loop"
	"copse/actors/peerlink"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// ErrRemoved says that this member has been taken out of its cluster.
var ErrRemoved = errors.New("this member was removed from the cluster, for good: to bring it back, add it anew (POST /v2/members) and start it with an empty --data-dir and --initial-cluster-state=existing")

// Membership is the actor that makes the raft groups follow the list of members,
// which is state of shard 1. It compares and mends, one step at a time, so a
// change that a crash cuts short is carried on by whoever leads afterwards:
//
//   - the leader of a shard adds members that are no replicas yet, without a
//     vote, and takes out those that were removed;
//   - a member without a vote asks for it once it has caught up;
//   - a member that finds itself removed hands leadership over and stops.
//
// It also keeps the peer link's address book, and publishes this member's name
// and client URLs.
type Membership struct {
	// Fixed after NewMembership.
	host    *Host
	machine *statemachine.Machine // of shard 1
	o       MembershipOptions
	log     *slog.Logger
	life    loop.Life

	// Owned by Run.
	silentSince time.Time           // no leader has been known since then; zero: one is
	filled      bool                // the address book has the members' addresses
	urls        map[uint64][]string // what the address book holds
	learned     map[uint64]bool     // shards in which this replica has been seen without a vote
	lent        map[uint64]int      // shards whose leadership was handed over for a moment: how often it is still asked back
}

// MembershipOptions are what a Membership is made with.
type MembershipOptions struct {
	Dir        *datadir.Dir
	Book       *peerlink.Book
	Peers      Peers
	Name       string // this member's, to be published with its client URLs
	ClientURLs []string
	Known      []tree.Member // whose addresses were known at the start
	// LetGo asks the others whether this member has a place among them no longer.
	LetGo func(ctx context.Context) bool
}

// NewMembership returns the actor, which Run brings to life.
func NewMembership(host *Host, m *statemachine.Machine, o MembershipOptions, log *slog.Logger) *Membership {
	return &Membership{host: host, machine: m, o: o, log: log, life: loop.NewLife(), urls: peerURLs(o.Known), learned: map[uint64]bool{}, lent: map[uint64]int{}}
}

// How long the actor sleeps: while there is something left to do, while nobody
// leads, and otherwise.
const (
	membershipPause = 100 * time.Millisecond
	membershipLook  = time.Second
)

// Run is the actor's loop. It ends with ErrRemoved when this member has no place
// in the cluster any longer.
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
		case <-a.machine.MembershipChanged():
		case <-a.host.events.bell:
		case <-a.life.Stopping():
			return nil
		}
		more, err := a.step()
		switch {
		case errors.Is(err, ErrRemoved):
			return err
		case errors.Is(err, errStopped):
			return nil
		case err != nil:
			a.log.Debug("a step of membership failed; trying again", "err", err)
			more = true
		}
		if more {
			timer.Reset(membershipPause)
		} else {
			timer.Reset(membershipLook)
		}
	}
}

// Stop ends the loop and waits for it.
func (a *Membership) Stop() { a.life.Halt() }

func (a *Membership) self() uint64 { return a.host.o.Replica }

// step does what there is to do, and reports whether it has to be looked at
// again soon.
func (a *Membership) step() (more bool, err error) {
	ms := a.machine.Membership()
	a.fillBook(ms)
	if a.removed(ms) {
		return false, a.depart()
	}
	if a.host.Leader(orderShard).Member == 0 {
		return a.silence()
	}
	a.silentSince = time.Time{}
	if err := a.publish(a.life.Stopping(), ms); err != nil {
		return true, err
	}
	for shard := uint64(1); shard <= uint64(a.host.o.Shards); shard++ {
		again, err := a.tend(shard)
		if err != nil {
			return true, err
		}
		more = more || again
	}
	if !more && a.o.Dir.Identity.Learning {
		a.log.Info("this member has caught up and votes from now on")
		return false, a.o.Dir.Amend(func(id *datadir.Identity) { id.Learning = false })
	}
	return more, nil
}

// fillBook keeps the addresses of the members, and of those that were removed
// but whose vote is still counted on. One that joins and hasn't got the list yet
// has to ask for it again after a restart.
func (a *Membership) fillBook(ms *tree.Membership) {
	members := ms.Members
	if len(members) == 0 {
		if a.filled || !a.o.Dir.Identity.Joined {
			return
		}
		notes, _ := a.o.Peers.notes(context.Background()) // asked again at the next step
		for _, note := range notes {
			members = note.Members
		}
	}
	if len(members) == 0 {
		return
	}
	urls := peerURLs(members)
	for _, id := range ms.Removed {
		if known := a.urls[id]; known != nil && a.host.votes(id) {
			urls[id] = known
		}
	}
	a.o.Book.Set(urls)
	a.urls, a.filled = urls, true
}

func peerURLs(members []tree.Member) map[uint64][]string {
	urls := make(map[uint64][]string, len(members))
	for _, m := range members {
		urls[m.ID] = m.PeerURLs
	}
	return urls
}

// silence is what a member does that knows of no leader: the reason may be that
// it was removed while it was away.
func (a *Membership) silence() (more bool, err error) {
	now := time.Now()
	if a.silentSince.IsZero() {
		a.silentSince = now
	}
	if now.Sub(a.silentSince) < 2*a.host.o.Election {
		return false, nil
	}
	a.silentSince = now
	if !a.o.LetGo(context.Background()) {
		return false, nil
	}
	if err := a.o.Dir.Amend(func(id *datadir.Identity) { id.Removed = true }); err != nil {
		return true, err
	}
	return false, ErrRemoved
}

// publish tells the cluster this member's name and client URLs if it doesn't
// know them. A member without a name counts as not started.
func (a *Membership) publish(stop <-chan struct{}, ms *tree.Membership) error {
	urls := slices.Sorted(slices.Values(a.o.ClientURLs))
	m, listed := ms.Member(a.self())
	if !listed || m.Name == a.o.Name && slices.Equal(m.ClientURLs, urls) {
		return nil
	}
	c := tree.MemberCommand(tree.OpMemberPublish, tree.Member{ID: m.ID, Name: a.o.Name, ClientURLs: urls})
	return a.host.Propose(stop, orderShard, &c)
}

// lentTries is how often a shard's leadership is asked back.
const lentTries = 20

// tend brings one shard closer to what the list of members asks for.
func (a *Membership) tend(shard uint64) (more bool, err error) {
	r := a.host.replicas[shard]
	switch {
	case r.learning:
		return a.askForVote(shard)
	case a.host.Leads(shard):
		delete(a.lent, shard)
		return a.reconcile(shard)
	case r.alone && a.host.Leader(shard).Member != 0:
		// Somebody else leads, so this member is no longer alone. It leads again
		// when it is back: nothing was wrong with it.
		a.lent[shard] = lentTries
		return true, a.host.restart(a.life.Stopping(), shard, false, false)
	case a.lent[shard] > 0 && a.host.Leader(shard).Member != 0:
		if err := a.host.Confirm(a.life.Stopping(), shard); err != nil {
			return true, err
		}
		a.lent[shard]-- // who leads may take no notice, without a word
		return true, a.host.transfer(shard, a.self())
	default:
		return false, nil
	}
}

// askForVote makes this member a voter of the shard once it has caught up.
func (a *Membership) askForVote(shard uint64) (more bool, err error) {
	if err := a.host.Confirm(a.life.Stopping(), shard); err != nil {
		return true, err
	}
	r, err := a.host.roll(shard)
	if err != nil {
		return true, err
	}
	switch {
	case r.voters[a.self()]:
		return a.keepVote(shard)
	case !r.learners[a.self()]:
		return true, nil // the leader hasn't added it yet
	}
	a.learned[shard] = true
	if err := a.host.addVoter(shard, a.self(), r.change); err != nil {
		return true, err
	}
	return true, nil
}

// keepVote makes a vote that was given last through the next start, and has the
// engine use it.
func (a *Membership) keepVote(shard uint64) (more bool, err error) {
	kept, err := a.host.remembersVote(shard)
	if err != nil {
		return true, err
	}
	if !kept {
		// The snapshot is asked for again until it is there: one may be under way.
		return true, a.host.Compact(shard, a.host.o.SnapshotCount/compactKeep)
	}
	if a.learned[shard] {
		a.host.replicas[shard].learning = false
		return false, nil
	}
	// The vote was given before the engine was started as a learner: it would never
	// use it.
	return false, a.host.restart(a.life.Stopping(), shard, false, false)
}

// reconcile makes the shard's replicas those of the members; this member leads.
// The list is read after the roll: a member whose replica is in the roll has
// been put on the list before.
func (a *Membership) reconcile(shard uint64) (more bool, err error) {
	r, err := a.host.roll(shard)
	if err != nil {
		return true, err
	}
	ms := a.machine.Membership()
	for _, m := range ms.Members {
		if !r.voters[m.ID] && !r.learners[m.ID] && !r.removed[m.ID] {
			a.log.Info("adding a replica", "shard", shard, "member", fmt.Sprintf("%x", m.ID))
			return true, a.host.addLearner(shard, m.ID, r.change)
		}
	}
	// Only whoever was removed by name goes: a list that lags knows fewer members.
	for _, id := range ms.Removed {
		switch {
		case !r.voters[id] && !r.learners[id]:
		case id == a.self():
			return true, a.handOver(shard, r)
		default:
			a.log.Info("removing a replica", "shard", shard, "member", fmt.Sprintf("%x", id))
			return true, a.host.removeReplica(shard, id, r.change)
		}
	}
	if a.host.replicas[shard].alone && len(r.voters) > 1 {
		return true, a.handOver(shard, r)
	}
	return false, nil
}

// handOver lets the voter lead that was heard of last.
func (a *Membership) handOver(shard uint64, r roll) error {
	to := a.host.successor(r.voters)
	if to == 0 {
		return errUnsent
	}
	return a.host.transfer(shard, to)
}

// removed reports whether this member has been taken off the list.
func (a *Membership) removed(ms *tree.Membership) bool {
	return a.o.Dir.Identity.Removed || ms.WasRemoved(a.self())
}

// departLimit is how long a removed member waits for the others to let it go: they
// may need its vote for that.
const departLimit = 30 * time.Second

// depart ends this member's part in the cluster.
func (a *Membership) depart() error {
	if err := a.o.Dir.Amend(func(id *datadir.Identity) { id.Removed = true }); err != nil {
		return err
	}
	a.log.Warn("this member was removed from the cluster; it stops as soon as the others have let it go")
	late := time.NewTimer(departLimit)
	defer late.Stop()
	for {
		left := 0
		for shard := uint64(1); shard <= uint64(a.host.o.Shards); shard++ {
			if a.host.events.gone(shard) {
				continue
			}
			left++
			if !a.host.Leads(shard) {
				continue
			}
			if _, err := a.reconcile(shard); err != nil {
				a.log.Debug("handing over failed; trying again", "shard", shard, "err", err)
			}
		}
		if left == 0 || a.o.LetGo(context.Background()) {
			return ErrRemoved
		}
		select {
		case <-time.After(membershipPause):
		case <-a.host.events.bell:
		case <-late.C:
			return ErrRemoved
		case <-a.life.Stopping():
			return errStopped
		}
	}
}
