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
	{"a new leader; a write in each shard, and a writer that gives up", "-DWRITES=2 -DCHANGES=1 -DDEADLINES=1"},
	{"a new leader; both writes in its shard", "-DWRITES=2 -DCHANGES=1 -DSECOND=0"},
	{"asks lost and batches late; a write in each shard", "-DWRITES=2 -DTIMEOUTS=2"},
	{"asks lost and batches late; both writes in one shard", "-DWRITES=2 -DTIMEOUTS=2 -DSECOND=0 -DDEADLINES=1"},
	{"asks lost and batches late, and a new leader", "-DWRITES=1 -DCHANGES=1 -DTIMEOUTS=2"},
	{"POST / and a new leader", "-DWRITES=2 -DROOT=2 -DCHANGES=1"},
	{"POST /, an ask lost or a batch late", "-DWRITES=2 -DROOT=2 -DTIMEOUTS=1"},
	{"batches dropped", "-DWRITES=2 -DSECOND=0 -DDROPS=1 -DTIMEOUTS=1"},
	{"replicas brought up by snapshots", "-DWRITES=3 -DJUMPS=1 -DORDERJUMPS=1"},
	{"a member that starts again", "-DWRITES=2 -DRESTARTS=1 -DLAG=5"},
	{"one shard: leadership taken and taken back", "-DDENSE -DWRITES=2 -DCHANGES=2"},
	{"one shard: a batch dropped and a new leader", "-DDENSE -DWRITES=3 -DDROPS=1 -DCHANGES=1"},
	{"one shard: messages lost or late", "-DDENSE -DWRITES=3 -DLOSSES=2 -DELSEWHERE=7"},
	{"one shard: a message lost or late, and leadership taken and taken back", "-DDENSE -DWRITES=1 -DELSEWHERE=1 -DLOSSES=1 -DCHANGES=2"},
	{"one shard: a replica brought up by a snapshot, and a new leader", "-DDENSE -DWRITES=2 -DJUMPS=1 -DCHANGES=1"},
}

// large ones aren't: they get as far as -minutes lets them.
var large = []struct{ name, defines string }{
	{"everything but restarts", "-DWRITES=4 -DROOT=8 -DFAILS=1 -DCHANGES=2 -DCHANGING=2 -DTIMEOUTS=2 -DDROPS=1 -DLOSSES=1 -DDEADLINES=1 -DJUMPS=1 -DORDERJUMPS=2"},
	{"restarts and everything else", "-DWRITES=3 -DROOT=4 -DCHANGES=1 -DCHANGING=2 -DTIMEOUTS=1 -DDROPS=1 -DLOSSES=1 -DJUMPS=1 -DORDERJUMPS=1 -DRESTARTS=2 -DLAG=12"},
	{"one shard, and everything", "-DDENSE -DWRITES=4 -DCHANGES=3 -DDROPS=2 -DLOSSES=3 -DDEADLINES=1 -DJUMPS=1 -DRESTARTS=1 -DLAG=12"},
}

func TestThePromisesAreKept(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
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
		{"NO_EPOCH_CHECK", "a batch of a lower epoch is applied after one of a higher",
			"-DDENSE -DWRITES=2 -DCHANGES=1", "no write is applied twice"},
		{"CLOSE_LOWERS", "a Close sets the settled index rather than raising it",
			"-DWRITES=3 -DCHANGES=1", "c never falls"},
		{"LATE_JOIN", "a batch takes in writes that came after it was asked for",
			"-DWRITES=3", "a write gets more than was shown before"},
		{"ANSWER_BY_SHARD", "an ask takes the next range handed to its shard, whoever asked for that",
			"-DWRITES=3 -DTIMEOUTS=1 -DLAG=1", "a write gets more than was shown before"},
		{"REPROPOSE_LATE", "a batch that is late is proposed again, though raft hasn't dropped it",
			"-DWRITES=2 -DDENSE -DTIMEOUTS=1", "no write is applied twice"},
		{"ANY_EPOCH", "a leader takes a submission that was meant for it in an earlier epoch",
			"-DDENSE -DWRITES=1 -DELSEWHERE=1 -DLOSSES=1 -DCHANGES=2", "no write is applied twice"},
		{"TAKE_REFUSED", "a leader takes a submission that comes after all, when its number was missing and refused",
			"-DDENSE -DWRITES=2 -DELSEWHERE=3 -DLOSSES=1", "no write is applied twice"},
		{"NO_FENCE", "a new leader proposes nothing before it has writes",
			"-DDENSE -DWRITES=2 -DCHANGES=1", "every write is answered"},
		{"CLOSE_OWN", "a leader closes while a batch of its own is on its way",
			"-DWRITES=2", "without a fault nothing is asked for twice"},
		{"NO_LATE_CLOSE", "a new leader closes what was open when it came, but not what an old one asks for later",
			"-DWRITES=2 -DCHANGES=1", "c reaches the counter"},
		{"REFUSE_PROPOSED", "a leader that resigns refuses what it has proposed, too",
			"-DDENSE -DWRITES=2 -DCHANGES=1", "no write is applied twice"},
		{"FOLLOW_THE_OUTRUN", "a member sends writes to a leader whose epoch its own replica has gone past, or leads on in it",
			"-DDENSE -DWRITES=2 -DCHANGES=1", "every write is answered"},
		{"WITHOUT_RANGES", "c is found from the last index handed out and the settled one, without the ranges between",
			"-DWRITES=3", "c never falls"},
		{"SNAPSHOT_FORGETS", "ranges that the order replica went past in a snapshot are not waited for",
			"-DWRITES=2 -DORDERJUMPS=1", "c passes nothing that is not applied"},
		{"NO_GATE", "a member serves at once when it starts again",
			"-DWRITES=2 -DRESTARTS=1 -DLAG=5", "c never falls"},
		{"LAST_FROM_COUNTER", "a read shows the counter as its index",
			"-DWRITES=2", "no event comes at or below an index that its shard showed"},
		{"WATCH_TO_COUNTER", "a watcher on / gets events up to the counter, not up to c",
			"-DWRITES=2", "c passes nothing that is not applied"},
		{"RESEND_UNFENCED", "a member sends writes again as soon as there is another leader",
			"-DDENSE -DWRITES=2 -DCHANGES=1", "no write is applied twice"},
		{"RESEND_AFTER_JUMP", "a member sends writes again that its replica has jumped over",
			"-DDENSE -DWRITES=2 -DJUMPS=1 -DCHANGES=1", "no write is applied twice"},
		{"NO_PROBE", "a member never asks for what may have been lost on its way to the leader",
			"-DDENSE -DWRITES=2 -DELSEWHERE=3 -DLOSSES=1", "every write is answered"},
	} {
		t.Run(strings.ToLower(m.mutant), func(t *testing.T) {
			t.Parallel()
			v := run(t, search{defines: m.defines, mutant: m.mutant})
			if v.broken != m.promise {
				t.Fatalf("%s (%s): broken: %q, want %q\n%s", m.rule, m.defines, v.broken, m.promise, v.output)
			}
		})
	}
}
