package cluster

import (
	"fmt"
	"sync"
	"time"

	"copse/actors/loop"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// logStarter has what a LogStart needs of the raft groups.
type logStarter interface {
	Execute(stop <-chan struct{}, shard uint64, c *tree.Command) (tree.Reply, error)
	Compact(shard, overhead uint64) error
	FirstEntry(shard uint64) (uint64, error)
}

// LogStart sees to it that a newcomer to a cluster of a later generation, which began with new
// raft logs and an old tree (see ForceNew), gets the tree with a snapshot.
type LogStart struct {
	Log      logStarter
	Machines []*statemachine.Machine // by shard, from MembersShard on
	Later    bool                    // the cluster is of a later generation

	mu sync.Mutex // one compaction at a time
}

// compactAgain is after how many looks a compaction is asked for anew: nothing says that one came to nothing.
const compactAgain = 200

// Move compacts the beginning of this member's log of the shard away, after an entry that no
// replica without the tree can apply. It does nothing where that is done. This member calls it
// when it starts; and again before it adds a replica, since it may have started without a quorum.
func (s *LogStart) Move(stop <-chan struct{}, shard uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Later {
		return nil
	}
	first, err := s.Log.FirstEntry(shard)
	if err == nil && first <= 1 {
		err = s.move(stop, shard)
	}
	if err != nil {
		return fmt.Errorf("begin a new generation: shard %d: %w", shard, err)
	}
	return nil
}

// move proposes a replacement that names nobody: it is refused where the tree is and
// changes nothing, whatever the members do meanwhile, but stops a replica without the tree.
func (s *LogStart) move(stop <-chan struct{}, shard uint64) error {
	c := tree.MemberCommand(tree.OpMemberReplaceAll)
	c.PrevIndex = s.Machines[shard-MembersShard].Index()
	if _, err := s.Log.Execute(stop, shard, &c); err != nil {
		return err
	}
	for tries := 0; ; tries++ {
		if tries%compactAgain == 0 { // a restart of the replica drops it, for one; later errors say that it is under way
			if err := s.Log.Compact(shard, 0); err != nil && tries == 0 {
				return err
			}
		}
		if first, err := s.Log.FirstEntry(shard); err != nil || first > 1 {
			return err
		}
		select {
		case <-time.After(pollPause):
		case <-stop:
			return loop.ErrStopped
		}
	}
}

// StartLog moves the start of this member's log of the shard. It may be called from any goroutine.
func (a *Membership) StartLog(stop <-chan struct{}, shard uint64) error {
	return a.o.Start.Move(stop, shard)
}
