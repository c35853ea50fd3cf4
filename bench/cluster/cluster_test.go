package cluster_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/bench/cluster"
	"copse/bench/cluster/check"
	"copse/bench/cluster/fleet"
	"copse/bench/cluster/history"
	"copse/bench/peer"
	"copse/bench/v2api"
	"copse/bench/verdict"

	"go.uber.org/goleak"
)

var (
	server   = flag.String("cluster.server", string(peer.Copse), "what to run: copse, copse+race, copse+TAG, etcd35 or etcd34")
	from     = flag.String("cluster.from", "", "the program of an earlier copse, which the members run until they are upgraded, one after the other; it can't join")
	members  = flag.Int("cluster.members", 3, "how many members")
	duration = flag.Duration("cluster.duration", 2*time.Minute, "how long there are faults, on the loopback and in namespaces together, for each number of shards")
	seed     = flag.Uint64("cluster.seed", 0, "seed of the schedule and of the load; 0 takes a new one")
	schedule = flag.String("cluster.schedule", "", "a file with a schedule to replay, instead of one from the seed")
	faults   = flag.String("cluster.faults", "", "kinds of faults to draw from, with commas; none is all that the server can bear")
	kills    = flag.Int("cluster.kills", 200, "how often leaders are killed one after the other, over all numbers of shards")
	args     = flag.String("cluster.args", "", "further flags of the servers")
	failures = flag.String("cluster.failures", filepath.Join(os.TempDir(), "copse-cluster-failures"), "where a failed run leaves its history, logs and pictures")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// registerLimit is porcupine's time for one register.
const registerLimit = 5 * time.Minute

func TestFaultsOnLoopback(t *testing.T) {
	peer.EachShards(t, peer.Kind(*server), func(t *testing.T, shards int) { run(t, false, shards) })
}

func TestFaultsInNamespaces(t *testing.T) {
	peer.EachShards(t, peer.Kind(*server), func(t *testing.T, shards int) { run(t, true, shards) })
}

func run(t *testing.T, namespaces bool, shards int) {
	t.Parallel() // most of a run is waiting
	opts := cluster.Options{
		Kind: peer.Kind(*server), Members: *members, Namespaces: namespaces, Shards: shards, Seed: *seed, Args: strings.Fields(*args), Logf: t.Logf,
	}
	if opts.Seed == 0 {
		opts.Seed = rand.Uint64()
	}
	var err error
	if *schedule != "" {
		opts.Schedule, err = cluster.ReadSchedule(*schedule)
	} else {
		kinds := cluster.Kinds(opts.Kind, namespaces)
		if *faults != "" {
			chosen := strings.Split(*faults, ",")
			kinds = slices.DeleteFunc(kinds, func(kind string) bool { return !slices.Contains(chosen, kind) })
		}
		if *from != "" {
			opts.From = peer.Built(*from)
			kinds = slices.DeleteFunc(kinds, func(kind string) bool {
				return kind == "grow" || strings.HasPrefix(kind, "replace-") // the earlier one can't join the later ones
			})
		}
		opts.Schedule = cluster.NewSchedule(opts.Seed, *duration/2, kinds)
		if *from != "" {
			opts.Schedule = opts.Schedule.Upgrading(*duration / 2)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d; the schedule, to be replayed with -cluster.schedule:\n%v", opts.Seed, opts.Schedule)
	carryOut(t, opts)
}

// TestKillsOfTheLeader kills whoever leads, again and again, under the whole load.
func TestKillsOfTheLeader(t *testing.T) {
	peer.EachShards(t, peer.Kind(*server), func(t *testing.T, shards int) {
		t.Parallel()
		opts := cluster.Options{
			Kind: peer.Kind(*server), Members: *members, Shards: shards, Seed: *seed, Logf: t.Logf,
			Args:     append([]string{"--heartbeat-interval=20", "--election-timeout=200"}, strings.Fields(*args)...),
			Schedule: cluster.Schedule{{At: time.Second, Kind: "kill-leaders", Pick: *kills / len(peer.ShardCounts())}},
		}
		if opts.Seed == 0 {
			opts.Seed = rand.Uint64()
		}
		t.Logf("seed %d", opts.Seed)
		carryOut(t, opts)
	})
}

// carryOut does a run, and judges it.
func carryOut(t *testing.T, opts cluster.Options) {
	t.Helper()
	dir := filepath.Join(*failures, fmt.Sprintf("%s-%d", t.Name(), opts.Seed))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h, err := cluster.Run(opts, func(f *fleet.Fleet) {
		if err := f.CopyLogs(dir); err != nil {
			t.Error(err)
		}
		t.Logf("%s", f.Logs(1500))
	})
	if err != nil {
		t.Fatal(err)
	}
	judge(t, h, dir)
	if !t.Failed() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}

// TestRunCatchesMemberThatSecedes shows that a run can fail, and not only a
// forged history.
func TestRunCatchesMemberThatSecedes(t *testing.T) {
	peer.EachShards(t, peer.Kind(*server), catchSecession)
}

func catchSecession(t *testing.T, shards int) {
	t.Parallel()
	opts := cluster.Options{
		Kind: peer.Kind(*server), Members: 3, Shards: shards, Seed: 1, Logf: t.Logf, SettleLimit: 5 * time.Second,
		// The second one does no harm: until then clients move between the two.
		Schedule: cluster.Schedule{{At: time.Second, Kind: "secede"}, {At: 8 * time.Second, Kind: "reset"}},
	}
	h, err := cluster.Run(opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	found, _ := check.Check(h)
	for _, want := range []verdict.Kind{verdict.IndexBack, verdict.IndexReused, verdict.StaleRead, verdict.MemberDiffer} {
		if !slices.ContainsFunc(found, func(v verdict.Violation) bool { return v.Kind == want }) {
			t.Errorf("got %q, want %q among it", distinct(found), want)
		}
	}
	registers, _ := check.Registers(h, t.TempDir(), time.Minute)
	if !slices.ContainsFunc(registers, func(v verdict.Violation) bool { return v.Kind == verdict.NotLinear }) {
		t.Errorf("porcupine: got %v, want %q", registers, verdict.NotLinear)
	}
}

func distinct(found []verdict.Violation) []verdict.Kind {
	var kinds []verdict.Kind
	for _, v := range found {
		if !slices.Contains(kinds, v.Kind) {
			kinds = append(kinds, v.Kind)
		}
	}
	return kinds
}

// judge has a history checked, and keeps it if it's bad.
func judge(t *testing.T, h *history.History, dir string) {
	counts := map[v2api.Outcome]int{}
	for _, op := range h.Ops {
		counts[op.Outcome]++
	}
	events, cleared := 0, 0
	for _, w := range h.Watches {
		for _, e := range w.Entries {
			if e.Event != nil {
				events++
			} else {
				cleared++
			}
		}
	}
	t.Logf("%d requests acknowledged, %d refused, %d of unknown outcome, %d not sent; indexes %d to %d; %d events, %d times the window had moved on",
		counts[v2api.Acked], counts[v2api.Refused], counts[v2api.Unknown], counts[v2api.NotSent], h.Start, h.End, events, cleared)
	begin := time.Now()
	found, stats := check.Check(h)
	checked := time.Since(begin)
	irregular, judged := check.Registers(h, dir, registerLimit)
	t.Logf("%v", stats)
	t.Logf("checked in %v; %d operations on registers by porcupine in %v", checked.Round(time.Millisecond), judged, (time.Since(begin) - checked).Round(time.Millisecond))
	for _, v := range append(found, irregular...) {
		t.Error(v)
	}
	if peer.Kind(*server).IsCopse() && *from == "" && (stats.Txns < 20 || stats.Repeats < 20 || stats.Resumed < 5) {
		t.Error(verdict.Undecided, ": too few transactions, repeated requests or resumed streams")
	}
	if counts[v2api.Acked] < 1000 || counts[v2api.Unknown] == 0 || judged < 100 {
		t.Error(verdict.Undecided, ": there was too little load, or no fault")
	}
	if t.Failed() {
		if err := h.Save(filepath.Join(dir, "history.json")); err != nil {
			t.Error(err)
		}
		t.Logf("history, logs and pictures are in %s", dir)
	}
}
