package actors

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"copse/actors/disk"
)

// The checks behind the probes. Their errors are for an operator.

// CheckAlive returns an error while applying to a shard has been running for too long.
// It asks no other member: a member without a quorum is alive.
func (n *Member) CheckAlive() error {
	for _, v := range n.groups() {
		if busy := v.machine.Measures().Busy(); busy > disk.StuckLimit {
			return fmt.Errorf("applying to shard %s has taken %v so far", v.label, busy.Round(time.Second))
		}
	}
	return nil
}

// CheckLeader returns an error while a shard has no known leader.
func (n *Member) CheckLeader() error {
	for _, v := range n.groups() {
		if n.host.Leader(v.id).Member == 0 {
			return fmt.Errorf("shard %s has no leader: %s", v.label, n.missing())
		}
	}
	return nil
}

// led reports whether every shard has a known leader.
func (n *Member) led() bool {
	return !slices.ContainsFunc(n.groups(), func(v shardView) bool { return n.host.Leader(v.id).Member == 0 })
}

// forPeople leaves out the name of the server whose words clients get.
func forPeople(err error) string { return strings.ReplaceAll(err.Error(), "etcdserver: ", "") }

// CheckCaughtUp returns an error if a shard can't be read linearizably within a second,
// because its leader doesn't answer or this replica lags.
func (n *Member) CheckCaughtUp() error {
	end := time.Now().Add(healthLimit)
	for _, v := range n.groups() {
		if err := v.lane.Wait(max(time.Until(end), time.Millisecond), 0); err != nil {
			return fmt.Errorf("shard %s isn't up to date: %s", v.label, forPeople(err))
		}
	}
	return nil
}
