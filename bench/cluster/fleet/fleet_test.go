package fleet_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"copse/bench/cluster/fleet"
	"copse/bench/peer"
	"copse/bench/v2api"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, opts fleet.Options) *fleet.Fleet {
	t.Helper()
	opts.Kind, opts.Members, opts.Seed = peer.Etcd34, 3, 1
	f, err := fleet.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(f.Logs(2000))
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// put sends one write to a member, with a short timeout.
func put(t *testing.T, m *fleet.Member, timeout time.Duration) v2api.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	reply, err := v2api.Do(ctx, v2api.NewClient(m.Dial, 0), m.URL, &v2api.Request{Method: http.MethodPut, Key: "/a", Value: "1"})
	outcome, _, _ := reply.Parse(err)
	return outcome
}

// eventually tries until a write is acknowledged.
func eventually(t *testing.T, m *fleet.Member) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); put(t, m, time.Second) != v2api.Acked; {
		if time.Now().After(deadline) {
			t.Fatalf("%s takes no writes", m.Name)
		}
	}
}

func leader(t *testing.T, f *fleet.Fleet) int {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; {
		if i, ok := f.Leader(); ok {
			return i
		}
		if time.Now().After(deadline) {
			t.Fatal("no leader")
		}
	}
}

// A leader that is cut off, both ways or either way, gets nothing acknowledged;
// that shows that the network knows which bytes are whose.
func TestNetworkCuts(t *testing.T) {
	for _, where := range []struct {
		name       string
		namespaces bool
	}{{"loopback", false}, {"namespaces", true}} {
		t.Run(where.name, func(t *testing.T) {
			f := start(t, fleet.Options{Namespaces: where.namespaces})
			for _, cut := range []struct {
				name     string
				from, to bool // what the leader sends, what is sent to it
			}{{"both ways", true, true}, {"what it sends", true, false}, {"what it is sent", false, true}} {
				i := leader(t, f)
				for j := range f.Members {
					if j == i {
						continue
					}
					if cut.from {
						if err := f.Cut(i, j); err != nil {
							t.Fatal(err)
						}
					}
					if cut.to {
						if err := f.Cut(j, i); err != nil {
							t.Fatal(err)
						}
					}
				}
				if got := put(t, f.Members[i], 1500*time.Millisecond); got == v2api.Acked {
					t.Errorf("cut %s: the leader's write is %v", cut.name, got)
				}
				if cut.from && cut.to {
					eventually(t, f.Members[(i+1)%3])
				}
				if err := f.Heal(); err != nil {
					t.Fatal(err)
				}
				eventually(t, f.Members[i])
			}
		})
	}
}

func TestPauseKillRevive(t *testing.T) {
	f := start(t, fleet.Options{})
	if err := f.Pause(0); err != nil {
		t.Fatal(err)
	}
	if got := put(t, f.Members[0], 500*time.Millisecond); got != v2api.Unknown {
		t.Errorf("a paused member's write is %v", got)
	}
	f.Kill(1)
	if got := put(t, f.Members[1], 500*time.Millisecond); got != v2api.NotSent {
		t.Errorf("a dead member's write is %v", got)
	}
	if f.Died(1) || !f.Ended(1) {
		t.Errorf("killed by us: died %v, ended %v", f.Died(1), f.Ended(1))
	}
	started, err := f.Revive()
	if err != nil || !slices.Equal(started, []int{1}) {
		t.Fatalf("started %v: %v", started, err)
	}
	if err := f.WaitReady(); err != nil {
		t.Fatal(err)
	}
	// A member that nobody killed.
	if err := syscall.Kill(f.Members[2].PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-f.Members[2].Done()
	if !f.Died(2) {
		t.Error("it ended although nobody killed it")
	}
}

func TestDiskFills(t *testing.T) {
	f := start(t, fleet.Options{SmallDisk: 192 << 20})
	file := filepath.Join(f.Members[2].DataDir, "file")
	write := func() error { return os.WriteFile(file, make([]byte, 4096), 0o644) }
	if err := f.FillDisk(); err != nil {
		t.Fatal(err)
	}
	if err := write(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
	if err := f.FreeDisk(); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Errorf("on a disk with room: %v", err)
	}
	dir := filepath.Dir(f.Members[2].DataDir)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("%s is still mounted (%v)", dir, err)
	}
}

func TestMembersComeAndGo(t *testing.T) {
	f := start(t, fleet.Options{Spare: true})
	if err := f.Add(f.Spare); err != nil {
		t.Fatal(err)
	}
	eventually(t, f.Spare)
	i := leader(t, f)
	if _, err := f.Remove(f.Members[i]); err != nil {
		t.Fatal(err)
	}
	eventually(t, f.Spare)
	if err := f.Add(f.Members[i]); err != nil {
		t.Fatal(err)
	}
	eventually(t, f.Members[i])
	if ended, err := f.Remove(f.Spare); err != nil || !ended {
		t.Errorf("the removed member ended by itself: %v (%v)", ended, err)
	}
}
