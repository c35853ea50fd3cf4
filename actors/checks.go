package actors

import (
	"fmt"
	"time"

	"copse/actors/disk"
)

// What probes ask a node. The words are for an operator.

// CheckAlive says whether the applying of a shard stands still. It asks no
// other member: a node without a quorum is alive.
func (n *Node) CheckAlive() error {
	for _, v := range n.groups() {
		if busy := v.machine.Measures().Busy(); busy > disk.StuckLimit {
			return fmt.Errorf("applying to shard %s has taken %v so far", v.label, busy.Round(time.Second))
		}
	}
	return nil
}

// CheckLeader says which shard has no leader that is known here.
func (n *Node) CheckLeader() error {
	for _, v := range n.groups() {
		if n.host.Leader(v.id).Member == 0 {
			return fmt.Errorf("shard %s has no leader", v.label)
		}
	}
	return nil
}

// CheckCaughtUp says which shard can't be read linearizably within a second:
// its leader doesn't answer, or this replica lags.
func (n *Node) CheckCaughtUp() error {
	end := time.Now().Add(healthLimit)
	for _, v := range n.groups() {
		if err := v.lane.Wait(max(time.Until(end), time.Millisecond)); err != nil {
			return fmt.Errorf("shard %s isn't up to date: %w", v.label, err)
		}
	}
	return nil
}
