package statemachine_test

import (
	"bytes"
	"slices"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// ledBatch is an entry with dense indexes: a submission of this replica that makes key,
// or no submission if key is empty.
func ledBatch(epoch, raftIndex uint64, key string) sm.Entry {
	head := tree.BatchHead{Epoch: epoch, Number: raftIndex}
	if key == "" {
		return sm.Entry{Index: raftIndex, Cmd: tree.AppendBatchHead(nil, head)}
	}
	head.Submissions = 1
	cmd := tree.AppendSubmission(tree.AppendBatchHead(nil, head), submissionID(replica, raftIndex), 1)
	return sm.Entry{Index: raftIndex, Cmd: tree.AppendCommand(cmd, &tree.Command{Op: tree.OpCreate, Key: key, Now: 1})}
}

// Rule 4 of docs/SHARDS.md, where indexes are dense: a batch of a lower epoch than the
// highest applied is stale, whatever came between them.
func TestBatchesOfEarlierEpochsAreStale(t *testing.T) {
	m := mustOpen(t, statemachine.Options{Replica: replica, Window: window, WindowBytes: 1 << 30}, "/shard", vfs.NewMem())
	defer mustClose(t, m)
	var res statemachine.ApplyResult
	m.Subscribe(func(n *statemachine.ApplyResult) { res = *n })
	for i, c := range []struct {
		epoch uint64
		key   string
		stale bool
		want  uint64 // the epoch after it
		index tree.Index
	}{
		{3, "/a", false, 3, 1},
		{2, "/b", true, 3, 1},
		{3, "/c", false, 3, 2},
		{5, "", false, 5, 2},
		{4, "/d", true, 5, 2},
		{3, "", true, 5, 2},
		{5, "/e", false, 5, 3},
	} {
		before, at := m.Stats(), uint64(i+1)
		e := ledBatch(c.epoch, at, c.key)
		if _, err := m.Update([]sm.Entry{e}); err != nil {
			t.Fatal(err)
		}
		if res.Epoch != c.want || m.Index() != c.index || !slices.Equal(res.Batches, []statemachine.BatchID{{Epoch: c.epoch, Number: at}}) {
			t.Errorf("batch %d: res %+v, index %d; want %+v", at, res, m.Index(), c)
		}
		if told := len(res.Outcomes) > 0; told != (c.key != "") {
			t.Errorf("batch %d: outcomes %+v", at, res.Outcomes)
		} else if told && (res.Outcomes[0].Stale != c.stale || (len(res.Outcomes[0].Data) == 0) != c.stale) {
			t.Errorf("batch %d is stale: %+v, want %v", at, res.Outcomes[0], c.stale)
		}
		if c.stale && (m.Stats() != before || len(res.Events) > 0) {
			t.Errorf("batch %d is stale and has left something: %+v", at, res)
		}
	}
	// What no leader has to propose has no epoch, and is never stale.
	if got := do(t, m, 8, tree.Command{Op: tree.OpCreate, Key: "/b", Now: 1}); len(got) != 1 || got[0].Err != nil || m.Index() != 4 {
		t.Errorf("a change without an epoch: %+v, index %d", got, m.Index())
	}
}

// The epoch is part of the state: it survives a restart and goes with a snapshot, and
// only a raft group that is made anew forgets it, whose terms begin anew too.
func TestTheEpochIsKept(t *testing.T) {
	o, fs := statemachine.Options{Replica: replica, Window: window, WindowBytes: 1 << 30}, vfs.NewMem()
	m := mustOpen(t, o, "/shard", fs)
	stale := func(m *statemachine.Machine, raftIndex, epoch uint64) bool {
		t.Helper()
		var got []statemachine.Outcome
		m.Subscribe(func(n *statemachine.ApplyResult) { got = n.Outcomes })
		if _, err := m.Update([]sm.Entry{ledBatch(epoch, raftIndex, "/a")}); err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		return got[0].Stale
	}
	if stale(m, 1, 7) {
		t.Error("the first batch is stale")
	}
	image := dump(t, m)
	mustClose(t, m)

	m = mustOpen(t, o, "/shard", fs)
	if !stale(m, 2, 6) || stale(m, 3, 7) {
		t.Error("after a restart the epoch isn't 7")
	}
	other := mustOpen(t, o, "/other", fs)
	var res statemachine.ApplyResult
	other.Subscribe(func(n *statemachine.ApplyResult) { res = *n })
	if err := other.RecoverFromSnapshot(bytes.NewReader(image), nil); err != nil {
		t.Fatal(err)
	}
	if !res.Jumped || res.Epoch != 7 {
		t.Errorf("the res of a snapshot: %+v", res)
	}
	if !stale(other, 2, 6) || stale(other, 3, 7) {
		t.Error("after a snapshot the epoch isn't 7")
	}
	mustClose(t, other)

	if err := m.Renew(statemachine.Renewal{Members: []tree.Member{{ID: 1, PeerURLs: []string{"http://a:1"}}}}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, m)
	m = mustOpen(t, o, "/shard", fs)
	defer mustClose(t, m)
	if stale(m, 1, 2) || !stale(m, 2, 1) {
		t.Error("the epochs of a new group don't begin anew")
	}
}
