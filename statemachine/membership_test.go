package statemachine_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

// do applies commands as one raft entry and returns the replies.
func do(t *testing.T, m *statemachine.Machine, index uint64, list ...tree.Command) []tree.Reply {
	t.Helper()
	cmd := tree.AppendBatch(nil, replica, len(list))
	for i := range list {
		cmd = tree.AppendCommand(cmd, &list[i])
	}
	done, err := m.Update([]sm.Entry{{Index: index, Cmd: cmd}})
	if err != nil {
		t.Fatal(err)
	}
	var replies []tree.Reply
	for data := done[0].Result.Data; ; {
		r, rest, ok := statemachine.CutReply(data)
		if !ok {
			return replies
		}
		replies, data = append(replies, r), rest
	}
}

func founding(last tree.Index, ids ...uint64) tree.Command {
	var founders []tree.Member
	for _, id := range ids {
		founders = append(founders, tree.Member{ID: id, PeerURLs: []string{"http://" + string(rune('a'+id)) + ":1"}})
	}
	c := tree.MemberCommand(tree.OpFound, founders...)
	c.PrevIndex = last
	return c
}

func ids(ms *tree.Membership) []uint64 {
	var list []uint64
	for _, m := range ms.Members {
		list = append(list, m.ID)
	}
	return list
}

func rings(bell <-chan struct{}) bool {
	select {
	case <-bell:
		return true
	default:
		return false
	}
}

func TestSeveralFoundersFoundOnce(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	if m.Membership() == nil || m.Membership().Founded() {
		t.Fatalf("before the founding: %+v", m.Membership())
	}
	for i, c := range []tree.Command{founding(7, 1, 2, 3), founding(7, 1, 2, 3), founding(99, 5)} {
		got := do(t, m, uint64(i+1), c)
		want := []tree.Reply{{State: tree.State{Index: 7}}}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("founding %d: replies %+v, want %+v", i+1, got, want)
		}
		if m.Index() != 7 || !slices.Equal(ids(m.Membership()), []uint64{1, 2, 3}) {
			t.Fatalf("founding %d: index %d, members %+v", i+1, m.Index(), m.Membership())
		}
	}
	// A key gets the next index, whatever has happened to the members meanwhile.
	got := do(t, m, 4,
		tree.MemberCommand(tree.OpMemberPublish, tree.Member{ID: 2, Name: "two"}),
		tree.Command{Op: tree.OpSet, Key: "/k"},
		tree.MemberCommand(tree.OpMemberRemove, tree.Member{ID: 9}),
		tree.MemberCommand(tree.OpMemberRemove, tree.Member{ID: 1}),
	)
	want := []tree.Reply{
		{State: tree.State{Index: 7}},
		{State: tree.State{Index: 8}, Action: tree.ActionSet, Created: true, JSON: got[1].JSON},
		{State: tree.State{Index: 8}, Err: &tree.Error{Code: tree.CodeMemberUnknown, Cause: "9", Index: 8}},
		{State: tree.State{Index: 8}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("replies %+v\nwant %+v", got, want)
	}
	if history, _, err := m.History(1, 100); err != nil || len(history) != 1 {
		t.Fatalf("%d events, %v: a change of the membership is none", len(history), err)
	}
}

// The raft log and the store of a copse from before there was a membership.
func TestATreeFoundedWithoutMembersGetsThemLater(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	do(t, m, 1, tree.Command{Op: tree.OpFound, Key: "/", PrevIndex: 3})
	do(t, m, 2, tree.Command{Op: tree.OpSet, Key: "/k"})
	if m.Index() != 4 || m.Membership().Founded() {
		t.Fatalf("index %d, members %+v", m.Index(), m.Membership())
	}
	do(t, m, 3, founding(3, 1))
	if m.Index() != 4 || !slices.Equal(ids(m.Membership()), []uint64{1}) {
		t.Fatalf("index %d, members %+v", m.Index(), m.Membership())
	}
}

