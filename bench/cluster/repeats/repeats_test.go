package repeats_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"copse/bench/cluster/fleet"
	"copse/bench/peer"
	"copse/bench/placement"
	"copse/bench/v2api"

	"go.uber.org/goleak"
)

var (
	rounds = flag.Int("rounds", 6, "how many leaders are killed, for each number of shards")
	server = flag.String("server", string(peer.Copse), "what to kill: copse, copse+race, copse+TAG or copse=PROGRAM")
	seed   = flag.Uint64("seed", 0, "seed of the moments; 0 takes a new one")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	requestsEach = 9 // in a round
	// roundLimit ends a round in which something isn't answered.
	roundLimit = time.Minute
)

func TestLeadersKilledBeforeTheRepeat(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	peer.EachShards(t, peer.Kind(*server), killLeaders)
}

func killLeaders(t *testing.T, shards int) {
	t.Parallel() // most of it is waiting for elections
	kind := peer.Kind(*server)
	args := append(peer.Sharded(kind, shards), "--heartbeat-interval=20", "--election-timeout=200")
	f, err := fleet.Start(fleet.Options{Kind: kind, Members: 3, Seed: *seed, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Log(f.Logs(4000))
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	d := &drill{t: t, fleet: f, shards: shards, rng: rand.New(rand.NewPCG(*seed, uint64(shards)))}
	begin := time.Now()
	for n := 0; n < *rounds && !t.Failed(); n++ {
		d.round(n)
		if n%50 == 49 {
			t.Logf("%d leaders killed after %v", n+1, time.Since(begin).Round(time.Second))
		}
	}
	d.audit()
	tries, lost, prompt := 0, 0, 0
	for _, r := range d.all {
		tries += r.tries
		if r.lost > 0 {
			lost++
		}
		if r.prompt {
			prompt++
		}
	}
	t.Logf("%d leaders killed in %v; %d requests, %d of them answered at the first try, %d at least once not; sent %d times",
		*rounds, time.Since(begin).Round(time.Second), len(d.all), prompt, lost, tries)
	if lost == 0 || prompt == 0 {
		t.Error("the leaders were killed too early or too late")
	}
}

// drill is a run at work.
type drill struct {
	t      *testing.T
	fleet  *fleet.Fleet
	shards int
	rng    *rand.Rand
	all    []*request
}

// leader is the member that leads a shard, or the cluster.
func (d *drill) leader(slot int) int {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for begin := time.Now(); time.Since(begin) < roundLimit; <-poll.C {
		find := d.fleet.Leader
		if slot < d.shards && d.shards > 1 {
			find = func() (int, bool) { return d.fleet.ShardLeader(slot) }
		}
		if i, ok := find(); ok {
			return i
		}
	}
	d.t.Fatal("there is no leader")
	return 0
}

// round has some writes sent, kills the leader at some moment, and has each repeated.
func (d *drill) round(n int) {
	ctx, cancel := context.WithTimeout(d.t.Context(), roundLimit)
	defer cancel()
	slot := n / 3 % (d.shards + 1) // the order shard's leader is the cluster's
	victim := d.leader(slot)
	members := d.fleet.Members
	alive := []*fleet.Member{members[(victim+1)%3], members[(victim+2)%3]}
	requests := d.requests(n, slot)
	killed, answered := make(chan struct{}), make(chan struct{}, requestsEach)
	var clients, firsts sync.WaitGroup
	for i, r := range requests {
		patience := time.Duration(50+d.rng.IntN(400)) * time.Millisecond
		if d.rng.IntN(2) == 0 {
			patience = 10 * time.Second
		}
		firsts.Add(1)
		clients.Go(func() {
			r.prompt = r.try(ctx, members[(n+i)%3], patience)
			answered <- struct{}{}
			firsts.Done()
			<-killed
			// Who is impatient has several tries under way, at both members.
			for k, again := 0, 0; again < len(alive) && ctx.Err() == nil; k++ {
				if r.try(ctx, alive[(i+k)%2], patience) {
					again++
				}
			}
		})
	}
	switch n % 3 { // before the answer, at it, after it
	case 0:
		time.Sleep(time.Duration(d.rng.Int64N(int64(4 * time.Millisecond))))
	case 1:
		<-answered
	case 2:
		firsts.Wait()
	}
	d.fleet.Kill(victim)
	close(killed)
	soon := n%2 == 0
	if soon {
		d.restart(victim)
	}
	clients.Wait()
	if !soon {
		d.restart(victim)
	}
	if err := d.fleet.WaitReady(); err != nil {
		d.t.Fatal(err)
	}
	for _, r := range requests {
		for !r.try(ctx, members[victim], time.Second) && ctx.Err() == nil {
		}
		if r.fault != "" {
			d.t.Errorf("round %d: %s", n, r.fault)
		}
	}
	if ctx.Err() != nil {
		d.t.Errorf("round %d: not everything was answered within %v", n, roundLimit)
	}
}

func (d *drill) restart(member int) {
	if err := d.fleet.Restart(member); err != nil {
		d.t.Fatal(err)
	}
}

// requests are those of a round: two in three concern the slot whose leader is killed.
func (d *drill) requests(n, slot int) (all []*request) {
	for i := range requestsEach {
		r := &request{id: fmt.Sprintf("%d-%d-%d", *seed, n, i)}
		at := slot
		if i/3 == 2 {
			at = d.rng.IntN(d.shards)
		}
		dir := d.dir(at % d.shards)
		switch i % 3 {
		case 0:
			r.write = v2api.Request{Method: http.MethodPost, Key: dir, Value: r.id, RequestID: r.id}
		case 1: // the id decides in which shard
			r.write = v2api.Request{Method: http.MethodPost, Key: "/", Value: r.id, RequestID: r.id}
		case 2:
			r.txn = &v2api.Txn{Ops: []v2api.Request{
				{Method: http.MethodPost, Key: dir, Value: r.id + "/0"},
				{Method: http.MethodPost, Key: dir, Value: r.id + "/1"},
			}}
		}
		all = append(all, r)
	}
	d.all = append(d.all, all...)
	return all
}

// dir is a directory in a shard.
func (d *drill) dir(slot int) string {
	for n := 0; ; n++ {
		if name := fmt.Sprintf("/d%d", n); placement.Slot(name, d.shards) == slot {
			return name
		}
	}
}

// audit: at each member, each request has made its nodes once, as it was answered.
func (d *drill) audit() {
	want := map[string]v2api.Node{}
	for _, r := range d.all {
		for _, ev := range r.events {
			want[ev.Node.Value] = ev.Node
		}
	}
	for _, m := range d.fleet.Members {
		ctx, cancel := context.WithTimeout(d.t.Context(), roundLimit)
		reply, err := v2api.Do(ctx, v2api.NewClient(m.Dial, 0), m.URL, &v2api.Request{Method: http.MethodGet, Recursive: true, Quorum: true})
		cancel()
		_, tree, _ := reply.Parse(err)
		if tree == nil {
			d.t.Fatalf("the last read at %s: status %d, %v", m.Name, reply.Status, err)
		}
		nodes, times := map[string]v2api.Node{}, map[string]int{}
		v2api.Flatten(&tree.Node, nodes)
		for key, n := range nodes {
			if n.Dir {
				continue
			}
			if times[n.Value]++; times[n.Value] > 1 {
				d.t.Errorf("%s: %s was carried out a second time, which made %s", m.Name, n.Value, key)
			} else if as := want[n.Value]; as.Key != key || as.Modified != n.Modified {
				d.t.Errorf("%s: %s made %s at %d, and was answered %s at %d", m.Name, n.Value, key, n.Modified, as.Key, as.Modified)
			}
		}
		for value := range want {
			if times[value] == 0 {
				d.t.Errorf("%s: %s was answered, and has made nothing", m.Name, value)
			}
		}
	}
}
