package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/bench/cluster/fleet"
	"copse/bench/peer"
	"copse/bench/v2api"

	"go.uber.org/goleak"
)

var (
	moves  = flag.Int("moves", 20, "how many moves")
	seed   = flag.Uint64("seed", 0, "of the first move, the next ones follow; 0 takes a new one")
	server = flag.String("server", string(peer.Copse), "the copse to run: copse, or copse=PATH")
	beside = flag.Int("beside", 3, "how many moves at a time")
)

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// faults are what can happen in the middle of a move.
var faults = []string{"none", "the source is restarted, or loses a member", "the mirror's leader is killed", "the network to the source is cut", "the source forgets events", "the leader is killed in the promotion"}

func TestMovesUnderLoad(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64() >> 8
	}
	slots := make(chan struct{}, *beside)
	var group sync.WaitGroup
	defer group.Wait()
	for i := range *moves {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			t.Run(fmt.Sprint("seed ", first+uint64(i)), func(t *testing.T) { newMove(t, first+uint64(i)).run() })
		})
	}
}

// move is one move.
type move struct {
	t      *testing.T
	random *rand.Rand
	seed   uint64
	fault  string
	source *source
	fleet  *fleet.Fleet
	book   *book
	client *http.Client
	load   *load
}

// load is the clients.
type load struct {
	writers  []*writer
	watchers []*watcher
	writing  sync.WaitGroup
	watching sync.WaitGroup
	stop     context.CancelFunc // of the writers
	end      context.CancelFunc // of the watchers
}

func newMove(t *testing.T, seed uint64) *move {
	m := &move{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), book: newBook()}
	m.fault = faults[seed%uint64(len(faults))]
	m.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	return m
}

func (m *move) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *move) run() {
	kind := []peer.Kind{peer.Etcd34, peer.Etcd35}[m.random.IntN(2)]
	members, secure := []int{1, 1, 3}[m.random.IntN(3)], m.random.IntN(2) == 0
	m.t.Logf("%s, members: %d, TLS: %v, %s", kind, members, secure, m.fault)
	m.startSource(kind, members, secure)
	m.start()
	defer func() {
		if m.t.Failed() {
			m.t.Log(m.fleet.Logs(3000))
		}
		m.must(m.fleet.Close())
	}()
	m.begin()
	defer m.load.end()
	defer m.load.stop()
	m.moveClients()
	m.strike()
	m.settle()
	m.promote()
	pause(context.Background(), 300*time.Millisecond)
	m.source.stop()
	pause(context.Background(), 300*time.Millisecond)
	m.finish()
	for _, what := range m.book.broken {
		m.t.Error(what)
	}
	m.t.Logf("%d writes were acknowledged", len(m.book.indexes))
}

// start puts something into the source, and runs the mirror.
func (m *move) start() {
	for i := range 30 {
		m.put(fmt.Sprint("/old/", i), fmt.Sprint(i))
	}
	m.put("/_hidden/begun", "before") // known by the name of its directory, once a client writes there
	var err error
	args := slices.Concat(m.source.flags, []string{"--mirror-from=" + strings.Join(m.source.urls, ","), "--listen-metrics-urls="})
	m.fleet, err = fleet.Start(fleet.Options{Kind: peer.Kind(*server), Members: 3, Seed: m.seed, Args: args})
	m.must(err)
}

func (m *move) put(key, value string) {
	reply, err := v2api.Do(context.Background(), m.client, m.source.plain()[0], &v2api.Request{Method: http.MethodPut, Key: key, Value: value})
	if m.must(err); reply.Status > 201 {
		m.t.Fatalf("%s: %d %s", key, reply.Status, reply.Body)
	}
}

// begin starts the clients at the source.
func (m *move) begin() {
	writing, stop := context.WithCancel(context.Background())
	watching, end := context.WithCancel(context.Background())
	l := &load{stop: stop, end: end}
	reply, err := v2api.Do(context.Background(), m.client, m.source.plain()[0], &v2api.Request{Method: http.MethodGet, Key: "/", Quorum: true})
	m.must(err)
	for i := range 6 {
		who := fmt.Sprint("writer", i)
		w := &writer{guard: guard{book: m.book, who: who}, client: m.client, key: "/load/" + who, pace: time.Duration(5+m.random.IntN(30)) * time.Millisecond}
		w.urls, w.at = m.source.plain(), i
		l.writers = append(l.writers, w)
		l.writing.Go(func() { w.run(writing) })
	}
	for i := range 3 {
		w := &watcher{guard: guard{book: m.book, who: fmt.Sprint("watcher", i)}, client: m.client, from: reply.Index + 1, values: map[uint64]string{}}
		w.urls, w.at = m.source.plain(), i
		l.watchers = append(l.watchers, w)
		l.watching.Go(func() { w.run(watching) })
	}
	m.load = l
}

func (m *move) urls() (list []string) {
	for _, member := range m.fleet.Members {
		list = append(list, member.URL)
	}
	return list
}

// moveClients leads the clients to the mirror, one by one.
func (m *move) moveClients() {
	all := m.urls()
	for i := range m.load.watchers {
		m.load.watchers[i].move(all, m.random.IntN(3))
		pause(context.Background(), 50*time.Millisecond)
	}
	for i := range m.load.writers {
		m.load.writers[i].move(all, m.random.IntN(3))
		pause(context.Background(), 50*time.Millisecond)
	}
}

