package model_test

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
)

var minutes = flag.Int("minutes", 0, "how long to search at random through states that are too many to see all, for each of the large scenarios")

// scenarios are small enough for every order of events to be tried.
var scenarios = []struct{ name, defines string }{
	{"four writes, one of them refused by its condition", "-DWRITES=4 -DFAILS=8"},
	{"a new leader while the old one goes on; a write in each shard", "-DWRITES=2 -DCHANGES=1 -DOLDACTS=2"},
	{"a new leader while the old one goes on; both writes in its shard", "-DWRITES=2 -DCHANGES=1 -DOLDACTS=2 -DSECOND=0"},
	{"leadership taken and taken back", "-DWRITES=2 -DCHANGES=2"},
	{"asks and batches lost; a write in each shard", "-DWRITES=2 -DTIMEOUTS=2"},
	{"asks and batches lost; both writes in one shard", "-DWRITES=2 -DTIMEOUTS=2 -DSECOND=0"},
	{"a proposal lost and a new leader", "-DWRITES=2 -DCHANGES=1 -DTIMEOUTS=1 -DLAG=2"},
	{"POST / and a new leader", "-DWRITES=2 -DROOT=2 -DCHANGES=1 -DOLDACTS=1"},
	{"POST / and a proposal lost", "-DWRITES=2 -DROOT=2 -DTIMEOUTS=1"},
	{"replicas brought up by snapshots", "-DWRITES=3 -DJUMPS=1 -DORDERJUMPS=1"},
	{"a replica brought up by a snapshot, and a new leader", "-DWRITES=2 -DSECOND=0 -DJUMPS=1 -DCHANGES=1"},
	{"members that start again", "-DWRITES=2 -DRESTARTS=2 -DLAG=5"},
	{"a member that starts again, and ranges merged", "-DWRITES=2 -DRESTARTS=1 -DORDERJUMPS=1 -DLAG=5"},
}

// large ones aren't: they get as far as -minutes lets them.
var large = []struct{ name, defines string }{
	{"everything but restarts", "-DWRITES=4 -DROOT=8 -DFAILS=1 -DCHANGES=2 -DCHANGING=2 -DOLDACTS=2 -DTIMEOUTS=2 -DJUMPS=1 -DORDERJUMPS=2"},
	{"restarts and everything else", "-DWRITES=3 -DROOT=4 -DCHANGES=1 -DCHANGING=2 -DOLDACTS=1 -DTIMEOUTS=1 -DJUMPS=1 -DORDERJUMPS=1 -DRESTARTS=2 -DLAG=12"},
}

func TestThePromisesAreKept(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			v := run(t, search{defines: s.defines})
			if v.broken != "" || !v.whole() {
				t.Fatalf("%s: broken: %q\n%s", s.defines, v.broken, v.output)
			}
			t.Logf("%s states", v.states)
		})
	}
	for _, s := range large {
		for spent := 0; spent < *minutes; spent += 5 {
			t.Run(s.name, func(t *testing.T) {
				seed := 1 + rand.IntN(1<<20)
				t.Logf("seed %d", seed)
				v := run(t, search{defines: s.defines, seed: seed, minutes: min(5, *minutes-spent)})
				if v.broken != "" {
					t.Fatalf("%s: broken: %q\n%s", s.defines, v.broken, v.output)
				}
				t.Logf("%s states", v.states)
			})
		}
	}
}

// Each mutant breaks one rule of docs/SHARDS.md, and a promise falls.
func TestEveryRuleIsNeeded(t *testing.T) {
	for _, m := range []struct{ mutant, rule, defines, promise string }{
		{"NO_STALE_CHECK", "a batch that starts at or below the settled index is applied",
			"-DWRITES=2 -DTIMEOUTS=1", "a watcher on / has passed nothing that is still to come"},
		{"CLOSE_LOWERS", "a Close sets the settled index rather than raising it",
			"-DWRITES=2 -DCHANGES=1", "c never falls"},
		{"CLOSE_OWN", "a leader closes while a batch of its own is on its way",
			"-DWRITES=2", "without a fault nothing is asked for twice"},
		{"NO_LATE_CLOSE", "a new leader closes what was open when it came, but not what an old one asks for later",
			"-DWRITES=2 -DCHANGES=1 -DOLDACTS=1", "c reaches the counter"},
		{"NO_DOUBT", "a leader never closes over a batch of its own, lost as it may be",
			"-DWRITES=2 -DTIMEOUTS=1", "every write is answered"},
		{"WITHOUT_RANGES", "c is found from the last index handed out and the settled one, without the ranges between",
			"-DWRITES=3", "c never falls"},
		{"WATCH_TO_COUNTER", "a watcher on / gets events up to the counter, not up to c",
			"-DWRITES=2", "c passes nothing that is not applied"},
		{"LAST_FROM_COUNTER", "a read shows the counter as its index",
			"-DWRITES=2", "no event comes at or below an index that its shard showed"},
		{"LATE_JOIN", "a batch takes in writes that came after it was asked for",
			"-DWRITES=3", "a write gets more than was shown before"},
		{"ANSWER_BY_SHARD", "an ask takes the next range handed to its shard, whoever asked for that",
			"-DWRITES=3 -DTIMEOUTS=1 -DLAG=1", "a write gets more than was shown before"},
		{"RETRY_UNKNOWN", "a batch that timed out is asked for again at once",
			"-DWRITES=2 -DTIMEOUTS=1", "no write is applied twice"},
		{"RETRY_AFTER_SNAPSHOT", "a batch whose range a snapshot has settled is taken for refused",
			"-DWRITES=2 -DJUMPS=1", "no write is applied twice"},
		{"SNAPSHOT_FORGETS", "ranges that the order replica went past in a snapshot are not waited for",
			"-DWRITES=2 -DORDERJUMPS=1", "c passes nothing that is not applied"},
		{"NO_GATE", "a member serves at once when it starts again",
			"-DWRITES=2 -DRESTARTS=1 -DLAG=5", "c never falls"},
		{"ROOT_INDEX_FIRST", "a POST / asks for an index first, and goes to the shard that its name then belongs to",
			"-DWRITES=3 -DROOT=4", "without a fault nothing is asked for twice"},
	} {
		t.Run(strings.ToLower(m.mutant), func(t *testing.T) {
			v := run(t, search{defines: m.defines, mutant: m.mutant})
			if v.broken != m.promise {
				t.Fatalf("%s (%s): broken: %q, want %q\n%s", m.rule, m.defines, v.broken, m.promise, v.output)
			}
		})
	}
}
