package statemachine

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// A listing that steps over too many old records has them cleared away, once.
func TestListingHasOldRecordsClearedAway(t *testing.T) {
	m, err := New(Options{Dir: t.TempDir() + "/shard", Replica: 1, Window: 10, WindowBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	const files, rounds = 10, 300
	raft := uint64(0)
	overwrite := func() {
		for range rounds {
			raft++
			cmd := tree.AppendBatch(nil, 1, 10*files)
			for i := range 10 * files {
				cmd = tree.AppendCommand(cmd, &tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/d/%d", i%files), Value: []byte("x")})
			}
			if _, err := m.Update([]sm.Entry{{Index: raft, Cmd: cmd}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func() {
		m.caches.lists.blockAll()
		m.caches.lists.unblockAll()
		if _, _, err, fail := m.Get(nil, &tree.Query{Key: "/d"}, func() int64 { return 1 }); err != nil || fail != nil {
			t.Fatal(err, fail)
		}
	}
	for round := range 3 {
		overwrite()
		list()
		if m.flusher.pending == nil {
			t.Fatalf("round %d: nothing was done about %d old records", round, 10*files*rounds)
		}
		<-m.flusher.pending
		done := m.flusher.pending
		list()
		if m.flusher.pending != done {
			t.Errorf("round %d: it was done again for nothing", round)
		}
	}
	if flushes := m.store.db.Metrics().Flush.Count; flushes != 3 {
		t.Errorf("the table was written out %d times, want 3", flushes)
	}
}

// Nothing looks now and then whether there is room for another compaction; still, they keep up.
func TestCompactionsFollowEachOther(t *testing.T) {
	ended := make(chan struct{}, 100)
	m, err := NewTuned(Options{Dir: t.TempDir() + "/shard", Replica: 1, Window: 10, WindowBytes: 1 << 30}, func(o *pebble.Options) {
		o.EventListener.CompactionEnd = func(pebble.CompactionInfo) { ended <- struct{}{} }
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	stacks := make([]byte, 1<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("periodicGranter")) {
		t.Error("the store looks for room for compactions again and again")
	}
	const flushes = 20
	for raft := range uint64(flushes) {
		cmd := tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/%d", raft), Value: []byte("x")})
		if _, err := m.Update([]sm.Entry{{Index: raft + 1, Cmd: cmd}}); err != nil {
			t.Fatal(err)
		}
		if err := m.store.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for m.store.db.Metrics().Levels[0].TablesCount >= 4 {
		<-ended
	}
}