func TestTheBellRingsForChangesOfTheMembership(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	rings(m.MembershipChanged()) // it may, at the start
	publish := tree.MemberCommand(tree.OpMemberPublish, tree.Member{ID: 1, Name: "one"})
	for i, c := range []struct {
		name string
		cmd  tree.Command
		want bool
	}{
		{"founding", founding(3, 1), true},
		{"founding again", founding(3, 1), false},
		{"publish", publish, true},
		{"publish the same", publish, false},
		{"a key", tree.Command{Op: tree.OpSet, Key: "/k"}, false},
		{"a refusal", tree.MemberCommand(tree.OpMemberRemove, tree.Member{ID: 1}), false},
		{"add", tree.MemberCommand(tree.OpMemberAdd, tree.Member{ID: 2}), true},
	} {
		do(t, m, uint64(i+1), c.cmd)
		if got := rings(m.MembershipChanged()); got != c.want {
			t.Errorf("%s: the bell rings: %v", c.name, got)
		}
	}
	// Nobody listens for a while.
	do(t, m, 100, tree.MemberCommand(tree.OpMemberAdd, tree.Member{ID: 3}))
	do(t, m, 101, tree.MemberCommand(tree.OpMemberAdd, tree.Member{ID: 4}))
	if !rings(m.MembershipChanged()) || rings(m.MembershipChanged()) {
		t.Error("two changes should ring once")
	}
	if err := m.RecoverFromSnapshot(bytes.NewReader(dump(t, m)), nil); err != nil {
		t.Fatal(err)
	}
	if !rings(m.MembershipChanged()) {
		t.Error("a snapshot came in silently")
	}
}

func TestAnEmptyMachineHasASnapshot(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	empty := dump(t, m)
	if len(empty) == 0 {
		t.Fatal("the engine takes a snapshot of no bytes for one that it has shrunk")
	}
	other := mustNew(t, t.TempDir())
	defer mustClose(t, other)
	if err := other.RecoverFromSnapshot(bytes.NewReader(empty), nil); err != nil {
		t.Fatal(err)
	}
	if other.Index() != 0 || other.Membership().Founded() {
		t.Fatalf("index %d, members %+v", other.Index(), other.Membership())
	}
}

