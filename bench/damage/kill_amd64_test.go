package damage_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copse/bench/damage"
	"copse/bench/peer"
)

var (
	killSteps   = flag.Int("kill-steps", 4, "at how many steps of its start, its compaction and its stop one member is killed, for each directory; 0 for all")
	killSamples = flag.String("kill-samples", "empty killed", "which directories that are: empty, stopped, killed")
	memberKills = flag.Int("member-kills", 1, "how often a member is killed that sends or takes a snapshot, each")
)

// killWorkers is how many servers run at once: they wait, mostly.
const killWorkers = 2 * workers

// compacted is longer than it takes after a start until the log is compacted, if it is long.
const compacted = 1500 * time.Millisecond

// TestKilledAtSteps kills a member that starts, compacts its log and is asked to stop, at each
// of its system calls that change a file, or at some. It has to start again, with exactly what
// was acknowledged before. One in two is killed at some step of that start as well.
func TestKilledAtSteps(t *testing.T) {
	drawSeed(t)
	for _, shards := range peer.ShardCounts() {
		for _, kind := range strings.Fields(*killSamples) {
			t.Run(fmt.Sprintf("%d shards %s", shards, kind), func(t *testing.T) {
				dir := scratch(t)
				var s *damage.Sample
				var err error
				if kind == "empty" {
					s, err = emptySample(filepath.Join(dir, "sample"), shards)
				} else {
					s, err = damage.NewSample(peer.Kind(*server), filepath.Join(dir, "sample"), shards, kind == "killed", *seed)
				}
				if err != nil {
					t.Fatal(err)
				}
				killAtSteps(t, s, dir, shards)
			})
		}
	}
}

// emptySample is the directory of a server that was never started.
func emptySample(dir string, shards int) (*damage.Sample, error) {
	args := peer.Sharded(peer.Kind(*server), shards)
	if err := os.MkdirAll(filepath.Join(dir, "first"), 0o700); err != nil {
		return nil, err
	}
	node, err := peer.Launch(peer.Kind(*server), peer.Options{Dir: filepath.Join(dir, "first"), Args: args})
	if err != nil {
		return nil, err
	}
	defer node.Kill()
	s := &damage.Sample{Dir: filepath.Join(dir, "none"), Args: args, Place: node.Place()}
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		return nil, err
	}
	if s.Truth, err = damage.Read(context.Background(), &http.Client{}, node.URL, shards); err != nil {
		return nil, err
	}
	s.Truth.Index = 0 // the probes of a start may have counted
	return s, nil
}

