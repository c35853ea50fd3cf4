package actors

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// This file is how a node comes to serve: its replicas catch up, and where there is no
// tree yet it is founded.

// Join waits until this member has caught up with its shards and so may serve
// reads, and founds the tree if there is none. A member that has data and finds
// no quorum gives up waiting after the request time-out, and serves what is here;
// one that has none waits on.
func (n *Node) Join(stop <-chan struct{}) error {
	for {
		err := n.catchUp(stop)
		if err := n.checkShards(); err != nil {
			return err
		}
		switch {
		case err == nil:
			return n.found(stop)
		case errors.Is(err, errStopped):
			return err
		case n.machine.Index() > 0 && n.leaderless() && n.filled():
			n.o.Logger.Warn("no quorum answers; serving what is here, writes will fail until there is one", "component", "raft", "err", err)
			return nil
		}
		n.o.Logger.Warn("waiting for other members: there is no leader yet, and nothing here to serve", "component", "raft", "err", err)
	}
}

// checkShards refuses a cluster that was founded with another number of shards: this
// member was started as a founder before it could ask another.
func (n *Node) checkShards() error {
	if founded := n.machine.Membership().Shards; founded != 0 && founded != n.id.Shards {
		return fmt.Errorf("%w: this member was started with --shards=%d, the cluster was founded with %d; start it with that, and an empty data directory", errShards, n.id.Shards, founded)
	}
	return nil
}

// leaderless reports whether a shard has no leader, as far as is known here.
func (n *Node) leaderless() bool {
	for i := range n.machines() {
		if n.host.Leader(uint64(i)+orderShard).Member == 0 {
			return true
		}
	}
	return false
}

// filled reports whether each data shard's replica here holds anything, if the order
// shard's knows of something: that of a newcomer may come before the others.
func (n *Node) filled() bool {
	for slot, handed := range n.machine.Handed() {
		if handed > 0 && n.parts[slot].machine.RaftIndex() == 0 {
			return false
		}
	}
	return true
}

// catchUp waits until this member's replicas have all that was acknowledged before
// the call, the request time-out at most. With several shards, the closed index has to
// come up to what may have been shown before, too.
func (n *Node) catchUp(stop <-chan struct{}) error {
	late := time.NewTimer(n.o.Host.RequestTimeout)
	defer late.Stop()
	for i := range n.machines() {
		shard := uint64(i) + orderShard
		select {
		case <-n.host.Ready(shard):
		case <-late.C:
			return fmt.Errorf("shard %d: %w", shard, errTimeout)
		case <-stop:
			return errStopped
		}
		if err := n.host.Confirm(stop, shard); err != nil {
			return fmt.Errorf("shard %d: %w", shard, err)
		}
	}
	if n.sharded == nil {
		return nil
	}
	look := time.NewTicker(retryPause)
	defer look.Stop()
	for counter := n.machine.Index(); n.sharded.closed.Index() < counter; {
		select {
		case <-look.C:
		case <-late.C:
			return fmt.Errorf("indexes up to %d are not all settled: %w", counter, errTimeout)
		case <-stop:
			return errStopped
		}
	}
	return nil
}

// found founds the tree, unless it is there, and publishes this member.
func (n *Node) found(stop <-chan struct{}) error {
	if !n.machine.Membership().Founded() {
		var founders []tree.Member
		for _, m := range n.o.Members {
			founders = append(founders, tree.Member{ID: m.ID, PeerURLs: m.PeerURLs})
		}
		founding := tree.MemberCommand(tree.OpFound, founders...)
		// etcd spends two indexes on each founding member and one on the cluster's
		// version before the first key gets its own.
		founding.PrevIndex = tree.Index(2*len(founders) + 1)
		founding.Limit = n.id.Shards
		if err := n.host.Propose(stop, orderShard, &founding); err != nil {
			return fmt.Errorf("found the tree: %w", err)
		}
		if err := n.checkShards(); err != nil { // another founder may have been faster
			return err
		}
	}
	if n.renewed {
		if err := n.renew(stop); err != nil {
			return err
		}
	}
	if err := n.membership.publish(stop, n.machine.Membership()); err != nil {
		n.o.Logger.Warn("publishing this member's name and client URLs failed; trying again", "component", "membership", "err", err)
	}
	return nil
}

// renew makes the first entry of a new generation's log one that no replica
// without this tree can apply, and lets go of the log's beginning, so that a
// newcomer gets the tree with a snapshot.
func (n *Node) renew(stop <-chan struct{}) error {
	self, _ := n.machine.Membership().Member(n.self())
	// The order shard comes last: what a crash cuts short is then done again.
	for i, m := range slices.Backward(n.machines()) {
		if err := n.renewShard(stop, uint64(i)+orderShard, m, self); err != nil {
			return fmt.Errorf("begin a new generation: shard %d: %w", i+orderShard, err)
		}
	}
	return nil
}

func (n *Node) renewShard(stop <-chan struct{}, shard uint64, m *statemachine.Machine, self tree.Member) error {
	c := tree.MemberCommand(tree.OpMemberReplaceAll, self)
	c.PrevIndex = m.Index()
	if err := n.host.Propose(stop, shard, &c); err != nil {
		return err
	}
	if err := n.host.Compact(shard, 0); err != nil {
		return err
	}
	for {
		if first, err := n.host.begin(shard); err != nil || first > 1 {
			return err
		}
		select {
		case <-time.After(retryPause):
		case <-stop:
			return errStopped
		}
	}
}
