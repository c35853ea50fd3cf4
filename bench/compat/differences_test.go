package compat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// differences are the answers in which copse differs from etcd on purpose.
// docs/differences.md says the same to users, one heading for each. In a
// transcript, "---- copse NAME" puts copse's answer after etcd's.
//
// Those marked in code are not visible in a transcript: there the comparison
// itself allows for them.
var differences = []struct {
	name   string
	inCode bool
	reason string
}{
	{"absurd-ttl", false, "a ttl that leads beyond the year 2262 is refused; etcd takes it for another time"},
	{"auth-certificates", true, "the CN of the client's own certificate is a user; etcd takes those of the authorities too; no transcript has certificates"},
	{"auth-guest", true, "what is recursive needs a pattern with a star; etcd's guest doesn't; see leaks"},
	{"auth-index", true, "users and roles take no index; etcd has them in its tree; see newPlayer and newAuthFleet"},
	{"auth-init", true, "root, a closed guest and auth in one step; a path that etcd doesn't have"},
	{"auth-names", true, "a user's name is no path, and .. is resolved before patterns are compared; see seedUser"},
	{"auth-passwords", true, "the whole password counts; etcd 3.4 looks at 72 bytes"},
	{"auth-settings", true, "the log level is for the role root, and without auth for this machine; etcd 3.5 has no such route"},
	{"auth-size", true, "users and roles have bounds; no transcript makes a million of them"},
	{"auth-unavailable", true, "without a leader a change is answered after one time-out, and says why"},
	{"auth-updates", true, "no change is lost to another; etcd loses some, which no transcript can show"},
	{"auth-watches", false, "a watch ends with its permission; etcd asks once"},
	{"cluster-id-everywhere", true, "every answer says whose it is; etcd leaves that out of some; see withoutExtraIDs"},
	{"content-length", false, "a body is announced by its length, unless it is a watch or a long listing; etcd sends more than 2 KiB in chunks"},
	{"cors-off", true, "no origin is allowed unless --cors says so, as in etcd 2; see serverArgs"},
	{"debug-vars", true, "raft.status has no vote and no progress; no transcript shows numbers that change"},
	{"deep-keys", true, "a key that would make gigabytes of directories is refused; no transcript goes so deep"},
	{"etag", true, "reads have tags, and are not repeated for whoever has them; see normaliser.headers, and TestAnswersOnTheWire in httpfront"},
	{"failures-are-failures", false, "the statistics count every refused operation as failed, once; etcd counts some as done, some twice"},
	{"front-page", true, "a browser gets a page of links at /; see TestTheFrontPage in httpfront"},
	{"gzip", true, "listings are compressed for whoever takes that; no transcript says so, see TestListingsAreCompressedForWhoeverWants in httpfront"},
	{"half-closed", false, "who closes his half of the connection while he waits is gone; etcd ends the empty answer in good order"},
	{"header-limit", true, "a long request line is answered, up to the limit for all headers; etcd 3.4 resets the connection after 4 KiB of it, unless that is TLS"},
	{"history-obeys-live-rules", false, "a watch that history answers sees what a live one would have seen; also tolerated() in parked_test.go"},
	{"listing-order", true, "listings are always sorted; etcd's order changes from answer to answer; see sortedListing"},
	{"malformed-http", false, "what is no HTTP, or could be read in two ways, gets a complete answer and is not interpreted; etcd drops some of it silently"},
	{"members-reasons", false, "a removal that would lose the quorum is refused with the reason; etcd puts that into its log"},
	{"members-take-no-index", false, "a change of the members is none of the tree's; etcd keeps members in the tree, and gives each change an index or two"},
	{"members-without-a-vote", true, "a member that was added has no vote until it has caught up, so writes go on; etcd's counts at once; see members.txt, which etcd ends with"},
	{"metrics", true, "etcd's names for its v2 store are there, the others are copse's own; see main's TestEveryName…"},
	{"new-generation", true, "term and index jump, and the past is 401; no transcript has --force-new-cluster, see testdata/forcenew.txtar"},
	{"no-v3", false, "there is no v3 API and no gateway to it"},
	{"probes", false, "/livez and /readyz are there; etcd has them with its v3 API alone"},
	{"reads-count-once", true, "a request counts as one read at most; etcd counts reads of its auth flag; see player.counts"},
	{"removed-once", false, "a stream is told of a removal once; etcd repeats it; also deliveries() in parked_test.go"},
	{"restart-takes-no-index", false, "a restart changes nothing; etcd publishes its member again, which takes an index"},
	{"shards-gaps", false, "with several shards indexes have gaps; they are compared by rank, and none after the next is named; see ranks and watch in random_test.go"},
	{"shards-headers", true, "with several shards a header tells of one shard, or of all; the tests let all come to rest first; see settle"},
	{"shards-window", false, "with several shards each has a window of its own, where etcd says 401; see park and windowForm"},
	{"stream-goes-on", false, "a stream that starts in the past delivers all of it and goes on; etcd delivers one event and is silent"},
	{"ttl-pause", true, "a ttl stands still without a leader; no transcript stops a leader, see actors.TestTimesToLiveWaitForALeader"},
	{"window-of-names", true, "with --event-history-per-prefix a waitIndex may succeed that etcd answers with 401; off by default, see testdata/history.txtar"},
	{"version", true, "/version says which etcd's API is spoken, not whose server it is; see normaliser.text"},
}

func TestDifferences(t *testing.T) {
	doc, err := os.ReadFile("../../docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, path := range paths {
		sc, err := readScript(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range sc.steps {
			for _, line := range st.comment {
				if mark, found := strings.CutPrefix(line, withoutMark+"copse4: "); found {
					used[mark] = true
				}
			}
			for _, a := range st.answers {
				who, reason, _ := strings.Cut(a.who, " ")
				if !strings.HasPrefix(who, "copse") {
					continue
				}
				used[reason] = true
				if who == "copse" && same(st.answer("").lines, a.lines) {
					t.Errorf("%s:%d: %s is not a difference any more", path, st.line, a.who)
				}
			}
		}
	}
	known := map[string]bool{}
	for _, d := range differences {
		known[d.name] = true
		if !d.inCode && !used[d.name] {
			t.Errorf("%s: no transcript shows it", d.name)
		}
		if !strings.Contains(string(doc), "\n## "+d.name+"\n") {
			t.Errorf("%s: docs/differences.md has no such heading", d.name)
		}
	}
	for name := range used {
		if !known[name] {
			t.Errorf("a transcript tolerates %q, which is not in the table", name)
		}
	}
	for _, line := range strings.Split(string(doc), "\n") {
		if name, ok := strings.CutPrefix(line, "## "); ok && !known[name] {
			t.Errorf("docs/differences.md describes %q, which is not in the table", name)
		}
	}
}
