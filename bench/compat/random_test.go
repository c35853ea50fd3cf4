package compat

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"copse/bench/peer"
)

var (
	seed = flag.Uint64("seed", 0, "seed of the random requests; 0: a new one")
	ops  = flag.Int("ops", 5000, "how many random requests")
)

// TestRandom compares the answers to random requests. In the second part etcd
// 3.5 takes part too; it can't update directories, so these updates are left
// out there.
func TestRandom(t *testing.T) {
	start := *seed
	if start == 0 {
		start = uint64(time.Now().UnixNano())
	}
	for _, part := range []struct {
		name  string
		kinds []peer.Kind
		ops   int
	}{
		{"etcd34", []peer.Kind{peer.Etcd34, peer.Kind(*candidate)}, *ops * 4 / 5},
		{"etcd35", kinds(), *ops / 5},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			peer.EachShards(t, peer.Kind(*candidate), func(t *testing.T, shards int) {
				if shards == 1 {
					compareRandom(t, start, part.kinds, part.ops, shards)
				} else if part.name == "etcd34" { // one of the parts will do
					compareRandom(t, start, part.kinds, part.ops/2, shards)
				}
			})
		})
	}
}

func compareRandom(t *testing.T, start uint64, kinds []peer.Kind, n, shards int) {
	t.Logf("to repeat: go test ./compat -run '%s' -seed %d -ops %d", t.Name(), start, *ops)
	f := newFleet(t, kinds, shards)
	defer f.close()
	r := &randomRun{fleet: f, generator: &generator{
		rng:   rand.New(rand.NewPCG(start, 0)),
		nodes: map[string]node{},
	}}
	for _, kind := range kinds {
		r.tame = r.tame || kind == peer.Etcd35
	}
	r.run(n)
}

// TestLargeTree compares listings that are too large for one buffer, at every
// depth, and the tree after large removals.
func TestLargeTree(t *testing.T) {
	t.Parallel()
	peer.EachShards(t, peer.Kind(*candidate), compareLargeTrees)
}

func compareLargeTrees(t *testing.T, shards int) {
	const keys, longest = 3000, 3000
	f := newFleet(t, fleetKinds(shards), shards)
	defer f.close()
	g := &generator{rng: rand.New(rand.NewPCG(1, 0)), nodes: map[string]node{}}
	for range keys {
		key := strings.TrimSuffix(g.key(), "/") + fmt.Sprintf("/%d", g.rng.IntN(keys))
		f.ask(request{method: "PUT", target: "/v2/keys" + key, body: "noValueOnSuccess=true&value=" +
			strings.Repeat(pick(g, []string{"x", "%3C", "%00", "é", "%FF"}), g.rng.IntN(longest)/(1+g.rng.IntN(50)))})
	}
	list := func(key string) {
		t.Helper()
		for _, query := range []string{"", "?recursive=true", "?recursive=true&sorted=true", "?recursive=true&quorum=true"} {
			f.ask(request{method: "GET", target: "/v2/keys" + key + query})
		}
	}
	list("/")
	for _, top := range names {
		list("/" + top)
		for _, sub := range names {
			list("/" + top + "/" + sub)
		}
	}
	for _, top := range names[:3] {
		f.ask(request{method: "DELETE", target: "/v2/keys/" + top + "?recursive=true"})
	}
	list("/")
}

// A randomRun sends requests to a fleet while watches are parked there.
type randomRun struct {
	*fleet
	*generator
	tame    bool // no updates of directories
	index   uint64
	waiting []*parked
}

func (r *randomRun) run(n int) {
	r.t.Helper()
	const watchEvery, collectEvery, expireEvery = 12, 150, 400
	for i := 1; i <= n; i++ {
		switch {
		case i%expireEvery == 0:
			r.expire()
		case i%collectEvery == 0:
			r.collectAll()
		case i%watchEvery == 0:
			r.watch()
		default:
			r.step()
		}
	}
	r.collectAll()
	r.ask(request{kind: "gets", method: "GET", target: "/v2/keys/?recursive=true&sorted=true"})
	r.ask(request{kind: "gets", method: "GET", target: "/v2/keys/_h?recursive=true&sorted=true"})
	r.checkStats()
	r.t.Logf("index %d, answered %v", r.index, r.targets[0].tally)
}

