package statemachine

import (
	"fmt"
	"testing"

	"copse/statemachine/tree"

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
