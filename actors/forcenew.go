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
	m, err := statemachine.New(machineOptions(o, nil))
	if err != nil {
		return err
	}
	if m.RaftIndex() > 0 {
		err = applyWholeLog(o, m)
	}
	if err == nil {
		err = m.ForceNew(tree.Member{ID: d.Identity.MemberID, PeerURLs: ownURLs(o, m)}, 0)
	}
	if err = errors.Join(err, m.Close()); err != nil {
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
		id.Forcing, id.Joined, id.Learning, id.Removed = false, false, false, false
	})
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

// applyWholeLog applies to m what the raft log holds behind it. The engine is
// started for that without a way to the other members.
func applyWholeLog(o NodeOptions, m *statemachine.Machine) error {
	link, err := peerlink.Listen(peerlink.Options{
		Self: o.Dir.Identity.MemberID, Cluster: o.Dir.Identity.ClusterID, Generation: o.Dir.Identity.Generation,
		Listen: []string{"127.0.0.1:0"}, Book: peerlink.NewBook(), Logger: o.Logger,
	})
	if err != nil {
		return err
	}
	h := o.Host
	h.Link = link
	host, err := NewHost(h)
	if err != nil {
		return errors.Join(err, link.Close())
	}
	defer func() { _ = link.Close() }() // nobody was ever connected
	var tail []logEntry
	err = host.checkPair(orderShard, m)
	if err == nil {
		err = host.StartReplica(orderShard, m, Start{Learning: o.Dir.Identity.Learning})
	}
	if err == nil {
		err = host.checkLog(orderShard, m)
	}
	if err == nil {
		tail, err = host.tail(orderShard, m.RaftIndex())
	}
	host.Close() // the engine may have applied a part of the tail meanwhile
	if err != nil {
		return err
	}
	return applyTail(m, tail)
}
