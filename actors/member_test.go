package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/actors"
	"copse/actors/cluster"
	"copse/actors/datadir"
	"copse/actors/loop"
	"copse/actors/peerlink"
	"copse/actors/raft"
	"copse/statemachine/tree"
)

// node is a Node in its own group, and how to stop it.
type node struct {
	*actors.Router
	node *actors.Member
	dir  *datadir.Dir
	stop func()       // stops it and checks that Run returned no error
	done <-chan error // Run's result, unless the test has received it
}

// given holds the addresses that freeAddress has returned, because the system may
// offer the same free port again.
var given sync.Map

func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		if _, taken := given.LoadOrStore(address, true); !taken {
			return address
		}
	}
}

// startNode starts a cluster of one on dir, whose peer address is peer.
func startNode(t *testing.T, dir, peer string, change ...func(*actors.MemberOptions)) node {
	t.Helper()
	return startNodeAs(t, dir, peer, tree.Member{ID: 1, Name: "one", PeerURLs: []string{"http://" + peer}, ClientURLs: []string{"http://client:1"}}, change...)
}

// startNodeAs starts the node of the member me, who founds a cluster alone.
func startNodeAs(t *testing.T, dir, peer string, me tree.Member, change ...func(*actors.MemberOptions)) node {
	t.Helper()
	n := launchNode(t, dir, peer, me.ClientURLs, cluster.Bootstrap{
		Wanted:   datadir.Identity{ClusterID: 2, MemberID: me.ID, Name: me.Name, Token: "test", Shards: 1, ExecShards: 1, Host: "box", Created: time.Now()},
		Founders: []tree.Member{{ID: me.ID, PeerURLs: me.PeerURLs}},
		PeerURLs: me.PeerURLs,
	}, change...)
	if err := n.node.Join(nil); err != nil {
		t.Fatal(err)
	}
	return n
}

// launchNode opens the directory, a fresh one as f says, and runs a member on it.
func launchNode(t *testing.T, path, peer string, clients []string, f cluster.Bootstrap, change ...func(*actors.MemberOptions)) node {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	f.Logger = log
	f.Peers.Ask = askPeer
	id, members := f.Wanted, f.Founders
	if !datadir.Founded(path) {
		var err error
		if id, members, err = cluster.Identify(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := datadir.Open(path, id, datadir.Claim{})
	if err != nil {
		t.Fatal(err)
	}
	o := nodeOptions(dir, peer, clients, members, f.Peers, log)
	for _, c := range change {
		c(&o)
	}
	n, err := actors.NewMember(o)
	if err != nil {
		t.Fatal(errors.Join(err, dir.Close()))
	}
	var group loop.Group
	n.Parts(&group)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := group.Run(ctx)
		done <- errors.Join(err, dir.Close())
		close(done)
	}()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, cluster.ErrRemoved) {
			t.Errorf("stopped with %v", err)
		}
	})
	t.Cleanup(stop)
	return node{Router: n.Router(), node: n, dir: dir, stop: stop, done: done}
}

func nodeOptions(dir *datadir.Dir, peer string, clients []string, members []tree.Member, peers cluster.Peers, log *slog.Logger) actors.MemberOptions {
	return actors.MemberOptions{
		Host: raft.Options{
			Dir: dir.RaftDir(), Replica: dir.Identity.MemberID, DeploymentID: 1 + dir.Identity.Generation,
			Shards: actors.Groups(dir.Identity.Shards), ExecShards: 1, Heartbeat: 20 * time.Millisecond, Election: 200 * time.Millisecond,
			SnapshotCount: 1000, RequestTimeout: 5 * time.Second, Logger: log,
		},
		Dir:          dir,
		Peer:         actors.PeerOptions{Listen: []string{"http://" + peer}, Peers: peers},
		Founding:     actors.Founding{Members: members},
		Name:         dir.Identity.Name,
		ClientURLs:   clients,
		StoreOptions: actors.StoreOptions{Window: 1000, WindowBytes: 1 << 30, CacheSize: 8 << 20},
		LogBytes:     1 << 20,
		Logger:       log,
	}
}

// LogBegin returns the index of the first entry that the raft log still holds.
func (n node) LogBegin(t *testing.T) uint64 {
	t.Helper()
	first, err := n.node.LogBegin()
	if err != nil {
		t.Fatal(err)
	}
	return first
}

func setTo(key, value string) *tree.Command {
	return &tree.Command{Op: tree.OpSet, Key: key, Value: []byte(value), Now: time.Now().UnixNano()}
}

func TestConcurrentWritesGetDenseIndexesAndQuorumReadsSeeThem(t *testing.T) {
	n := startNode(t, t.TempDir(), freeAddress(t))
	const writers, each = 50, 40
	indexes := make(chan tree.Index, writers*each)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				key := fmt.Sprintf("/d%d/k%d", w%7, w)
				r := n.Do(setTo(key, fmt.Sprint(i)))
				if r.Err != nil || !strings.Contains(string(r.JSON), `"value":"`+fmt.Sprint(i)+`"`) {
					t.Errorf("%s: %v %s", key, r.Err, r.JSON)
					return
				}
				indexes <- r.State.Index
				out, _, st, err := n.Get(nil, tree.Query{Key: key, Quorum: true})
				if err != nil || st.Index < r.State.Index || !strings.Contains(string(out), `"value":"`+fmt.Sprint(i)+`"`) {
					t.Errorf("quorum read of %s at %d, written at %d: %v %s", key, st.Index, r.State.Index, err, out)
				}
			}
		})
	}
	all.Wait()
	close(indexes)
	seen := map[tree.Index]bool{}
	for i := range indexes {
		seen[i] = true
	}
	// As in etcd, the first key of a new cluster gets index 4.
	if len(seen) != writers*each || !seen[4] || !seen[3+writers*each] {
		t.Fatalf("%d indexes from %d writes", len(seen), writers*each)
	}
}

