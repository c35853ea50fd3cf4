package actors_test

import (
	"reflect"
	"testing"
	"time"

	"copse/actors/cluster"
	"copse/statemachine/tree"
)

func TestANodeFoundsItsClusterAndPublishesItself(t *testing.T) {
	dir, raft := t.TempDir(), freeAddress(t)
	want := []tree.Member{{ID: 1, Name: "one", PeerURLs: []string{"http://peer:1"}, ClientURLs: []string{"http://a:1", "http://b:1"}}}
	start := func(name string, clients ...string) node {
		return startNodeAs(t, dir, raft, tree.Member{ID: 1, Name: name, PeerURLs: []string{"http://peer:1"}, ClientURLs: clients})
	}
	check := func(n node) {
		t.Helper()
		if got := n.Cluster().Members; !reflect.DeepEqual(got, want) {
			t.Errorf("members %+v, want %+v", got, want)
		}
		if st := n.State(); st.Index != 3 {
			t.Errorf("index %d, want 3: a member that tells of itself takes none", st.Index)
		}
		c := n.Cluster()
		if c.ID != 2 || c.Self != 1 || c.Leader != 1 || c.LastLeader != 1 || c.LeaderSince.IsZero() {
			t.Errorf("cluster %+v", c)
		}
	}
	n := start("one", "http://b:1", "http://a:1")
	check(n)
	first := n.State().RaftIndex
	n.stop()

	n = start("one", "http://b:1", "http://a:1") // it has said so already
	check(n)
	if again := n.State().RaftIndex; again > first+2 { // raft's own entry for the new term, and the leader's first batch
		t.Errorf("a restart took raft's index from %d to %d", first, again)
	}
	n.stop()

	want[0].Name, want[0].ClientURLs = "uno", []string{"http://c:1"}
	check(start("uno", "http://c:1"))
}

func TestMembersComeAndGo(t *testing.T) {
	n := startNode(t, t.TempDir(), freeAddress(t))
	began := time.Now()
	added, err := n.AddMember([]string{"http://y:1", "http://x:1"})
	if err != nil {
		t.Fatal(err)
	}
	// The first 8 bytes of the SHA-1 of the sorted URLs and the time in seconds.
	plausible := map[uint64]bool{}
	for at := began.Add(-time.Second); at.Before(time.Now().Add(time.Second)); at = at.Add(time.Second) {
		plausible[cluster.NewMemberID([]string{"http://x:1", "http://y:1"}, at)] = true
	}
	if want := (tree.Member{ID: added.ID, PeerURLs: []string{"http://x:1", "http://y:1"}}); !reflect.DeepEqual(added, want) || !plausible[added.ID] {
		t.Fatalf("added %+v, want %+v", added, want)
	}
	code := func(err *tree.Error) tree.Code {
		if err == nil {
			return 0
		}
		return err.Code
	}
	_, taken := n.AddMember([]string{"http://z:1", "http://x:1"})
	for _, c := range []struct {
		name string
		got  *tree.Error
		want tree.Code
	}{
		{"its URLs again", taken, tree.CodePeerURLExists},
		{"other URLs", n.UpdateMember(added.ID, []string{"http://z:1"}), 0},
		{"of nobody", n.UpdateMember(77, []string{"http://q:1"}), tree.CodeMemberUnknown},
		{"remove nobody", n.RemoveMember(77), tree.CodeMemberUnknown},
		{"remove", n.RemoveMember(added.ID), 0},
		{"remove again", n.RemoveMember(added.ID), tree.CodeMemberRemoved},
		{"remove the last one", n.RemoveMember(1), tree.CodeQuorumLoss},
	} {
		if code(c.got) != c.want {
			t.Errorf("%s: %v, want code %d", c.name, c.got, c.want)
		}
	}
	c := n.Cluster()
	if len(c.Members) != 1 || !reflect.DeepEqual(c.Removed, []uint64{added.ID}) {
		t.Errorf("members %+v, removed %x", c.Members, c.Removed)
	}
}
