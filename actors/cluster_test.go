package actors_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/actors"
	"copse/actors/cluster"
	"copse/actors/datadir"
	"copse/statemachine"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// testCluster is several members in this process, connected over loopback.
type testCluster struct {
	t        *testing.T
	founders []tree.Member
	paths    map[uint64]string // data directories
	peers    map[uint64]string // peer addresses
	nodes    map[uint64]node
	change   []func(*actors.MemberOptions)
	shards   int
}

// found starts a cluster of n members with the ids 1 to n.
func found(t *testing.T, n int, change ...func(*actors.MemberOptions)) *testCluster {
	t.Helper()
	return foundShards(t, n, 1, change...)
}

// foundShards starts a cluster with the given number of data shards.
func foundShards(t *testing.T, n, shards int, change ...func(*actors.MemberOptions)) *testCluster {
	t.Helper()
	c := &testCluster{t: t, paths: map[uint64]string{}, peers: map[uint64]string{}, nodes: map[uint64]node{}, change: change, shards: shards}
	for id := uint64(1); id <= uint64(n); id++ {
		c.paths[id], c.peers[id] = t.TempDir(), freeAddress(t)
		c.founders = append(c.founders, tree.Member{ID: id, PeerURLs: []string{"http://" + c.peers[id]}})
	}
	for id := uint64(1); id <= uint64(n); id++ {
		c.launch(id)
	}
	for id := uint64(1); id <= uint64(n); id++ {
		c.join(id)
	}
	return c
}

// fresh returns the bootstrap information of a founder.
func (c *testCluster) fresh(id uint64) cluster.Bootstrap {
	f := cluster.Bootstrap{
		Wanted: datadir.Identity{
			ClusterID: 7, MemberID: id, Name: fmt.Sprintf("m%d", id), Token: "test",
			Shards: c.shards, ExecShards: 1, Host: "box", Created: time.Now(),
		},
		Founders: c.founders,
		PeerURLs: []string{"http://" + c.peers[id]},
	}
	for other, peer := range c.peers {
		if other != id {
			f.Peers.URLs = append(f.Peers.URLs, "http://"+peer)
		}
	}
	return f
}

func clientsOf(id uint64) []string { return []string{fmt.Sprintf("http://client.of.m%d:2379", id)} }

func (c *testCluster) launch(id uint64) {
	c.t.Helper()
	c.nodes[id] = launchNode(c.t, c.paths[id], c.peers[id], clientsOf(id), c.fresh(id), c.change...)
}

func (c *testCluster) join(id uint64) {
	c.t.Helper()
	if err := c.nodes[id].node.Join(c.t.Context().Done()); err != nil {
		c.t.Fatalf("member %d: %v", id, err)
	}
}

// add adds a new member to the cluster through the member via, starts it, and returns
// its id.
func (c *testCluster) add(via uint64) uint64 {
	c.t.Helper()
	peer := freeAddress(c.t)
	m, err := c.nodes[via].AddMember([]string{"http://" + peer})
	// A single member briefly gives up its leadership when a second one joins: requests
	// under way then may be lost, and are answered accordingly.
	for err != nil && err.Code == tree.CodeRaftInternal && !c.listed(via, m.ID) {
		m, err = c.nodes[via].AddMember([]string{"http://" + peer})
	}
	if err != nil && err.Code != tree.CodeRaftInternal {
		c.t.Fatal(err)
	}
	c.paths[m.ID], c.peers[m.ID] = c.t.TempDir(), peer
	f := c.fresh(m.ID)
	f.Existing = true
	c.nodes[m.ID] = launchNode(c.t, c.paths[m.ID], peer, clientsOf(m.ID), f)
	c.join(m.ID)
	return m.ID
}

// listed reports whether a member has another on its list.
func (c *testCluster) listed(via, id uint64) bool {
	_, ok := c.nodes[via].Cluster().Member(id)
	return ok
}

// leader returns the leader that all running members agree on.
func (c *testCluster) leader() uint64 {
	c.t.Helper()
	var leader uint64
	c.await("one leader", func() bool {
		leader = 0
		for _, n := range c.nodes {
			at := n.node.Leader()
			if at == 0 || leader != 0 && at != leader {
				return false
			}
			leader = at
		}
		_, running := c.nodes[leader]
		return running
	})
	return leader
}

