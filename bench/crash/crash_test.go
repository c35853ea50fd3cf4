package crash_test

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"copse/bench/crash"
	"copse/bench/peer"
	"copse/bench/verdict"
)

var (
	kills  = flag.Int("kills", 50, "how often the server is killed")
	seed   = flag.Uint64("seed", 0, "seed of the load and of the moments; 0 takes a new one")
	server = flag.String("server", string(peer.Copse), "what to kill: copse, etcd35 or etcd34")
)

// TestKill kills a server under load, again and again, and compares its state
// with what was acknowledged and watched.
func TestKill(t *testing.T) {
	drawSeed(t)
	peer.EachShards(t, peer.Kind(*server), kill)
}

func kill(t *testing.T, shards int) {
	t.Parallel() // most of it is waiting for the disk, and for servers that start
	node := peer.Start(t, peer.Kind(*server), peer.Sharded(peer.Kind(*server), shards)...)
	report, err := crash.Run(node, options(t, node, *kills, shards))
	for _, v := range report.Violations {
		t.Error(v)
	}
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d kills; %d writes acknowledged, %d refused, %d of unknown outcome; %d events; %d retries of a first write",
		report.Kills, report.Acked, report.Refused, report.Unknown, report.Events, report.Retries)
	if n := len(report.Restarts); n > 0 {
		slices.Sort(report.Restarts)
		t.Logf("start of the process to its first answer: median %v, longest %v",
			report.Restarts[n/2].Round(time.Millisecond), report.Restarts[n-1].Round(time.Millisecond))
	}
	if report.Kills < *kills || report.Acked == 0 || report.Unknown == 0 {
		t.Errorf("%d kills of %d, %d acknowledged, %d unknown: there was no load during the kills",
			report.Kills, *kills, report.Acked, report.Unknown)
	}
}

func drawSeed(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
}

func options(t *testing.T, node *peer.Server, kills, shards int) crash.Options {
	return crash.Options{
		Endpoint: node.URL,
		Kills:    kills,
		Seed:     *seed,
		Writers:  8,
		Shards:   shards,
		Twice:    6,
		Rewinds:  node.Kind == peer.Copse,
		Logf:     t.Logf,
	}
}

// forgetful loses, at its second kill, everything written since its first, like a
// server that answers before its log is on disk.
type forgetful struct {
	*peer.Server
	t     *testing.T
	kills int
}

func (f *forgetful) Kill() {
	f.Server.Kill()
	f.kills++
	copied := f.DataDir + ".first"
	switch f.kills {
	case 1:
		if err := os.CopyFS(copied, os.DirFS(f.DataDir)); err != nil {
			f.t.Error(err)
		}
	case 2:
		if err := errors.Join(os.RemoveAll(f.DataDir), os.CopyFS(f.DataDir, os.DirFS(copied))); err != nil {
			f.t.Error(err)
		}
	}
}

// TestRunCatchesForgetfulServer shows that a run can fail, and not only Check.
func TestRunCatchesForgetfulServer(t *testing.T) {
	drawSeed(t)
	peer.EachShards(t, peer.Kind(*server), catchForgetfulServer)
}

func catchForgetfulServer(t *testing.T, shards int) {
	t.Parallel()
	node := &forgetful{Server: peer.Start(t, peer.Kind(*server), peer.Sharded(peer.Kind(*server), shards)...), t: t}
	o := options(t, node.Server, 3, shards)
	o.Twice = 0 // between the two, something has to be written
	report, err := crash.Run(node, o)
	t.Log("error: ", err)
	for _, want := range []verdict.Kind{verdict.IndexBack, verdict.LostWrite} {
		if !slices.ContainsFunc(report.Violations, func(v verdict.Violation) bool { return v.Kind == want }) {
			t.Errorf("got %v, want %q among it", report.Violations, want)
		}
	}
}