// ears collects the events of a watch.
type ears struct {
	notices chan *tree.EncodedEvent
	ended   chan struct{}
}

func newEars() *ears {
	return &ears{notices: make(chan *tree.EncodedEvent, 1000), ended: make(chan struct{})}
}

func (s *ears) Deliver(n *tree.EncodedEvent) { s.notices <- n }
func (s *ears) End()                         { close(s.ended) }

func TestKeysExpireInOrderAndNeverEarly(t *testing.T) {
	dir, raft := t.TempDir(), freeAddress(t)
	n := startNode(t, dir, raft)
	s := newEars()
	if _, err := n.Watch(&tree.Watch{Key: "/", Recursive: true, Stream: true, Sink: s}); err != nil {
		t.Fatal(err)
	}
	due := map[string]int64{}
	const keys = 30
	for i := range keys {
		// Later keys are due first, so each one wakes the expirer.
		c := setTo(fmt.Sprintf("/k%02d", i), "v")
		c.Expires = c.Now + int64((600-10*i)*int(time.Millisecond))
		due[c.Key] = c.Expires
		n.Do(c)
	}
	last := int64(0)
	for expired := 0; expired < keys; {
		got := <-s.notices
		if got.Action != tree.ActionExpire {
			continue
		}
		expired++
		if now := time.Now().UnixNano(); now < due[got.Key] {
			t.Errorf("%s went %v early", got.Key, time.Duration(due[got.Key]-now))
		}
		if due[got.Key] < last {
			t.Errorf("%s went after a key that was due later", got.Key)
		}
		last = due[got.Key]
	}
	// Keys that fall due while the member is down expire when it is back.
	c := setTo("/overdue", "v")
	c.Expires = c.Now + int64(time.Millisecond)
	index := n.Do(c).State.Index
	n.stop()
	n = startNode(t, dir, raft)
	s = newEars()
	if _, err := n.Watch(&tree.Watch{Key: "/overdue", Since: index + 1, Sink: s}); err != nil {
		t.Fatal(err)
	}
	if got := <-s.notices; got.Action != tree.ActionExpire {
		t.Errorf("got %v", got)
	}
}

func TestEveryWriterIsAnsweredWhenTheNodeStops(t *testing.T) {
	dir, raft := t.TempDir(), freeAddress(t)
	n := startNode(t, dir, raft)
	var all sync.WaitGroup
	acknowledged := make(chan string, 1<<16)
	running := make(chan struct{}, 20)
	for w := range 20 {
		all.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("/w%d/%d", w, i)
				r := n.Do(setTo(key, "v"))
				if r.Err != nil {
					if r.Err.Code != tree.CodeRaftInternal || r.Err.Index != 0 {
						t.Errorf("refused with %v", r.Err)
					}
					return
				}
				acknowledged <- key
				if i == 20 {
					running <- struct{}{}
				}
			}
		})
	}
	for range 20 {
		<-running
	}
	parked := newEars()
	if _, err := n.Watch(&tree.Watch{Key: "/none", Sink: parked}); err != nil {
		t.Fatal(err)
	}
	n.stop()
	all.Wait()
	<-parked.ended
	if r := n.Do(setTo("/late", "v")); r.Err == nil {
		t.Error("a stopped node takes a write")
	}
	close(acknowledged)
	n = startNode(t, dir, raft)
	for key := range acknowledged {
		if _, _, _, err := n.Get(nil, tree.Query{Key: key}); err != nil {
			t.Fatalf("%s was acknowledged, and is gone: %v", key, err)
		}
	}
}

func TestTheLogIsLetGo(t *testing.T) {
	for _, c := range []struct {
		name   string
		writes int
		size   int
	}{
		{"after so many entries", 2500, 1},
		{"after so many bytes", 40, 64 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, raft := t.TempDir(), freeAddress(t)
			n := startNode(t, dir, raft)
			value := strings.Repeat("v", c.size)
			written := 0
			for ; written < c.writes || n.LogBegin(t) < 2; written++ {
				if r := n.Do(setTo(fmt.Sprintf("/k%d", written%10), value)); r.Err != nil {
					t.Fatal(r.Err)
				}
			}
			n.stop()
			n = startNode(t, dir, raft)
			if got := n.State().Index; got != tree.Index(3+written) {
				t.Fatalf("index %d after %d writes and a restart", got, written)
			}
		})
	}
}

// A stop compacts the log if enough entries have come in, so that the next start has
// none to replay.
func TestTheLogIsLetGoAtTheStop(t *testing.T) {
	dir, raft := t.TempDir(), freeAddress(t)
	much := func(o *actors.MemberOptions) { o.LogBytes = 1 << 30 }
	n := startNode(t, dir, raft, much)
	value := strings.Repeat("v", 8<<10)
	for i := range 300 { // too few for dragonboat to compact by itself, but more than are kept
		if r := n.Do(setTo(fmt.Sprintf("/k%d", i%10), value)); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if first := n.LogBegin(t); first != 1 {
		t.Fatalf("the log begins at %d before the stop", first)
	}
	n.stop()
	n = startNode(t, dir, raft, much)
	if first := n.LogBegin(t); first == 1 {
		t.Error("the whole log is there after the stop")
	}
	if _, _, _, err := n.Get(nil, tree.Query{Key: "/k9"}); err != nil {
		t.Errorf("a key after the restart: %v", err)
	}
}

func askPeer(ctx context.Context, url string, kind uint8, payload []byte) ([]byte, error) {
	return peerlink.CallAddress(ctx, url, nil, kind, payload)
}
