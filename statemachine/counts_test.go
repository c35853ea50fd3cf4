package statemachine

import (
	"encoding/binary"
	"errors"
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
	m, err := New(Options{Dir: dir, Replica: 1, Window: 10, WindowBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Few nodes are taken out one by one, many at once.
func TestSubtreesAreCountedAsTheyGo(t *testing.T) {
	m := newCounted(t, t.TempDir())
	defer m.Close()
	for _, many := range []int{deleteOneByOne / 2, deleteOneByOne - 1, deleteOneByOne, deleteOneByOne + 1, 5 * deleteOneByOne} {
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

func TestAnOlderFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	m := newCounted(t, dir)
	applyAll(t, m, tree.Command{Op: tree.OpSet, Key: "/a/b"})
	older := m.meta.append(nil)
	binary.BigEndian.PutUint64(older, formatUntimed-1)
	if err := m.store.db.Set(metaKey, older, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil { // which flushes
		t.Fatal(err)
	}
	_, err := New(Options{Dir: dir, Replica: 1, Window: 10, WindowBytes: 1 << 30})
	if !errors.Is(err, ErrOlderFormat) {
		t.Fatalf("New: %v", err)
	}
}
