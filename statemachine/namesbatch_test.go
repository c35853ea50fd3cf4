package statemachine_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// TestOneEntryCopiesSoMuch has one entry remove more than its events may copy into the windows of names: the windows
// of those that no longer fit begin behind their events. Then several entries do, each of which fits.
func TestOneEntryCopiesSoMuch(t *testing.T) {
	const names, size = 9, 8 << 20 // 64 MiB are those of 8
	o := plainOptions()
	o.Names, o.WindowBytes = unlimited, 1
	m := mustOpen(t, o, "/shard", vfs.NewMem())
	defer mustClose(t, m)
	batches := 0
	m.Subscribe(func(*statemachine.ApplyResult) { batches++ })
	raft, value := uint64(0), bytes.Repeat([]byte("x"), size)
	entry := func(list ...tree.Command) sm.Entry {
		raft++
		cmd := tree.AppendBatch(nil, replica, len(list))
		for i := range list {
			cmd = tree.AppendCommand(cmd, &list[i])
		}
		return sm.Entry{Index: raft, Cmd: cmd}
	}
	update := func(entries ...sm.Entry) {
		t.Helper()
		if done, err := m.Update(entries); err != nil || len(done) != len(entries) || done[len(done)-1].Result.Value != raft {
			t.Fatalf("%d entries: %v, %v", len(entries), done, err)
		}
	}
	var removals []tree.Command
	for i := range names {
		key := fmt.Sprintf("/%d/x", i)
		update(entry(tree.Command{Op: tree.OpSet, Key: key, Value: value}))
		removals = append(removals, tree.Command{Op: tree.OpDelete, Key: key})
	}
	removals = append(removals, tree.Command{Op: tree.OpSet, Key: "/8/y"})
	update(entry(removals...))
	for i := range names {
		want := 2
		if i == names-1 {
			want = 0
		}
		events, ok := watchFrom(t, m, fmt.Sprintf("/%d", i), tree.Index(i+1), 100)
		if len(events) != want || ok != (want > 0) {
			t.Errorf("/%d has %d events, %t; want %d", i, len(events), ok, want)
		}
	}
	if events, ok := watchFrom(t, m, "/8", 2*names+1, 100); !ok || len(events) != 1 {
		t.Errorf("behind what didn't fit: %d events, %t", len(events), ok)
	}

	var each []sm.Entry
	for i := range names {
		each = append(each, entry(tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/%d/x", i), Value: value}))
	}
	for i := range names {
		each = append(each, entry(tree.Command{Op: tree.OpDelete, Key: fmt.Sprintf("/%d/x", i)}))
	}
	batches = 0
	update(each...)
	if batches < 3 {
		t.Errorf("%d MiB went into %d batches", 3*names*size>>20, batches)
	}
	if m.Nodes() != names+1 {
		t.Errorf("%d nodes", m.Nodes())
	}
}

// TestAgesAfterAClockThatGoesBack: a new leader's clock begins before the time when old events were last looked for.
func TestAgesAfterAClockThatGoesBack(t *testing.T) {
	limits := unlimited
	limits.Age = 2 * time.Second
	o := namedOptions(limits)
	files := vfs.NewMem()
	m := mustOpen(t, o, "/shard", files)
	defer func() { mustClose(t, m) }()
	for i, second := range []int64{10, 0, 2, 3} {
		key := fmt.Sprintf("/%d/x", second)
		cmd := tree.AppendSubmission(tree.AppendBatchHead(nil, tree.BatchHead{Epoch: 1, Number: uint64(i + 1), Submissions: 1, Clock: tree.Clock{Time: 1e18 + second*int64(time.Second)}}), submissionID(replica, uint64(i+1)), 1)
		if _, err := m.Update([]sm.Entry{{Index: uint64(i + 1), Cmd: tree.AppendCommand(cmd, &tree.Command{Op: tree.OpSet, Key: key})}}); err != nil {
			t.Fatal(err)
		}
		checkBounds(t, m, limits)
		mustClose(t, m)
		m = mustOpen(t, o, "/shard", files)
	}
	if list, _, err := m.NameWindows("", 10); err != nil || len(list) != 3 {
		t.Errorf("windows %+v, %v; only that of /0 is too old", list, err)
	}
}
