package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"copse/bench/cluster/faultproxy"
	"copse/bench/peer"
	"copse/bench/v2api"
)

// Kill ends a member as a crash would.
func (f *Fleet) Kill(i int) {
	m := f.Members[i]
	m.Kill()
	f.pids[i].Store(0)
	m.down, m.paused = true, false
}

// Change stops a member as an operator does, and starts it with another program. It
// returns when the member serves.
func (f *Fleet) Change(i int, to peer.Kind) error {
	m := f.Members[i]
	if err := m.Stop(); err != nil {
		return err
	}
	m.down = true
	if err := m.Exit(); err != nil {
		return fmt.Errorf("%s ended with %w", m.Name, err)
	}
	if err := m.Become(to); err != nil {
		return err
	}
	if err := f.launch(m); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyLimit)
	defer cancel()
	return m.WaitReady(ctx)
}

// Restart starts a member that is down, and doesn't wait until it serves.
func (f *Fleet) Restart(i int) error { return f.launch(f.Members[i]) }

// Revive starts all members that are down, including those that ended by themselves, and
// resumes paused ones. It returns the members that it started.
func (f *Fleet) Revive() (started []int, err error) {
	for _, m := range f.Members {
		if m.paused {
			if err := f.Resume(m.Number); err != nil {
				return started, err
			}
		}
		if !m.down && !m.ended() {
			continue
		}
		if err := f.launch(m); err != nil {
			return started, err
		}
		started = append(started, m.Number)
	}
	return started, nil
}

func (m *Member) ended() bool {
	select {
	case <-m.Done():
		return true
	default:
		return false
	}
}

// Ended reports whether a member's process has ended.
func (f *Fleet) Ended(i int) bool { return f.Members[i].ended() }

// Died reports whether a member's process ended although nobody killed it.
func (f *Fleet) Died(i int) bool { return f.Members[i].ended() && !f.Members[i].down }

// LastPanic is the last line of a member's log that says why it ended.
func (m *Member) LastPanic() string {
	log, err := os.ReadFile(m.LogFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.HasPrefix(lines[i], "panic: ") || strings.HasPrefix(lines[i], "fatal error: ") {
			return lines[i]
		}
	}
	return lines[len(lines)-1]
}

// Pause stops a member in its tracks.
func (f *Fleet) Pause(i int) error {
	f.Members[i].paused = true
	return f.Members[i].Pause()
}

// Resume continues a paused member.
func (f *Fleet) Resume(i int) error {
	f.Members[i].paused = false
	return f.Members[i].Resume()
}

// Cut blocks everything that from sends to to.
func (f *Fleet) Cut(from, to int) error {
	if f.net != nil {
		return f.net.Cut(from, to)
	}
	f.mesh.Set(from, to, faultproxy.Rule{Hold: true})
	return nil
}

const (
	slowRate  = 200_000 // bytes a second
	slowDelay = 60 * time.Millisecond
	lossRate  = 15 // percent of the packets
)

// Slow makes all that a member sends slow.
func (f *Fleet) Slow(i int) error {
	if f.net != nil {
		return f.net.Slow(i, slowRate, 300)
	}
	for to := range f.Members {
		f.mesh.Set(i, to, faultproxy.Rule{Delay: slowDelay, Rate: slowRate})
	}
	return nil
}

// Lose drops packets on their way to a member; in namespaces only.
func (f *Fleet) Lose(i int) error {
	if f.net == nil {
		return errors.New("proxies can't lose packets")
	}
	return f.net.Lose(i, lossRate)
}

// Reset cuts a member's connections to its peers; on the loopback only.
func (f *Fleet) Reset(i int) int { return f.mesh.Reset(i) }

// HalfOpen closes the dialling ends of a member's connections to its peers;
// on the loopback only.
func (f *Fleet) HalfOpen(i int) int { return f.mesh.HalfOpen(i) }

// Corrupt flips bits in what a member sends; on the loopback only.
func (f *Fleet) Corrupt(i int) {
	for to := range f.Members {
		f.mesh.Set(i, to, faultproxy.Rule{Corrupt: 0.2})
	}
}

// Heal makes the network whole.
func (f *Fleet) Heal() error {
	if f.net != nil {
		return f.net.Heal()
	}
	f.mesh.Heal()
	return nil
}

// FillDisk leaves no room on the last member's disk, FreeDisk makes room again.
func (f *Fleet) FillDisk() error { return f.disk.fill() }

// FreeDisk makes room again.
func (f *Fleet) FreeDisk() error { return f.disk.free() }

// askLimit bounds how long a member may take to name the leader.
const askLimit = 500 * time.Millisecond

// Leader is the member that most running members consider the leader.
func (f *Fleet) Leader() (int, bool) { return f.elect((*Member).leader) }

// ShardLeader is the member that most running members consider the leader of one
// of several shards.
func (f *Fleet) ShardLeader(slot int) (int, bool) {
	return f.elect(func(m *Member) (string, error) { return m.shardLeader(slot) })
}

func (f *Fleet) elect(ask func(*Member) (string, error)) (int, bool) {
	votes := map[string]int{}
	for _, m := range f.Members {
		if !m.paused && !m.down {
			if name, err := ask(m); err == nil {
				votes[name]++
			}
		}
	}
	best, number := 0, -1
	for _, m := range f.Members {
		if votes[m.Name] > best && !m.down {
			best, number = votes[m.Name], m.Number
		}
	}
	return number, number >= 0
}

func (m *Member) leader() (string, error) {
	var leader struct {
		Name string `json:"name"`
	}
	err := m.ask("/v2/members/leader", &leader)
	return leader.Name, err
}

// ask reads JSON from a member, within askLimit.
func (m *Member) ask(path string, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	return v2api.GetJSON(ctx, v2api.NewClient(m.Dial, 0), m.URL+path, into)
}
