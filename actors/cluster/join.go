package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"copse/actors/loop"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// ErrShards is the cause if members don't agree on the number of shards.
var ErrShards = errors.New("the number of shards can't change")

var (
	errLeaderless = errors.New("there was no leader within the request time-out")
	errUnsettled  = errors.New("they were not settled within the request time-out")
)

// Log has what a Joiner needs of the raft groups.
type Log interface {
	Leader(shard uint64) uint64         // 0: not known
	Ready(shard uint64) <-chan struct{} // closed once the shard has had a leader
	Campaign()                          // makes a single member lead its shards sooner
	Confirm(stop <-chan struct{}, shard uint64) error
	Execute(stop <-chan struct{}, shard uint64, c *tree.Command) (tree.Reply, error)
}

// Joiner brings this member to where it may serve: its replicas catch up, and if
// there is no tree yet, it is founded.
type Joiner struct {
	Log      Log
	Machines []*statemachine.Machine // by shard, from MembersShard on
	Founders []tree.Member           // of a new cluster, with their peer URLs
	MayFound func() error            // refuses founders that this member isn't one of
	Begin    string                  // of a new cluster that is a mirror: the change that makes it one
	Shards   int                     // data shards
	// Closed is the closed index, if there are several data shards; else nil.
	Closed func() tree.Index
	// Start makes this member's log of a shard start where it should; see LogStart.
	Start   func(stop <-chan struct{}, shard uint64) error
	Publish func(stop <-chan struct{}) error
	Timeout time.Duration // of a request
	Logger  *slog.Logger
	// Missing says who can't be reached and how far this member is, for the log.
	Missing func() string
}

// pollPause is how often a Joiner looks at what rings no bell.
const pollPause = 5 * time.Millisecond

// Join waits until this member has caught up with its shards, so that it may serve
// reads, and founds the tree if there is none. If there is no quorum, a member that has
// data stops waiting after the request time-out and serves what it has; one without
// data keeps waiting.
func (j *Joiner) Join(stop <-chan struct{}) error {
	for {
		err := j.catchUp(stop)
		if err := j.checkShards(); err != nil {
			return err
		}
		switch {
		case err == nil:
			return j.found(stop)
		case closed(stop):
			return err
		case j.list().Index() > 0 && j.leaderless() && j.filled():
			j.Logger.Warn("no quorum answers; serving the data that is here, but writes fail until there is a quorum", "component", "raft", "err", err, "missing", j.Missing())
			return nil
		}
		j.Logger.Warn("waiting for other members: there is no leader yet, and no data here to serve", "component", "raft", "err", err, "missing", j.Missing())
	}
}

func closed(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// list is the machine whose state has the list of members.
func (j *Joiner) list() *statemachine.Machine { return j.Machines[0] }

// checkShards refuses a cluster that was founded with another number of shards: this
// member may have been started as a founder before it could ask another one.
func (j *Joiner) checkShards() error {
	if founded := j.list().Membership().Shards; founded != 0 && founded != j.Shards {
		return fmt.Errorf("%w: this member was started with --shards=%d, but the cluster was founded with %d; start it with that number and an empty data directory", ErrShards, j.Shards, founded)
	}
	return nil
}

// leaderless reports whether a shard has no known leader.
func (j *Joiner) leaderless() bool {
	for i := range j.Machines {
		if j.Log.Leader(uint64(i)+MembersShard) == 0 {
			return true
		}
	}
	return false
}

// filled reports whether the replica of each data shard holds what the order shard's
// replica says there is. A newcomer's order shard may catch up before the others.
func (j *Joiner) filled() bool {
	for slot, handed := range j.list().Handed() {
		if handed > 0 && j.Machines[slot+1].RaftIndex() == 0 {
			return false
		}
	}
	return true
}

// catchUp waits, at most for the request time-out, until this member's replicas have
// all that was acknowledged before the call. With several shards, the closed index
// also has to reach what may have been shown before.
func (j *Joiner) catchUp(stop <-chan struct{}) error {
	late := time.NewTimer(j.Timeout)
	defer late.Stop()
	for i := range j.Machines {
		shard := uint64(i) + MembersShard
		if err := j.awaitLeader(stop, late.C, shard); err != nil {
			return err
		}
		if err := j.Log.Confirm(stop, shard); err != nil {
			return fmt.Errorf("shard %d: %w", shard, err)
		}
	}
	if j.Closed == nil {
		return nil
	}
	look := time.NewTicker(pollPause)
	defer look.Stop()
	for counter := j.list().Index(); j.Closed() < counter; {
		select {
		case <-look.C:
		case <-late.C:
			return fmt.Errorf("indexes up to %d: %w", counter, errUnsettled)
		case <-stop:
			return loop.ErrStopped
		}
	}
	return nil
}

// campaignPause is how long a single member that doesn't lead waits before it stands for
// election again.
const campaignPause = 5 * time.Millisecond

func (j *Joiner) awaitLeader(stop <-chan struct{}, late <-chan time.Time, shard uint64) error {
	again := time.NewTicker(campaignPause)
	defer again.Stop()
	for {
		select {
		case <-j.Log.Ready(shard):
			return nil
		case <-again.C:
			j.Log.Campaign()
		case <-late:
			return fmt.Errorf("shard %d: %w", shard, errLeaderless)
		case <-stop:
			return loop.ErrStopped
		}
	}
}

// found founds the tree, if there is none, and publishes this member.
func (j *Joiner) found(stop <-chan struct{}) error {
	if !j.list().Membership().Founded() {
		if err := j.foundTree(stop); err != nil {
			return err
		}
	}
	for i := range slices.Backward(j.Machines) {
		if err := j.Start(stop, uint64(i)+MembersShard); err != nil {
			return err
		}
	}
	if err := j.Publish(stop); err != nil {
		j.Logger.Warn("publishing this member's name and client URLs failed; trying again", "component", "membership", "err", err)
	}
	return nil
}

func (j *Joiner) foundTree(stop <-chan struct{}) error {
	if err := j.MayFound(); err != nil {
		return err
	}
	var founders []tree.Member
	for _, m := range j.Founders {
		founders = append(founders, tree.Member{ID: m.ID, PeerURLs: m.PeerURLs})
	}
	founding := tree.MemberCommand(tree.OpFound, founders...)
	// etcd spends two indexes on each founding member and one on the cluster's version
	// before the first key gets its own.
	founding.PrevIndex = tree.Index(2*len(founders) + 1)
	founding.Limit, founding.PrevValue = j.Shards, j.Begin
	if _, err := j.Log.Execute(stop, MembersShard, &founding); err != nil {
		return fmt.Errorf("found the tree: %w", err)
	}
	return j.checkShards() // another founder may have been faster
}