func (c *testCluster) follower() uint64 {
	leader := c.leader()
	for _, id := range c.ids() {
		if id != leader {
			return id
		}
	}
	c.t.Fatal("no follower")
	return 0
}

func (c *testCluster) ids() []uint64 {
	var ids []uint64
	for id := range c.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (c *testCluster) stop(id uint64) {
	c.nodes[id].stop()
	delete(c.nodes, id)
}

// await polls a condition until it holds.
func (c *testCluster) await(what string, holds func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// set writes through a member, and retries while there is no leader.
func (c *testCluster) set(via uint64, key, value string) tree.Reply {
	c.t.Helper()
	var r tree.Reply
	c.await("a write of "+key, func() bool {
		r = c.nodes[via].Do(setTo(key, value))
		return r.Err == nil
	})
	return r
}

// holds checks that a member's quorum read of key gives value.
func (c *testCluster) holds(id uint64, key, value string) {
	c.t.Helper()
	var out []byte
	c.await("a quorum read of "+key, func() bool {
		var err *tree.Error
		out, _, _, err = c.nodes[id].Get(nil, tree.Query{Key: key, Quorum: true})
		return err == nil || err.Code != tree.CodeRaftInternal
	})
	if !strings.Contains(string(out), fmt.Sprintf("%q:%q", "value", value)) {
		c.t.Fatalf("member %d reads %s as %s, want %q", id, key, out, value)
	}
}

func TestThreeMembersFoundOneTree(t *testing.T) {
	c := found(t, 3)
	first := c.set(1, "/first", "v")
	if first.State.Index != 8 { // etcd's first key in a cluster of three
		t.Errorf("the first key has index %d, want 8", first.State.Index)
	}
	for _, id := range c.ids() {
		key := fmt.Sprintf("/from%d", id)
		c.set(id, key, "v")
		// A client that wrote through a member reads its write there, even without a quorum read.
		if _, _, _, err := c.nodes[id].Get(nil, tree.Query{Key: key}); err != nil {
			t.Errorf("member %d doesn't read its own write: %v", id, err)
		}
		for _, reader := range c.ids() {
			c.holds(reader, key, "v")
		}
	}
	for _, id := range c.ids() {
		c.await("everybody's name", func() bool {
			named := 0
			for _, m := range c.nodes[id].Cluster().Members {
				if m.Name == fmt.Sprintf("m%d", m.ID) && len(m.ClientURLs) == 1 {
					named++
				}
			}
			return named == 3
		})
	}
}

func TestWritesGoOnWithoutTheLeaderAndComeBack(t *testing.T) {
	c := found(t, 3)
	for round := range 3 {
		leader := c.leader()
		via := c.follower()
		c.set(via, "/k", fmt.Sprint("before", round))
		c.stop(leader)
		c.set(via, "/k", fmt.Sprint("after", round))
		c.launch(leader)
		c.join(leader)
		c.holds(leader, "/k", fmt.Sprint("after", round))
	}
}

func TestWithoutAQuorumReadsAndWatchesGoOnAndWritesAreRefused(t *testing.T) {
	t.Parallel()
	c := found(t, 3)
	written := c.set(1, "/k", "v")
	left := c.follower()
	parked := newEars()
	c.holds(left, "/k", "v")
	if _, err := c.nodes[left].Watch(&tree.Watch{Key: "/k", Since: written.State.Index + 1, Sink: parked}); err != nil {
		t.Fatal(err)
	}
	for _, id := range c.ids() {
		if id != left {
			c.stop(id)
		}
	}
	if r := c.nodes[left].Do(setTo("/k", "lost")); r.Err == nil || r.Err.Code != tree.CodeRaftInternal || r.Err.Index != 0 {
		t.Errorf("a write without a quorum: %+v", r)
	}
	if _, _, _, err := c.nodes[left].Get(nil, tree.Query{Key: "/k", Quorum: true}); err == nil || err.Code != tree.CodeRaftInternal {
		t.Errorf("a quorum read without a quorum: %v", err)
	}
	if out, _, _, err := c.nodes[left].Get(nil, tree.Query{Key: "/k"}); err != nil || !strings.Contains(string(out), `"v"`) {
		t.Errorf("a plain read without a quorum: %s %v", out, err)
	}
	// A member started without a quorum reports the last known term, not 0.
	seen := c.nodes[left].State().RaftTerm
	c.stop(left)
	c.launch(left)
	if term := c.nodes[left].State().RaftTerm; term < seen || seen == 0 {
		t.Errorf("term %d after a start, %d before it", term, seen)
	}
	other := uint64(1)
	if left == other {
		other = 2
	}
	c.launch(other)
	c.join(left)
	c.join(other)
	parked = newEars()
	if _, err := c.nodes[left].Watch(&tree.Watch{Key: "/k", Since: written.State.Index + 1, Sink: parked}); err != nil {
		t.Fatal(err)
	}
	c.set(left, "/k", "again")
	got := <-parked.notices
	if strings.Contains(string(got.JSON), `"lost"`) { // refused, but it may have been logged
		parked = newEars()
		if _, err := c.nodes[left].Watch(&tree.Watch{Key: "/k", Since: got.Index + 1, Sink: parked}); err != nil {
			t.Fatal(err)
		}
		got = <-parked.notices
	}
	if !strings.Contains(string(got.JSON), `"again"`) {
		t.Errorf("the watcher got %s", got.JSON)
	}
}

func TestMembersJoinAndLeaveARunningCluster(t *testing.T) {
	c := found(t, 1)
	value := strings.Repeat("v", 1000)
	for i := range 2500 { // more than the log keeps, so the new member needs a snapshot
		c.set(1, fmt.Sprintf("/d%d/k%d", i%7, i), value)
	}
	second := c.add(1)
	c.await("the second member's vote", func() bool { return len(c.nodes[second].node.Voters()) == 2 })
	c.holds(second, "/d1/k1", value)
	third := c.add(second)
	c.await("the third member's vote", func() bool { return len(c.nodes[third].node.Voters()) == 3 })
	c.await("no learner", func() bool { return !actors.Learns(c.paths[third]) })
	c.set(third, "/k", "through the third")
	c.holds(1, "/k", "through the third")

	// The founder is removed, whether it leads or not.
	removed := c.nodes[1]
	if err := c.nodes[third].RemoveMember(1); err != nil {
		t.Fatal(err)
	}
	if err := <-removed.done; !errors.Is(err, cluster.ErrRemoved) {
		t.Errorf("the removed member ended with %v", err)
	}
	removed.stop()
	delete(c.nodes, 1)
	// Requests under way to the founder as it left may be lost, and are answered accordingly.
	c.await("a write without the founder", func() bool { return c.nodes[third].Do(setTo("/k", "without the founder")).Err == nil })
	c.holds(second, "/k", "without the founder")
	c.await("two voters", func() bool { return len(c.nodes[second].node.Voters()) == 2 })

	// Its data directory can't be started again.
	dir, err := datadir.Open(c.paths[1], datadir.Identity{}, datadir.Claim{})
	if err != nil || !dir.Identity.Removed {
		t.Fatalf("the removed member's directory: %v", err)
	}
	dir.Close()

	// One of two members can't be removed while the other is down.
	c.stop(second)
	if err := c.nodes[third].RemoveMember(third); err == nil || err.Code != tree.CodeQuorumLoss {
		t.Errorf("removing what would lose the quorum: %v", err)
	}
	c.launch(second)
	c.join(second)
	c.holds(second, "/k", "without the founder")
}

func TestAMemberThatJoinedStartsAgain(t *testing.T) {
	c := found(t, 1)
	c.set(1, "/k", "v") // few entries, so the log still contains the second's start as a learner
	second := c.add(1)
	c.await("its vote", func() bool { return len(c.nodes[second].node.Voters()) == 2 })
	for round, when := range []string{"right away", "when it is through with joining"} {
		if round > 0 {
			c.await("the end of joining", func() bool { return !actors.Learns(c.paths[second]) })
		}
		c.stop(second)
		c.launch(second)
		c.join(second)
		c.set(second, "/k", when)
		c.holds(1, "/k", when)
	}
	// It is a voter: it leads after the first transfers the leadership.
	c.await("the second to lead", func() bool {
		c.nodes[1].node.TransferLeadership()
		return c.nodes[second].node.Leader() == second
	})
}

func TestAMemberThatWasAwayLearnsOfItsRemoval(t *testing.T) {
	c := found(t, 3)
	away := c.follower()
	c.stop(away)
	via := c.leader()
	if err := c.nodes[via].RemoveMember(away); err != nil {
		t.Fatal(err)
	}
	c.await("two voters", func() bool { return len(c.nodes[via].node.Voters()) == 2 })
	c.launch(away)
	if err := <-c.nodes[away].done; !errors.Is(err, cluster.ErrRemoved) {
		t.Errorf("ended with %v", err)
	}
}

func TestAMemberWithALostDiskDoesNotComeBackByAccident(t *testing.T) {
	c := found(t, 3)
	c.set(1, "/k", "v")
	lost := c.follower()
	c.await("its name", func() bool {
		for _, n := range c.nodes {
			for _, m := range n.Cluster().Members {
				if m.Name == "" {
					return false
				}
			}
		}
		return true
	})
	c.stop(lost)
	f := c.fresh(lost)
	f.Peers.Ask = askPeer
	if _, _, err := cluster.Identify(t.Context(), f); !errors.Is(err, cluster.ErrStartedBefore) {
		t.Fatalf("a founder without its data: %v", err)
	}
	f.Existing = true
	if _, _, err := cluster.Identify(t.Context(), f); !errors.Is(err, cluster.ErrStartedBefore) {
		t.Fatalf("a member without its data that says existing: %v", err)
	}
	via := c.leader()
	if err := c.nodes[via].RemoveMember(lost); err != nil {
		t.Fatal(err)
	}
	again := c.add(via)
	c.holds(again, "/k", "v")
	c.await("three voters", func() bool { return len(c.nodes[via].node.Voters()) == 3 })
}

func TestOneMemberGoesOnAloneWithAllThatWasAcknowledged(t *testing.T) {
	c := found(t, 3)
	survivor := c.follower()
	other := uint64(1)
	for other == survivor || other == c.leader() {
		other++
	}
	const keys = 300
	for i := range keys {
		c.set(survivor, fmt.Sprintf("/d%d/k%d", i%5, i), "v")
	}
	shown := c.set(c.leader(), "/last", "v").State
	last := shown.Index
	c.holds(survivor, "/last", "v") // the leader and the third member would have been enough
	const bump = 1000
	for _, id := range c.ids() {
		c.stop(id)
	}
	path := c.paths[survivor]
	dir, err := datadir.Open(path, datadir.Identity{}, datadir.Claim{})
	if err != nil {
		t.Fatal(err)
	}
	err = actors.ForceNew(nodeOptions(dir, c.peers[survivor], nil, c.founders, cluster.Peers{}, slog.New(slog.DiscardHandler)), bump)
	if err = errors.Join(err, dir.Close()); err != nil {
		t.Fatal(err)
	}
	if !dir.Created && dir.Identity.Generation != 1 || dir.Identity.Forcing {
		t.Fatalf("identity %+v", dir.Identity)
	}
	c.launch(survivor)
	c.join(survivor)
	if got := c.nodes[survivor].State(); got.Index != last+bump || got.RaftTerm <= shown.RaftTerm {
		t.Errorf("index %d, term %d, want %d, and more than %d", got.Index, got.RaftTerm, last+bump, shown.RaftTerm)
	}
	c.set(survivor, "/new", "v")
	// Another member of the old cluster doesn't belong to the new one.
	c.launch(other)
	if r := c.nodes[other].Do(setTo("/k", "from the past")); r.Err == nil {
		t.Error("a member of the generation before takes a write")
	}
	if err := <-c.nodes[other].done; !errors.Is(err, cluster.ErrFormer) {
		t.Errorf("a member of the generation before ended with %v", err)
	}
	c.stop(other)
	// Whoever watches from the past is told to read anew, also where the index didn't come to.
	for _, since := range []tree.Index{last - 1, last + 1, last + bump} {
		if _, err := c.nodes[survivor].Watch(&tree.Watch{Key: "/d1", Recursive: true, Since: since, Sink: nobody{}}); err == nil || err.Code != tree.CodeEventIndexClosed {
			t.Errorf("a watch from %d: %v", since, err)
		}
	}
	// A new member gets the whole tree.
	newcomer := c.add(survivor)
	for i := range keys {
		c.holds(newcomer, fmt.Sprintf("/d%d/k%d", i%5, i), "v")
	}
	c.holds(newcomer, "/new", "v")
	c.await("two voters", func() bool { return len(c.nodes[newcomer].node.Voters()) == 2 })
	if got := c.nodes[newcomer].State().RaftTerm; got <= shown.RaftTerm {
		t.Errorf("the newcomer's term is %d, want more than %d", got, shown.RaftTerm)
	}
}

// nobody is the sink of a watch that is refused.
type nobody struct{}

func (nobody) Deliver(*tree.EncodedEvent) {}
func (nobody) End()                       {}

func TestOfTwoMembersEitherCanGo(t *testing.T) {
	for _, goes := range []string{"the leader", "the follower"} {
		t.Run(goes, func(t *testing.T) {
			c := found(t, 2)
			id := c.leader()
			if goes == "the follower" {
				id = c.follower()
			}
			gone := c.nodes[id]
			stays := 3 - id
			if err := c.nodes[stays].RemoveMember(id); err != nil {
				t.Fatal(err)
			}
			if err := <-gone.done; !errors.Is(err, cluster.ErrRemoved) {
				t.Errorf("ended with %v", err)
			}
			delete(c.nodes, id)
			c.set(stays, "/k", "alone")
			c.await("one voter", func() bool { return len(c.nodes[stays].node.Voters()) == 1 })
			c.stop(stays)
			c.launch(stays)
			c.join(stays)
			c.holds(stays, "/k", "alone")
		})
	}
}

// Three members that are each given the same filled stores, as a restore does, found a new
// generation together.
func TestSeveralMembersBeginAGenerationTogether(t *testing.T) {
	for _, shards := range []int{1, 4} {
		t.Run(fmt.Sprint(shards, " shards"), func(t *testing.T) {
			c := &testCluster{t: t, paths: map[uint64]string{}, peers: map[uint64]string{}, nodes: map[uint64]node{}, shards: shards}
			for id := uint64(1); id <= 3; id++ {
				c.paths[id], c.peers[id] = t.TempDir(), freeAddress(t)
				c.founders = append(c.founders, tree.Member{ID: id, PeerURLs: []string{"http://" + c.peers[id]}})
			}
			for id := uint64(1); id <= 3; id++ {
				c.renew(id, cluster.Renewal{Members: c.founders, Shards: shards, Term: 41, Index: 500, Bump: 1000})
				c.launch(id)
			}
			for id := uint64(1); id <= 3; id++ {
				c.join(id)
			}
			last := c.set(c.follower(), "/new", "v").State
			if last.Index <= 1500 || last.RaftTerm <= 41 {
				t.Errorf("the first write is at %d, in term %d", last.Index, last.RaftTerm)
			}
			newcomer := c.add(c.leader())
			for _, id := range c.ids() {
				if shards == 1 {
					c.holds(id, "/old", "v")
				}
				c.holds(id, "/new", "v")
				if st := c.nodes[id].State(); st.RaftTerm <= 41 {
					t.Errorf("member %d shows term %d", id, st.RaftTerm)
				}
				for _, key := range []string{"/", "/old", "/new"} {
					if _, err := c.nodes[id].Watch(&tree.Watch{Key: key, Recursive: true, Since: 1500, Sink: nobody{}}); err == nil || err.Code != tree.CodeEventIndexClosed {
						t.Errorf("member %d: a watch of %s from the past: %v", id, key, err)
					}
				}
			}
			c.await("four voters", func() bool { return len(c.nodes[newcomer].node.Voters()) == 4 })
			if got := c.nodes[1].Cluster().Members; len(got) != 4 {
				t.Errorf("members %+v", got)
			}
		})
	}
}

// renew makes the member's directory one of a new generation, with /old if there is one
// shard.
func (c *testCluster) renew(id uint64, r cluster.Renewal) {
	c.t.Helper()
	identity := c.fresh(id).Wanted
	identity.Generation = 1
	dir, err := datadir.Open(c.paths[id], identity, datadir.Claim{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer dir.Close()
	var machines []*statemachine.Machine
	for i := range actors.Groups(c.shards) {
		o := statemachine.Options{Dir: dir.ShardDir(uint64(i) + 1), Replica: id, Window: 100, WindowBytes: 1 << 20}
		if c.shards > 1 {
			o.Slot, o.Slots = i-1, c.shards
		}
		m, err := statemachine.New(o)
		if err != nil {
			c.t.Fatal(err)
		}
		defer m.Close()
		machines = append(machines, m)
	}
	if c.shards == 1 {
		old := setTo("/old", "v")
		if _, err := machines[0].Update([]sm.Entry{{Index: 1, Cmd: tree.AppendCommand(tree.AppendBatch(nil, id, 1), old)}}); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := cluster.Renew(machines, r); err != nil {
		c.t.Fatal(err)
	}
}