func killAtSteps(t *testing.T, s *damage.Sample, dir string, shards int) {
	ports := rand.New(rand.NewPCG(rand.Uint64(), 0))
	var drawing sync.Mutex
	place := func() (p peer.Place, err error) { // anew for each trial: others may take what was free before
		drawing.Lock()
		defer drawing.Unlock()
		free, err := peer.FreePorts(ports, 2)
		if err == nil {
			p = s.Place
			p.Address, p.PeerURL = free[0], "http://"+free[1]
		}
		return p, err
	}
	whole := filepath.Join(dir, "whole")
	if err := s.Copy(whole); err != nil {
		t.Fatal(err)
	}
	here, err := place()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := liveUntil(s, whole, here, 0); err != nil {
		t.Fatal(err)
	}
	all := steps(t, whole)
	rng := rand.New(rand.NewPCG(*seed, uint64(all)))
	chosen := rng.Perm(all)
	if *killSteps > 0 {
		chosen = chosen[:min(all, *killSteps)]
	}
	var next, killed, twice atomic.Int64
	var group sync.WaitGroup
	for w := range killWorkers {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(chosen) {
					return
				}
				step := chosen[i] + 1
				trial := filepath.Join(dir, fmt.Sprintf("worker%d", w))
				here, err := place()
				if err == nil {
					err = s.Copy(trial)
				}
				if err != nil {
					t.Error(err)
					return
				}
				there, err := liveUntil(s, trial, here, step)
				if there {
					killed.Add(1)
				}
				if err == nil && step%2 == 0 {
					if there, err = liveUntil(s, trial, here, 1+step*7919%all); there {
						twice.Add(1)
					}
				}
				if err != nil {
					t.Errorf("step %d: %v", step, err)
				} else if verdict, why := s.Try(peer.Kind(*server), trial, here, shards); verdict != damage.Served {
					t.Errorf("killed at step %d of %d: %s", step, all, why)
					keep(t, trial, step)
				}
				if err := os.RemoveAll(trial); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d steps; killed at %d, and again at %d", all, killed.Load(), twice.Load())
	if killed.Load() == 0 {
		t.Error("it was never killed")
	}
}

// liveUntil starts a server, lets it compact its log, and asks it to stop, unless it was killed
// before, at the step.
func liveUntil(s *damage.Sample, dir string, place peer.Place, step int) (killed bool, err error) {
	node, err := peer.Prepare(peer.Kind(*server), traced(peer.Options{Dir: dir, Args: s.Args}, step, false), place)
	if err != nil {
		return false, err
	}
	if err := node.Relaunch(); err != nil {
		return false, err
	}
	defer node.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if node.WaitServing(ctx) == nil {
		select {
		case <-node.Done():
		case <-time.After(compacted):
		}
		_ = node.Stop() // it may be dead already; if it doesn't stop, its exit says so
	}
	select {
	case <-node.Done():
	case <-ctx.Done():
		return false, fmt.Errorf("it neither serves nor ends\n%s", node.LogTail())
	}
	return diedThere(node)
}

// snapshotLoad is more entries than a member keeps once its log is compacted.
const snapshotLoad = 2000

// newLaggard is a trio whose last member lags so much that it needs a snapshot.
func newLaggard(t *testing.T, dir string, rng *rand.Rand) *trio {
	t.Helper()
	c := newTrio(t, dir, rng)
	all := c.members(t, dir)
	start(t, all[:2]...)
	ready(t, all[:2]...)
	client := &http.Client{}
	for range snapshotLoad {
		if err := c.acked.Write(client, all[0].URL, rng); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(compacted)
	for _, m := range all[:2] {
		m.Kill()
	}
	return c
}

// TestKilledAtSnapshots kills the member that takes a snapshot from another, or one of those that send it,
// at some step: of the latter, what it sends is a step too. All members have to start again and to serve
// what was acknowledged.
func TestKilledAtSnapshots(t *testing.T) {
	drawSeed(t)
	dir := scratch(t)
	rng := rand.New(rand.NewPCG(*seed, 4))
	c := newLaggard(t, filepath.Join(dir, "sample"), rng)
	for _, who := range []struct {
		name   string
		member int
	}{{"receiver", 2}, {"sender", 0}} {
		t.Run(who.name, func(t *testing.T) {
			all := c.killed(t, filepath.Join(dir, "trial"), who.member, 0)
			reached := 0
			for tries := 0; reached < *memberKills && tries < 5**memberKills; tries++ { // no two starts have the same steps
				if c.killed(t, filepath.Join(dir, "trial"), who.member, 1+rng.IntN(all)) > 0 {
					reached++
				}
			}
			t.Logf("%d steps; killed at %d", all, reached)
			if reached == 0 {
				t.Error("it was never killed")
			}
		})
	}
}

// killed starts the trio with one member that is killed at a step, and then starts that again. It
// returns how many steps that member took, 0 if it ended before the one.
func (c *trio) killed(t *testing.T, dir string, member, step int) (took int) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(c.dir)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}()
	all := c.members(t, dir)
	place := c.places[member]
	victim, err := peer.Prepare(peer.Kind(*server), traced(peer.Options{Dir: filepath.Join(dir, place.Name), Args: trioArgs}, step, member != 2), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(victim.Kill)
	defer func() {
		if t.Failed() {
			t.Logf("%s was to be killed at step %d", c.places[member].Name, step)
			for _, m := range all {
				t.Logf("end of %s's log:\n%s", m.Name, m.LogTail())
			}
		}
	}()
	for i, m := range all {
		m.LogFile += ".trial"
		if i == member {
			victim.LogFile = m.LogFile
			m = victim
		}
		start(t, m)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if victim.WaitReady(ctx) == nil {
		// The snapshot may still be on its way to the last one.
		received(ctx, t, c.acked, all[2].URL, victim.Done())
		_ = victim.Stop() // as in liveUntil
	}
	<-victim.Done()
	there, err := diedThere(victim)
	if err != nil {
		t.Fatal(err)
	}
	if there || step == 0 {
		took = steps(t, filepath.Dir(victim.DataDir))
	}
	if step == 0 && slices.Equal(stores(t, c.dir), stores(t, dir)) {
		t.Fatal("the last member took no snapshot")
	}
	start(t, all[member])
	ready(t, all...)
	for _, m := range all {
		received(ctx, t, c.acked, m.URL, nil)
	}
	for _, m := range all {
		m.Kill()
	}
	return took
}

// stores are the names of the stores of the trio's last member. A snapshot makes a new one.
func stores(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "m2", "data", "shard-0001", "store-*"))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return found
}

// received waits until a member has all that was acknowledged, or until end.
func received(ctx context.Context, t *testing.T, acked damage.Acked, base string, end <-chan struct{}) {
	t.Helper()
	for {
		err := acked.Check(&http.Client{}, base)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: %v", base, err)
		}
		select {
		case <-end:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
