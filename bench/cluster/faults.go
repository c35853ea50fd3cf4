package cluster

import (
	"fmt"
	"time"

	"copse/bench/peer"
)

// Where a kind of fault is possible.
const (
	anywhere   = "anywhere"
	loopback   = "loopback"   // where proxies join the members
	namespaces = "namespaces" // where packets can be lost
)

// faultKind is one kind of fault. begin injects it and describes what it did; end
// heals it. Members that are still down after end are restarted by the nemesis.
type faultKind struct {
	shortest, longest time.Duration
	where             string
	copseOnly         string // why only copse can be asked to bear it
	begin             func(n *nemesis, f Fault) (string, error)
	end               func(n *nemesis, f Fault) error
}

func heal(n *nemesis, _ Fault) error { return n.fleet.Heal() }

func nothing(*nemesis, Fault) error { return nil }

// faultKinds are all of them. The meaning of a name never changes, so that old
// schedules can be replayed: new kinds get new names.
var faultKinds = map[string]faultKind{
	"kill-leader": {300 * time.Millisecond, 3 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		return n.kill(n.leader(f))
	}, nothing},
	"kill-follower": {300 * time.Millisecond, 3 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		return n.kill(n.follower(f))
	}, nothing},
	"kill-all": {100 * time.Millisecond, time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		for i := range n.fleet.Members {
			n.fleet.Kill(i)
		}
		return "all killed", nil
	}, nothing},
	"crash-loop": {0, 0, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		i := f.Pick % len(n.fleet.Members)
		for k := range 3 {
			n.fleet.Kill(i)
			if err := n.fleet.Restart(i); err != nil {
				return "", err
			}
			n.restarts++
			n.wait(time.Duration(20+f.Pick*(k+1)) * time.Millisecond) // in the middle of its start
		}
		return n.kill(i)
	}, nothing},
	"pause-leader": {500 * time.Millisecond, 4 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		i := n.leader(f)
		return fmt.Sprintf("m%d paused", i), n.fleet.Pause(i)
	}, nothing},
	"pause-follower": {500 * time.Millisecond, 4 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		i := n.follower(f)
		return fmt.Sprintf("m%d paused", i), n.fleet.Pause(i)
	}, nothing},
	"leader-alone": {2 * time.Second, 5 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		i := n.leader(f)
		return fmt.Sprintf("m%d alone", i), n.part([]int{i})
	}, heal},
	"follower-alone": {time.Second, 4 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		i := n.follower(f)
		return fmt.Sprintf("m%d alone", i), n.part([]int{i})
	}, heal},
	"halves": {2 * time.Second, 5 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		// The smaller half, which is one of three; with the leader every other time.
		side := []int{n.leader(f)}
		if f.Pick%2 == 0 {
			side = []int{n.follower(f)}
		}
		for i := 0; len(side) < len(n.fleet.Members)/2; i++ {
			if i != side[0] {
				side = append(side, i)
			}
		}
		return fmt.Sprintf("%v apart from the rest", side), n.part(side)
	}, heal},
	"leader-unheard": {2 * time.Second, 5 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		i := n.leader(f)
		return fmt.Sprintf("nothing arrives from m%d", i), n.cut([]int{i}, n.others(i))
	}, heal},
	"leader-deaf": {2 * time.Second, 5 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		i := n.leader(f)
		return fmt.Sprintf("nothing arrives at m%d", i), n.cut(n.others(i), []int{i})
	}, heal},
	"one-way-link": {time.Second, 4 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		from, to := n.leader(f), n.follower(f)
		if f.Pick%2 == 0 {
			from, to = to, from
		}
		return fmt.Sprintf("nothing arrives from m%d at m%d", from, to), n.fleet.Cut(from, to)
	}, heal},
	"slow-leader": {time.Second, 4 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		i := n.leader(f)
		return fmt.Sprintf("m%d slow", i), n.fleet.Slow(i)
	}, heal},
	"slow-follower": {time.Second, 4 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		i := n.follower(f)
		return fmt.Sprintf("m%d slow", i), n.fleet.Slow(i)
	}, heal},
	"lossy": {2 * time.Second, 4 * time.Second, namespaces, "", func(n *nemesis, f Fault) (string, error) {
		i := f.Pick % len(n.fleet.Members)
		return fmt.Sprintf("m%d hears badly", i), n.fleet.Lose(i)
	}, heal},
	"reset": {100 * time.Millisecond, 500 * time.Millisecond, loopback, "", func(n *nemesis, f Fault) (string, error) {
		i := f.Pick % len(n.fleet.Members)
		return fmt.Sprintf("%d connections of m%d reset", n.fleet.Reset(i), i), nil
	}, nothing},
	"half-open": {time.Second, 4 * time.Second, loopback, "", func(n *nemesis, f Fault) (string, error) {
		i := f.Pick % len(n.fleet.Members)
		return fmt.Sprintf("%d connections of m%d half open", n.fleet.HalfOpen(i), i), nil
	}, heal},
	"corrupt": {time.Second, 3 * time.Second, loopback, "etcd's frames have no checksum", func(n *nemesis, f Fault) (string, error) {
		i := f.Pick % len(n.fleet.Members)
		n.fleet.Corrupt(i)
		return fmt.Sprintf("bits flip in what m%d sends", i), nil
	}, heal},
	"disk-full": {2 * time.Second, 5 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		return fmt.Sprintf("m%d has a full disk", len(n.fleet.Members)-1), n.fleet.FillDisk()
	}, func(n *nemesis, f Fault) error { return n.fleet.FreeDisk() }},
	"replace-leader": {0, 0, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		return n.replace(n.leader(f))
	}, nothing},
	"replace-follower": {0, 0, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		return n.replace(n.follower(f))
	}, nothing},
	"grow": {time.Second, 3 * time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		n.changes++
		return "one member more", n.fleet.Add(n.fleet.Spare)
	}, func(n *nemesis, f Fault) error {
		n.changes++
		n.look(n.fleet.Spare.Number)
		_, err := n.fleet.Remove(n.fleet.Spare)
		return err
	}},
	// A test of its own has this one. Pick is how often it kills.
	"kill-leaders": {0, 0, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		for k := range f.Pick {
			if err := n.killAndElect(Fault{Pick: k}); err != nil {
				return "", fmt.Errorf("kill %d: %w", k+1, err)
			}
		}
		return fmt.Sprintf("%d leaders killed", f.Pick), nil
	}, nothing},
	// These two need a run that began with another program (Options.From).
	"upgrade": {0, time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		return n.change(f, n.to)
	}, nothing},
	"downgrade": {0, time.Second, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		return n.change(f, n.from)
	}, nothing},
	// No server can survive this one, and no schedule has it: a test uses it to show
	// that a run can fail.
	"secede": {0, 0, anywhere, "", func(n *nemesis, f Fault) (string, error) {
		i := n.follower(f)
		return fmt.Sprintf("m%d forgets all and is a cluster by itself", i), n.fleet.Secede(i)
	}, nothing},
}

// Kinds are those that a run of this server in this place can be given, in a fixed order.
func Kinds(kind peer.Kind, inNamespaces bool) []string {
	var names []string
	for _, name := range []string{
		"kill-leader", "kill-follower", "kill-all", "crash-loop", "pause-leader", "pause-follower", "leader-alone", "follower-alone", "halves",
		"leader-unheard", "leader-deaf", "one-way-link", "slow-leader", "slow-follower", "lossy", "reset", "half-open", "corrupt", "disk-full",
		"replace-leader", "replace-follower", "grow",
	} {
		f := faultKinds[name]
		if f.where == loopback && inNamespaces || f.where == namespaces && !inNamespaces || f.copseOnly != "" && !kind.IsCopse() {
			continue
		}
		names = append(names, name)
	}
	return names
}
