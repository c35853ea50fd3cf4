package compat

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"copse/bench/peer"

	"go.uber.org/goleak"
)

var (
	update    = flag.Bool("update", false, "record the transcripts again from the real servers")
	candidate = flag.String("candidate", string(peer.Copse), "what is held against etcd 3.4: copse or etcd35")
)

func TestMain(m *testing.M) {
	// etcd hashes each new password, for 80 ms. The command line may set another number.
	if err := flag.Set("rapid.checks", "40"); err != nil {
		panic(err)
	}
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// kinds are the servers to play against, without repetition: the reference
// first, since -update records its answers before the others'.
func kinds() []peer.Kind {
	return slices.Compact([]peer.Kind{peer.Etcd34, peer.Etcd35, peer.Kind(*candidate)})
}

// fleetKinds are the servers to compare when the candidate has this many shards. etcd
// 3.4 and 3.5 need to be compared only once.
func fleetKinds(shards int) []peer.Kind {
	if shards > 1 {
		return []peer.Kind{peer.Etcd34, peer.Kind(*candidate)}
	}
	return kinds()
}

func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || paths == nil {
		t.Fatal("no transcripts", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			sc, err := readScript(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range kinds() {
				t.Run(string(kind), func(t *testing.T) {
					peer.EachShards(t, kind, func(t *testing.T, shards int) {
						if !slices.Contains(strings.Fields(sc.without), speaker(kind, shards)) {
							sc.run(t, kind, shards)
						}
					})
				})
			}
			if *update {
				if err := sc.write(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// speaker is a server's name in transcripts: etcd34, copse, or copse4 with four
// shards.
func speaker(kind peer.Kind, shards int) string {
	if shards == 1 {
		return string(kind)
	}
	return fmt.Sprint(kind, shards)
}

// run plays the script against a fresh server. It continues after a difference,
// because later ones are of interest too.
func (sc *script) run(t *testing.T, kind peer.Kind, shards int) {
	who := speaker(kind, shards)
	server := peer.Start(t, kind, append(serverArgs(sc.path, kind), peer.Sharded(kind, shards)...)...)
	p := newPlayer(server, shards, strings.HasPrefix(filepath.Base(sc.path), "auth-"))
	defer p.close()
	var err error
	if p.stats, err = p.caller.stats(); err != nil {
		t.Fatal(err)
	}
	for i := range sc.steps {
		st := &sc.steps[i]
		if slices.Contains(strings.Fields(st.without), who) {
			continue
		}
		want := st.answer(who, string(kind))
		got, err := p.play(st, want)
		for range 3 {
			if !droppedByEtcd(kind, want, got) {
				break
			}
			got, err = p.play(st, want)
		}
		if err != nil {
			t.Errorf("%s:%d\n%s\nerror: %v", sc.path, st.line, st.title(), err)
			continue
		}
		if kind == peer.Copse && want != nil {
			got = p.ranked(st, want.lines, got)
		}
		if *update {
			st.record(who, got)
			want = st.answer(who, string(kind))
		}
		if want == nil {
			t.Fatalf("%s:%d has no answer yet; record it with -update", sc.path, st.line)
		}
		if kind == peer.Copse {
			got = withoutExtraIDs(want.lines, got)
		}
		if !same(want.lines, got) {
			t.Errorf("%s:%d\n%s\ngot:\n%s\nwant:\n%s", sc.path, st.line, st.title(),
				strings.Join(got, "\n"), strings.Join(want.lines, "\n"))
		}
	}
}

// droppedByEtcd reports whether etcd has answered 500 instead of its usual answer:
// it drops a change of membership that follows another too soon, and answers
// after its timeout. Nothing has happened then.
func droppedByEtcd(kind peer.Kind, want *answer, got []string) bool {
	const dropped = "500 Internal Server Error"
	return kind != peer.Copse && want != nil && len(got) > 0 && got[0] == dropped && want.lines[0] != dropped
}

// withoutExtraIDs leaves out the cluster's id where etcd sends none: copse
// sends it with every answer.
func withoutExtraIDs(want, got []string) []string {
	const id = "X-Etcd-Cluster-Id: CLUSTER"
	var kept []string
	for _, line := range got {
		if line == id && (len(kept) >= len(want) || want[len(kept)] != id) {
			continue
		}
		kept = append(kept, line)
	}
	return kept
}

func (st *step) title() string {
	return strings.Join(append([]string{st.command}, st.request...), "\n")
}

// serverArgs are the flags that a script's servers need. etcd 3.4 allows
// every origin, 2.3 and copse none, which the transcripts take as the rule.
func serverArgs(path string, kind peer.Kind) []string {
	if filepath.Base(path) == "cors.txt" {
		return []string{"--cors=http://a.example:80,http://b.example:8080"}
	}
	if kind == peer.Copse {
		return nil
	}
	return []string{"--cors=http://nobody.invalid:80"}
}

// record keeps an answer: the reference's always, etcd 3.5's where it differs,
// copse's only where somebody has written down a reason already.
func (st *step) record(who string, got []string) {
	switch who {
	case string(peer.Etcd34):
		st.set("", got)
	case string(peer.Etcd35):
		st.answers = slices.DeleteFunc(st.answers, func(a answer) bool { return a.who == who })
		if want := st.answer(""); want != nil && !same(want.lines, got) {
			st.answers = slices.Insert(st.answers, 1, answer{who: who, lines: got})
		}
	default:
		a := st.answer(who)
		if a == nil || a.who == "" {
			return
		}
		a.lines = got
		if reference := st.answer(""); who == string(peer.Copse) && reference != nil && same(reference.lines, got) {
			who := a.who
			st.answers = slices.DeleteFunc(st.answers, func(a answer) bool { return a.who == who })
		}
	}
}

func (st *step) set(who string, got []string) {
	i := slices.IndexFunc(st.answers, func(a answer) bool { return a.who == who })
	if i < 0 {
		st.answers = slices.Insert(st.answers, 0, answer{who: who})
		i = 0
	}
	// What is the same apart from a ttl that ticked on stays as it is.
	if !same(st.answers[i].lines, got) {
		st.answers[i].lines = got
	}
}