func (r *randomRun) step() {
	r.t.Helper()
	op := r.next(r.index)
	if r.tame && op.kind == "update" && r.isDirectory(op.key) {
		return
	}
	got := r.ask(op.request)
	if got.index > r.index {
		r.index = got.index
	}
	r.learnFrom(got.body)
}

func (r *randomRun) isDirectory(key string) bool {
	r.t.Helper()
	got := r.ask(request{kind: "gets", method: "GET", target: "/v2/keys" + key})
	v, _, err := parseJSON(got.body)
	return err == nil && v.field("node").field("dir").raw == "true"
}

// learnFrom shows the generator what an answer holds.
func (r *randomRun) learnFrom(body string) {
	v, _, err := parseJSON(body)
	if err != nil {
		return
	}
	n := v.field("node")
	key, value := n.field("key").text(), n.field("value").text()
	if strings.Contains(value, "\ufffd") {
		value = "" // JSON has lost the original bytes
	}
	index, err := strconv.ParseUint(strings.Trim(n.field("modifiedIndex").raw, "@"), 10, 64)
	switch action := v.field("action").text(); {
	case err != nil || key == "":
	case action == "delete" || action == "compareAndDelete":
		r.forget(escapePath(key))
	default:
		r.learn(escapePath(key), value, index)
	}
}

// escapePath writes a key as in a URL; the name of an in-order key,
// counted from the start, stays as it is.
func escapePath(key string) string {
	names := strings.Split(key, "/")
	for i, name := range names {
		if indexName.MatchString(name) {
			names[i] = "@" + name + "@"
		} else {
			names[i] = url.PathEscape(name)
		}
	}
	return strings.Join(names, "/")
}

// watch parks a watch: from now on, from some moment ago, or from a moment
// that is yet to come.
func (r *randomRun) watch() {
	r.t.Helper()
	p := &parked{key: r.key(), recursive: r.chance(50)}
	p.recursive = p.recursive || p.key == "/"
	target := "/v2/keys" + p.key + "?wait=true"
	if p.recursive {
		target += "&recursive=true"
	}
	switch n := r.rng.IntN(100); {
	case n < 30:
		p.from = r.index - min(r.index, uint64(r.rng.IntN(60)))
	case n < 40:
		p.from = r.index - min(r.index, uint64(r.rng.IntN(1200)))
	case n < 55:
		p.from = r.index + uint64(r.rng.IntN(5))
	default:
		p.stream = r.chance(30)
	}
	if r.sharded { // "shards-gaps": the index after the next change can't be predicted
		p.from = min(p.from, r.index+1)
	}
	if p.from > 0 {
		target += fmt.Sprintf("&waitIndex=@%d@", p.from)
	}
	if p.stream {
		target += "&stream=true"
	}
	p.request = request{method: "GET", target: target}
	if r.park(p) {
		r.waiting = append(r.waiting, p)
	}
}

func (r *randomRun) collectAll() {
	r.t.Helper()
	for _, p := range r.waiting {
		r.collect(p)
	}
	r.waiting = nil
}

// expire lets one node expire, and waits until it is gone everywhere. Nothing else
// happens meanwhile, so that the order of events stays the same.
func (r *randomRun) expire() {
	r.t.Helper()
	r.collectAll() // so that a failure shows here which request it was
	key := r.key()
	put := request{kind: "sets", method: "PUT", target: "/v2/keys" + key, body: "value=short&ttl=1"}
	switch r.rng.IntN(3) {
	case 0:
		put.body = "dir=true&ttl=1"
	case 1:
		if !r.tame {
			put.kind, put.body = "update", "prevExist=true&ttl=1"
		}
	}
	got := r.ask(put)
	if got.head.code() >= 300 {
		return
	}
	for _, tg := range r.targets {
		tg.tally["expireCount"]++
		deadline := time.Now().Add(answerLimit)
		for gone := false; !gone; <-time.After(pollInterval) {
			h, body, err := tg.caller.do(tg.localise(request{method: "GET", target: "/v2/keys" + key}))
			if err != nil {
				r.t.Fatal(err)
			}
			tg.count("gets", h)
			gone = h.code() == 404
			if !gone && time.Now().After(deadline) {
				r.t.Fatalf("%s: %s does not expire: %s", tg.server.Kind, key, body)
			}
		}
	}
	if r.sharded { // shows which index that took
		r.ask(request{method: "GET", target: fmt.Sprintf("/v2/keys%s?wait=true&waitIndex=@%d@", key, got.index+1)})
	}
}