// A member that lives on alone: it applies what its old log has committed, and
// becomes the first of a new group.
func TestRenew(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		list := append([]tree.Command{founding(7, 1, 2, 3)}, commands().Draw(rt, "commands")...)
		list = slices.DeleteFunc(list, func(c tree.Command) bool { return c.Op == tree.OpMemberReplaceAll || c.Op == tree.OpMemberRemove })
		entries := raftLog(rt, list)
		want := &model{}
		for i := range list {
			want.apply(&list[i])
		}
		gone := ids(want.membership())
		gone = slices.DeleteFunc(gone, func(id uint64) bool { return id == 2 })
		keep := tree.Member{ID: 2, Name: "last", PeerURLs: []string{"http://new:1"}, ClientURLs: []string{"http://new:2"}}
		bump := tree.Index(rapid.IntRange(0, 300).Draw(rt, "bump"))
		base := rapid.Uint64Range(0, 9).Draw(rt, "term base")
		want.members = &tree.Membership{Members: []tree.Member{keep}, Removed: gone, TermBase: base}
		want.last += bump
		want.floor = want.last + 1 // the window is empty

		fs := vfs.NewCrashableMem()
		open := func(fs vfs.FS) *statemachine.Machine {
			m, err := statemachine.New(statemachine.Options{Dir: "/shard", Replica: replica, Window: window, WindowBytes: 1 << 30, FS: fs})
			if err != nil {
				rt.Fatalf("New: %v", err)
			}
			return m
		}
		m := open(fs)
		// dragonboat has applied some, the tail of its log is fed by hand.
		cut := rapid.IntRange(0, len(entries)).Draw(rt, "applied")
		applySplit(rt, m, entries[:cut])
		mustClose(rt, m)
		m = open(fs)
		applySplit(rt, m, append(slices.Clone(entries[cut:]), sm.Entry{Index: entries[len(entries)-1].Index + 1}))
		if err := m.Renew(statemachine.Renewal{Members: []tree.Member{keep}, TermBase: base, Index: want.last}); err != nil {
			rt.Fatal(err)
		}
		sameAsModel(rt, m, want)
		power := fs.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(rt, "unsynced"),
			RNG:                 rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)),
		})
		mustClose(rt, m)

		m = open(power)
		defer func() { mustClose(rt, m) }()
		if at, err := m.Open(nil); at != 0 || err != nil || m.RaftIndex() != 0 || m.Created() {
			rt.Fatalf("the new log begins at raft index %d, %d (%v)", at, m.RaftIndex(), err)
		}
		sameAsModel(rt, m, want)

		// The new log counts from 1 again.
		again := tree.MemberCommand(tree.OpMemberReplaceAll) // as cluster.Joiner begins it
		again.PrevIndex = m.Index()
		more := append([]tree.Command{again}, commands().Draw(rt, "more")...)
		for i := range more {
			want.apply(&more[i])
		}
		entries = raftLog(rt, more)
		applySplit(rt, m, entries)
		sameAsModel(rt, m, want)
		if m.RaftIndex() != entries[len(entries)-1].Index {
			rt.Fatalf("raft index %d, want %d", m.RaftIndex(), entries[len(entries)-1].Index)
		}
	})
}

func TestAReplicaWithoutThePastDoesntGoOn(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	c := tree.MemberCommand(tree.OpMemberReplaceAll)
	c.PrevIndex = 1000
	cmd := tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)
	_, err := m.Update([]sm.Entry{{Index: 1, Cmd: cmd}})
	if err == nil || !strings.Contains(err.Error(), "the log continues from a tree") {
		t.Fatalf("it went on: %v", err)
	}
	if m.Membership().Founded() {
		t.Fatal("something was applied")
	}
}

// A snapshot that comes in over a younger tree, while readers are at it.
func TestASnapshotReplacesAllThatReadersSee(t *testing.T) {
	source := mustNew(t, t.TempDir())
	defer mustClose(t, source)
	do(t, source, 1, founding(7, 1, 2, 3))
	set := func(value string) tree.Command { return tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte(value)} }
	do(t, source, 2, set("old"))

	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	take := func() {
		t.Helper()
		if err := m.RecoverFromSnapshot(bytes.NewReader(dump(t, source)), nil); err != nil {
			t.Fatal(err)
		}
	}
	take()
	q := tree.Query{Key: "/k"}
	for range 3 { // so that it is in the cache
		if got := read(t, m, &q, 0); !strings.Contains(got, `"old"`) {
			t.Fatal(got)
		}
	}
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for last := tree.Index(0); ; {
			now := m.Index()
			if now < last {
				t.Errorf("the index fell from %d to %d", last, now)
			}
			last = now
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for i := range 5 {
		do(t, source, uint64(i+3), set("new"), tree.MemberCommand(tree.OpMemberAdd, tree.Member{ID: uint64(i + 4)}))
		rings(m.MembershipChanged())
		take()
		if got := read(t, m, &q, 0); !strings.Contains(got, `"new"`) {
			t.Fatalf("an outdated read: %s", got)
		}
		if m.Index() != source.Index() || m.RaftIndex() != source.RaftIndex() || !reflect.DeepEqual(m.Membership(), source.Membership()) {
			t.Fatalf("at %d and raft's %d with %+v", m.Index(), m.RaftIndex(), m.Membership())
		}
		if !rings(m.MembershipChanged()) {
			t.Fatal("no bell")
		}
	}
	close(stop)
	<-watched
}
