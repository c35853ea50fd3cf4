package cluster

import (
	"fmt"
	"strings"
	"time"

	"copse/bench/cluster/fleet"
	"copse/bench/peer"
)

// nemesis carries out a schedule.
type nemesis struct {
	fleet    *fleet.Fleet
	logf     func(format string, args ...any)
	now      func() time.Duration
	wait     func(time.Duration)
	look     func(member int) // reads the whole tree there
	shards   int
	from, to peer.Kind
	full     *fleet.Member // its disk was, and it hasn't ended since
	restarts int
	deaths   []string // of members that nobody killed
	changes  int      // of the membership
	last     int      // the leader that was found last
}

// leader is the member that leads, or led last; of several shards one that the
// fault picks, the order shard among them.
func (n *nemesis) leader(f Fault) int {
	i, ok := n.fleet.Leader()
	if slot := f.Pick % (n.shards + 1); n.shards > 1 && slot < n.shards {
		if of, known := n.fleet.ShardLeader(slot); known {
			i, ok = of, true
		}
	}
	if ok {
		n.last = i
	}
	return n.last
}

// follower is one of the others.
func (n *nemesis) follower(f Fault) int {
	others := n.others(n.leader(f))
	return others[f.Pick%len(others)]
}

func (n *nemesis) others(than ...int) []int {
	var rest []int
	for i := range n.fleet.Members {
		apart := false
		for _, j := range than {
			apart = apart || i == j
		}
		if !apart {
			rest = append(rest, i)
		}
	}
	return rest
}

func (n *nemesis) kill(i int) (string, error) {
	n.fleet.Kill(i)
	return fmt.Sprintf("m%d killed", i), nil
}

// electionLimit ends the wait for a new leader.
const electionLimit = time.Minute

// killAndElect kills a leader, starts it again as soon as the others have elected another,
// and waits until that one serves.
func (n *nemesis) killAndElect(f Fault) error {
	old := n.leader(f)
	n.fleet.Kill(old)
	for began := n.now(); ; n.wait(10 * time.Millisecond) {
		if now, ok := n.fleet.Leader(); ok && now != old {
			n.last = now
			break
		}
		if n.now()-began > electionLimit {
			return fmt.Errorf("m%d was killed, and there is no other leader after %v", old, electionLimit)
		}
	}
	n.restarts++
	if err := n.fleet.Restart(old); err != nil {
		return err
	}
	n.look(n.last)
	return n.revive("between two kills of leaders")
}

// change stops a member and starts it with another program.
func (n *nemesis) change(f Fault, to peer.Kind) (string, error) {
	i := f.Pick % len(n.fleet.Members)
	n.restarts++
	return fmt.Sprintf("m%d runs %s", i, to), n.fleet.Change(i, to)
}

// replace takes a member out, and a new one with an empty disk in, at the same
// addresses.
func (n *nemesis) replace(i int) (string, error) {
	n.changes += 2
	ended, err := n.fleet.Remove(n.fleet.Members[i])
	if err != nil {
		return "", err
	}
	how := "ended by itself"
	if !ended {
		how = "had to be killed"
	}
	return fmt.Sprintf("m%d removed (it %s) and replaced", i, how), n.fleet.Add(n.fleet.Members[i])
}

// part separates some members from all others.
func (n *nemesis) part(side []int) error {
	rest := n.others(side...)
	if err := n.cut(side, rest); err != nil {
		return err
	}
	return n.cut(rest, side)
}

func (n *nemesis) cut(from, to []int) error {
	for _, a := range from {
		for _, b := range to {
			if err := n.fleet.Cut(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// strike does one fault, waits, and mends it.
func (n *nemesis) strike(f Fault) error {
	if err := n.revive("while all was well"); err != nil {
		return err
	}
	kind := faultKinds[f.Kind]
	what, err := kind.begin(n, f)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Kind, err)
	}
	n.logf("%8v %s for %v: %s", n.now().Round(time.Millisecond), f.Kind, f.For, what)
	n.wait(f.For)
	return n.mend(f)
}

// mend ends a fault, and starts whatever has ended. Only a full disk is a
// reason to end.
func (n *nemesis) mend(f Fault) error {
	if err := faultKinds[f.Kind].end(n, f); err != nil {
		return fmt.Errorf("mend %s: %w", f.Kind, err)
	}
	if f.Kind == "disk-full" {
		n.full = n.fleet.Members[len(n.fleet.Members)-1]
		return n.revive("")
	}
	return n.revive("during " + f.Kind)
}

// revive starts all that is down; members that ended by themselves are noted,
// if there was no reason for it.
func (n *nemesis) revive(when string) error {
	for i, m := range n.fleet.Members {
		if !n.fleet.Died(i) {
			continue
		}
		// With a full disk it may take a while to end.
		excused := m == n.full && strings.Contains(m.LastPanic(), "no space left on device")
		if m == n.full {
			n.full = nil
		}
		if when != "" && !excused {
			death := fmt.Sprintf("m%d ended by itself %s: %s", i, when, m.LastPanic())
			n.logf("%8v %s", n.now().Round(time.Millisecond), death)
			n.deaths = append(n.deaths, death)
		}
	}
	started, err := n.fleet.Revive()
	n.restarts += len(started)
	return err
}
