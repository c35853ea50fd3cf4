package statemachine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

func applyAll(t *testing.T, m *Machine, list ...tree.Command) {
	t.Helper()
	cmd := tree.AppendBatch(nil, 1, len(list))
	for i := range list {
		cmd = tree.AppendCommand(cmd, &list[i])
	}
	if _, err := m.Update([]sm.Entry{{Index: m.RaftIndex() + 1, Cmd: cmd}}); err != nil {
		t.Fatal(err)
	}
}

func wantCounts(t *testing.T, m *Machine, nodes, expiring uint64) {
	t.Helper()
	if m.Nodes() != nodes || m.Expirations() != expiring {
		t.Errorf("%d nodes, of which %d expire; want %d and %d", m.Nodes(), m.Expirations(), nodes, expiring)
	}
}

func newCounted(t *testing.T, dir string) *Machine {
	t.Helper()
	m, err := New(Options{Dir: dir, Replica: 1, Window: 10})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Few nodes are taken out one by one, many at once.
func TestSubtreesAreCountedAsTheyGo(t *testing.T) {
	m := newCounted(t, t.TempDir())
	defer m.Close()
	for _, many := range []int{fewNodes / 2, fewNodes - 1, fewNodes, fewNodes + 1, 5 * fewNodes} {
		var list []tree.Command
		for i := range many {
			c := tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/d/%d", i)}
			if i%2 == 0 {
				c.Expires = 1e18
			}
			list = append(list, c)
		}
		list = append(list, tree.Command{Op: tree.OpSet, Key: "/_d", Expires: 7})
		applyAll(t, m, list...)
		wantCounts(t, m, uint64(many)+2, uint64(many+1)/2+1)
		applyAll(t, m, tree.Command{Op: tree.OpSet, Key: "/d/x"}, tree.Command{Op: tree.OpDelete, Key: "/d", Recursive: true}, tree.Command{Op: tree.OpSet, Key: "/e/f"})
		wantCounts(t, m, 3, 1)
		// In one batch with what made it, and the same time to live over again.
		list = append(list, tree.Command{Op: tree.OpDelete, Key: "/d", Recursive: true})
		applyAll(t, m, append(list, list...)...)
		wantCounts(t, m, 3, 1)
		applyAll(t, m, tree.Command{Op: tree.OpExpire, Now: 2e18, Limit: 10}, tree.Command{Op: tree.OpDelete, Key: "/e", Recursive: true})
		wantCounts(t, m, 0, 0)
	}
}

// format2 is a meta record as it was before there were counts.
func format2(m *meta) []byte {
	rec := m.append(nil)
	binary.BigEndian.PutUint64(rec, 2)
	return rec[:len(rec)-16]
}

func TestAStoreWithoutCountsIsCountedOnce(t *testing.T) {
	dir := t.TempDir()
	m := newCounted(t, dir)
	applyAll(t, m, tree.Command{Op: tree.OpSet, Key: "/a/b"}, tree.Command{Op: tree.OpSet, Key: "/_h", Expires: 5})
	before := m.meta
	if err := m.store.db.Set(metaKey, format2(&before), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	// So it also comes as a snapshot, of a member that isn't up to date.
	state, err := m.PrepareSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	var image bytes.Buffer
	if err := m.SaveSnapshot(state, &image, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	other := newCounted(t, t.TempDir())
	defer other.Close()
	if err := other.RecoverFromSnapshot(&image, nil); err != nil {
		t.Fatal(err)
	}
	m = newCounted(t, dir)
	defer m.Close()
	for name, m := range map[string]*Machine{"the store": m, "the snapshot": other} {
		wantCounts(t, m, 3, 1)
		if m.meta != before {
			t.Errorf("%s: meta %+v, want %+v", name, m.meta, before)
		}
		rec, closer, err := m.store.db.Get(metaKey)
		if err != nil || !bytes.Equal(rec, before.append(nil)) {
			t.Errorf("%s: the record is %x, %v", name, rec, err)
		}
		_ = closer.Close()
		applyAll(t, m, tree.Command{Op: tree.OpDelete, Key: "/_h"})
		wantCounts(t, m, 2, 0)
	}
}
