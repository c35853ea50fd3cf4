package actors

import (
	"log/slog"
	"testing"

	"copse/statemachine"
	changes "copse/statemachine/mirror"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// A read that was let in before a whole read of the source, and sees the tree within or after it, is repeated.
func TestAReadWhileAMirrorIsFilledIsRepeated(t *testing.T) {
	m, err := statemachine.New(statemachine.Options{Dir: t.TempDir(), Replica: 1, Window: 10, WindowBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	raft := uint64(0)
	do := func(c tree.Command) {
		t.Helper()
		raft++
		done, err := m.Update([]sm.Entry{{Index: raft, Cmd: tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &c)}})
		if err != nil {
			t.Fatal(err)
		}
		if r, _, _ := statemachine.CutReply(done[0].Result.Data); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	change := func(c changes.Change) { do(tree.Command{Op: tree.OpMirror, Key: "/", Value: c.Append(nil)}) }
	founding := tree.MemberCommand(tree.OpFound, tree.Member{ID: 1, PeerURLs: []string{"http://a:1"}})
	founding.PrevValue = Founding{Sources: []string{"http://a:1"}}.begin()
	do(founding)
	r := &Router{member: &Member{machine: m}}
	fill := func(id uint64, first, last bool) {
		change(changes.Change{Kind: changes.Fill, ID: id, Now: int64(id), From: m.Index(), To: m.Index(), Part: changes.Part{First: first, Last: last}})
	}
	fill(5, true, true)
	seen := m.Mirror()
	change(changes.Change{Kind: changes.Hold, ID: 9})
	if r.refilled(seen) {
		t.Error("a hold doesn't change the tree")
	}
	fill(6, true, false)
	if !r.refilled(seen) {
		t.Error("it may have half of the source's tree")
	}
	fill(6, false, true)
	if !r.refilled(seen) {
		t.Error("it may have had half of the source's tree")
	}
}
