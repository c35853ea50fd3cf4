package statemachine

import (
	"bytes"
	"testing"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// The rows of a value are written before what refers to them. A process that is killed between the two, or a
// snapshot that is taken there, has rows of an entry that it has not applied, all or the first of them. The
// entry is applied then, and nothing is left of them in the end.
func TestRowsBeforeTheirEntry(t *testing.T) {
	before, after := patterned(3*rowBytes+9), bytes.ToUpper(patterned(2*rowBytes+5))
	open := func(fs vfs.FS) *Machine {
		t.Helper()
		m, err := New(Options{Dir: "shard", Replica: 1, Window: 20, WindowBytes: 1 << 30, FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	finish := func(t *testing.T, m *Machine) {
		t.Helper()
		defer m.Close()
		if m.RaftIndex() != 1 {
			t.Fatalf("raft index %d", m.RaftIndex())
		}
		checkValue(t, m, before)
		applyAll(t, m, setK(after))
		checkValue(t, m, after)
		for range (lingerWindows + 4) * 20 {
			applyAll(t, m, setK([]byte("small")))
		}
		if left := keysOf(t, m, valuePrefix); len(left) != 0 {
			t.Errorf("%d rows are left", len(left))
		}
	}
	for name, kept := range map[string]int{"all rows": 3, "the first row": 1} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			m := open(fs)
			defer m.Close()
			applyAll(t, m, setK(before))
			if err := m.Sync(); err != nil {
				t.Fatal(err)
			}
			// The second command stops the replica, whose first has written its rows.
			c, stops := setK(after), tree.Command{Op: tree.OpMemberReplaceAll, PrevIndex: 1 << 40}
			cmd := tree.AppendCommand(tree.AppendCommand(tree.AppendBatch(nil, 1, 2), &c), &stops)
			if _, err := m.Update([]sm.Entry{{Index: 2, Cmd: cmd}}); err == nil {
				t.Fatal("applied")
			}
			keys := keysOf(t, m, valuePrefix)
			if len(keys) != 4+3 {
				t.Fatalf("%d rows", len(keys))
			}
			for _, key := range keys[4+kept:] {
				if err := m.store.db.Delete([]byte(key), pebble.NoSync); err != nil {
					t.Fatal(err)
				}
			}
			other := open(vfs.NewMem())
			if err := other.RecoverFromSnapshot(bytes.NewReader(saveRows(t, m)), nil); err != nil {
				t.Fatal(err)
			}
			finish(t, other)
			if err := m.store.db.Flush(); err != nil {
				t.Fatal(err)
			}
			killed := open(fs.CrashClone(vfs.CrashCloneCfg{}))
			if left := keysOf(t, killed, valuePrefix); len(left) != 4+kept {
				t.Fatalf("%d rows are on disk", len(left))
			}
			finish(t, killed)
		})
	}
}
