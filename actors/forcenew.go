package actors

import (
	"errors"
	"fmt"
	"os"

	"copse/actors/peerlink"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// ForceNew makes this member the only one of its cluster, from what its disk
// holds: the way out when a majority is lost for good. The others become
// strangers, whatever state they are in, for a new generation of the cluster
// begins. It is called with the directory open and before NewNode; a crash in the
// middle is finished by the next start, which finds Identity.Forcing.
//
// Nothing that this member has in its log is dropped, whether it knows of its
// commit or not: what was acknowledged may be among that.
func ForceNew(o NodeOptions) error {
	d := o.Dir
	if err := d.Amend(func(id *Identity) { id.Forcing = true }); err != nil {
		return err
	}
	if err := forceMachines(o); err != nil {
		return fmt.Errorf("force a new cluster: %w", err)
	}
	if err := os.RemoveAll(d.RaftDir()); err != nil {
		return fmt.Errorf("force a new cluster: drop the old log: %w", err)
	}
	if err := syncDir(d.Path()); err != nil {
		return fmt.Errorf("force a new cluster: drop the old log: %w", err)
	}
	return d.Amend(func(id *Identity) {
		id.Generation++
		id.Forcing, id.Joined, id.Learning, id.Removed, id.Logged = false, false, false, false, false
	})
}

// forceMachines brings every store up to the end of its log, and makes it the
// first of a new one.
func forceMachines(o NodeOptions) (err error) {
	var machines []*statemachine.Machine
	defer func() {
		for _, m := range machines {
			err = errors.Join(err, m.Close())
		}
	}()
	for i := range Groups(o.Dir.Identity.Shards) {
		m, err := statemachine.New(machineOptions(o, nil, uint64(i)+orderShard))
		if err != nil {
			return err
		}
		machines = append(machines, m)
	}
	if !forced(machines[0]) {
		if err := applyWholeLogs(o, machines); err != nil {
			return err
		}
	}
	keep := tree.Member{ID: o.Dir.Identity.MemberID, PeerURLs: ownURLs(o, machines[0])}
	// The order shard's comes last: it goes on above all that the others have used.
	var settled tree.Index
	for _, m := range machines[1:] {
		settled = max(settled, m.Index())
		if err := m.ForceNew(keep, 0); err != nil {
			return err
		}
	}
	return machines[0].ForceNew(keep, settled)
}

// ownURLs are this member's peer URLs: those that the cluster knows, or else
// those of the settings.
func ownURLs(o NodeOptions, m *statemachine.Machine) []string {
	if self, ok := m.Membership().Member(o.Dir.Identity.MemberID); ok {
		return self.PeerURLs
	}
	for _, self := range o.Members {
		if self.ID == o.Dir.Identity.MemberID {
			return self.PeerURLs
		}
	}
	return nil
}

// applyWholeLogs applies to the machines what the raft logs hold behind them. The
// engine is started for that without a way to the other members.
func applyWholeLogs(o NodeOptions, machines []*statemachine.Machine) error {
	link, err := peerlink.Listen(peerlink.Options{
		Self: o.Dir.Identity.MemberID, Cluster: o.Dir.Identity.ClusterID, Generation: o.Dir.Identity.Generation,
		Listen: []string{"127.0.0.1:0"}, Book: peerlink.NewBook(), Logger: o.Logger,
	})
	if err != nil {
		return err
	}
	h := o.Host
	h.Link, h.LogExpected = link, o.Dir.Identity.Logged
	host, err := NewHost(h)
	if err != nil {
		return errors.Join(err, link.Close())
	}
	defer func() { _ = link.Close() }() // nobody was ever connected
	tails := make([][]logEntry, len(machines))
	for i, m := range machines {
		if forced(m) {
			continue // a crash came after this one was done
		}
		if tails[i], err = wholeLog(host, uint64(i)+orderShard, m, o.Dir.Identity.Learning); err != nil {
			break
		}
	}
	host.Close() // the engine may have applied a part of the tails meanwhile
	if err != nil {
		return err
	}
	for i, m := range machines {
		if err := applyTail(m, tails[i]); err != nil {
			return err
		}
	}
	return nil
}

// forced reports whether the store is the first of a new generation already: it knows
// its member, and nothing of a log.
func forced(m *statemachine.Machine) bool { return m.RaftIndex() == 0 && m.Membership().Founded() }

// wholeLog reads what the shard's raft log holds behind m, committed or not.
func wholeLog(host *Host, shard uint64, m *statemachine.Machine, learning bool) ([]logEntry, error) {
	if m.RaftIndex() == 0 && !host.nh.HasNodeInfo(shard, host.o.Replica) {
		return nil, nil // it never had one
	}
	if log, there := host.log.Replica(shard, host.o.Replica); there && !m.Created() && log.Last <= m.RaftIndex() {
		return nil, nil // the store has it all, and more if the log was cut
	}
	if err := host.checkLog(shard, m); err != nil {
		return nil, err
	}
	if err := host.StartReplica(shard, m, Start{Learning: learning}); err != nil {
		return nil, err
	}
	return host.tail(shard, m.RaftIndex())
}