// strike does what the move's fault is, if it comes before the promotion.
func (m *move) strike() {
	switch m.fault {
	case faults[1]:
		m.must(m.source.strike(m.random))
	case faults[2]:
		m.killLeader()
	case faults[3], faults[4]:
		m.source.cut()
		if m.fault == faults[4] {
			m.flood()
		} else {
			pause(context.Background(), time.Duration(500+m.random.IntN(1500))*time.Millisecond)
		}
		m.source.heal()
	}
}

// flood makes more events at the source than it remembers.
func (m *move) flood() {
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			for n := range 50 {
				m.put(fmt.Sprint("/flood/", i), fmt.Sprint(n))
			}
		})
	}
	group.Wait()
}

func (m *move) killLeader() {
	i := m.leader()
	m.fleet.Kill(i)
	pause(context.Background(), time.Duration(m.random.IntN(1500))*time.Millisecond)
	m.must(m.fleet.Restart(i))
}

// leader is the member that follows.
func (m *move) leader() int {
	for range 100 {
		for _, url := range m.urls() {
			var s status
			var members struct {
				Members []struct{ ID, Name string }
			}
			if m.get(url+"/v2/copse/mirror", &s) != nil || m.get(url+"/v2/members", &members) != nil {
				continue
			}
			for i, member := range m.fleet.Members {
				for _, listed := range members.Members {
					if listed.ID == s.Follower && listed.Name == member.Name {
						return i
					}
				}
			}
		}
		pause(context.Background(), 50*time.Millisecond)
	}
	m.t.Fatal("no member follows")
	return 0
}

func (m *move) get(url string, to any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return v2api.GetJSON(ctx, m.client, url, to)
}

type status struct {
	Mirror    bool
	Follower  string
	Error     string
	LagEvents uint64
	Filling   bool
	EndedAt   uint64
}

// settle waits until the mirror follows.
func (m *move) settle() {
	for end := time.Now().Add(30 * time.Second); ; pause(context.Background(), 50*time.Millisecond) {
		var s status
		err := m.get(m.urls()[m.random.IntN(3)]+"/v2/copse/mirror", &s)
		if err == nil && s.Mirror && s.Error == "" && !s.Filling && s.Follower != "" {
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("the mirror doesn't follow: %+v %v", s, err)
		}
	}
}

// promote asks until the mirror is one no more.
func (m *move) promote() {
	var killed sync.WaitGroup
	if m.fault == faults[5] {
		i, after := m.leader(), time.Duration(m.random.IntN(120))*time.Millisecond
		killed.Go(func() {
			pause(context.Background(), after)
			m.fleet.Kill(i)
		})
	}
	var said string
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); pause(context.Background(), 100*time.Millisecond) {
		for i, url := range m.urls() {
			if m.fleet.Members[i].URL == "" {
				continue
			}
			var s status
			if m.get(url+"/v2/copse/mirror", &s) == nil && !s.Mirror && s.EndedAt > 0 {
				killed.Wait()
				m.revive()
				m.t.Logf("promoted at %d: %s", s.EndedAt, said)
				return
			}
			said = m.ask(url)
			if strings.HasPrefix(said, "promoted") {
				break
			}
		}
	}
	killed.Wait()
	m.t.Fatalf("not promoted: %s", said)
}

func (m *move) revive() {
	_, err := m.fleet.Revive()
	m.must(err)
}

// ask runs copse mirror promote. The clients wrote at the source until just now.
func (m *move) ask(url string) string {
	binary, err := peer.Binary(peer.Kind(*server))
	m.must(err)
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, binary, "mirror", "promote", "--despite-writers", "--endpoint", url)
	c.Stdout, c.Stderr = &out, &out
	_ = c.Run() // its words say what came of it
	return strings.TrimSpace(out.String())
}

// finish stops the clients and judges.
func (m *move) finish() {
	m.load.stop()
	m.load.writing.Wait()
	m.must(m.fleet.WaitReady())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	reply, err := v2api.Do(ctx, m.client, m.fleet.Members[0].URL, &v2api.Request{Method: http.MethodPut, Key: "/last", Value: "x"})
	_, last, _ := reply.Parse(err)
	if last == nil {
		m.t.Fatalf("the last write: %d %s %v", reply.Status, reply.Body, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, w := range m.load.watchers {
			for ctx.Err() == nil && w.position() <= last.Index() {
				pause(ctx, 20*time.Millisecond)
			}
		}
	}()
	<-ended
	m.load.end()
	m.load.watching.Wait()
	m.book.judge(ctx, m.client, m.fleet.Members[m.random.IntN(3)].URL, m.load.writers, m.load.watchers)
	m.same(ctx)
}

// same compares the members' trees.
func (m *move) same(ctx context.Context) {
	var first []byte
	for _, url := range m.urls() {
		reply, err := v2api.Do(ctx, m.client, url, &v2api.Request{Method: http.MethodGet, Key: "/", Recursive: true, Sorted: true, Quorum: true})
		m.must(err)
		var ev v2api.Event
		m.must(json.Unmarshal(reply.Body, &ev))
		tree, err := json.Marshal(ev.Node) // without the ttls
		m.must(err)
		if first == nil {
			first = tree
		} else if !bytes.Equal(first, tree) {
			m.t.Errorf("two members differ:\n%.3000s\n%.3000s", first, tree)
		}
	}
	for i := range 30 {
		if !bytes.Contains(first, fmt.Appendf(nil, `"/old/%d","value":"%d"`, i, i)) {
			m.t.Errorf("/old/%d is gone", i)
		}
	}
}
