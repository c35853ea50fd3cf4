package statemachine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// keysOf lists the store's keys with a prefix.
func keysOf(t *testing.T, m *Machine, prefix byte) (keys []string) {
	t.Helper()
	it, err := m.store.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		keys = append(keys, string(it.Key()))
	}
	if err := firstError(it.Error(), it.Close()); err != nil {
		t.Fatal(err)
	}
	return keys
}

// A value is there as long as a node has it or an event in the window tells of it, once.
func TestValuesAreStoredOnceAndDeletedInTheEnd(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	m, err := New(Options{Dir: t.TempDir(), Replica: 1, Window: 20, WindowBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	value := func() []byte {
		return []byte(strings.Repeat(string('a'+rune(random.IntN(26))), largeValueBytes-1+random.IntN(3)))
	}
	check := func() {
		t.Helper()
		wanted := map[string]bool{}
		it, err := m.store.db.NewIter(&pebble.IterOptions{LowerBound: []byte{nodePrefix}, UpperBound: []byte{nodePrefix + 1}})
		if err != nil {
			t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			n, _, _, err := readNodeHead(it.Value())
			if err != nil {
				t.Fatal(err)
			}
			if n.Written != 0 {
				wanted[string(appendValueKey(nil, n.Written))] = true
			}
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		for _, drop := range keysOf(t, m, dropPrefix) {
			if drop < string(appendDropKey(nil, m.meta.oldest, 0)) {
				t.Fatalf("drop %x is still noted, and the window begins with %d", drop, m.meta.oldest)
			}
			written, err := readDropKey([]byte(drop))
			if err != nil {
				t.Fatal(err)
			}
			key := string(appendValueKey(nil, written))
			if wanted[key] {
				t.Fatalf("value %d is displaced twice, or still used", written)
			}
			wanted[key] = true
		}
		there := keysOf(t, m, valuePrefix)
		for _, key := range there {
			if !wanted[key] {
				t.Fatalf("value %x is left behind", key)
			}
		}
		if len(there) != len(wanted) {
			t.Fatalf("%d values, want %d", len(there), len(wanted))
		}
		if notices, oldest, err := m.History(m.Floor(), 1000); err != nil || oldest != m.Floor() || len(notices) == 0 && m.Index() > 0 {
			t.Fatalf("window from %d: %d events from %d on, %v", m.Floor(), len(notices), oldest, err)
		}
	}
	for range 400 {
		key := fmt.Sprintf("/d%d/k%d", random.IntN(3), random.IntN(4))
		c := tree.Command{Op: tree.OpSet, Key: key, Value: value()}
		switch random.IntN(8) {
		case 0:
			c = tree.Command{Op: tree.OpDelete, Key: tree.Parent(key), Recursive: true}
		case 1:
			c = tree.Command{Op: tree.OpUpdate, Key: key, Refresh: true, Expires: 100}
		case 2:
			c = tree.Command{Op: tree.OpExpire, Key: "/", Now: 200, Limit: 5}
		case 3:
			c = tree.Command{Op: tree.OpDelete, Key: key}
		case 4:
			c.Dir, c.Value = true, nil // a file becomes a directory
		}
		applyAll(t, m, c)
		check()
	}
	// All values go once their events have.
	applyAll(t, m, tree.Command{Op: tree.OpDelete, Key: "/d0", Recursive: true}, tree.Command{Op: tree.OpDelete, Key: "/d1", Recursive: true}, tree.Command{Op: tree.OpDelete, Key: "/d2", Recursive: true})
	for range 500 {
		applyAll(t, m, tree.Command{Op: tree.OpSet, Key: "/small"})
	}
	check()
	if left := keysOf(t, m, valuePrefix); len(left) != 0 {
		t.Fatalf("%d values are left", len(left))
	}
}

// A directory of more values than are deleted at once.
func TestManyValuesAreDeletedInPortions(t *testing.T) {
	m, err := New(Options{Dir: t.TempDir(), Replica: 1, Window: 1, WindowBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	value := []byte(strings.Repeat("v", largeValueBytes))
	for i := 0; i < dropLimit+1000; i += 500 {
		var list []tree.Command
		for j := range 500 {
			list = append(list, tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/d/%d", i+j), Value: value})
		}
		applyAll(t, m, list...)
	}
	applyAll(t, m, tree.Command{Op: tree.OpDelete, Key: "/d", Recursive: true})
	for _, left := range []int{1000, 0} {
		for range 65 {
			applyAll(t, m, tree.Command{Op: tree.OpSet, Key: "/small"})
		}
		if n := len(keysOf(t, m, valuePrefix)); n != left {
			t.Fatalf("%d values are left, want %d", n, left)
		}
	}
}

// The window is bounded in bytes as well.
func TestWindowKeepsSoManyBytes(t *testing.T) {
	const limit = 1 << 20
	dir := t.TempDir()
	m, err := New(Options{Dir: dir, Replica: 1, Window: 1000, WindowBytes: limit})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { m.Close() }()
	value := []byte(strings.Repeat("v", 50<<10))
	for i := range 100 {
		applyAll(t, m, tree.Command{Op: tree.OpSet, Key: "/k", Value: value})
		size := 0
		notices, oldest, err := m.History(1, 1000)
		if err != nil || oldest != notices[0].Index || oldest != m.Floor() {
			t.Fatalf("after %d: %v; the window begins with %d, and Floor says %d", i, err, oldest, m.Floor())
		}
		for _, n := range notices {
			size += n.Size()
		}
		if size > limit || i > 20 && size < limit*3/4 {
			t.Fatalf("after %d the window has %d bytes", i, size)
		}
		if n := len(keysOf(t, m, valuePrefix)); n != len(notices) && n != len(notices)+1 {
			t.Fatalf("%d values for %d events", n, len(notices))
		}
	}
	// One event that is larger than the window is in it, alone.
	applyAll(t, m, tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte(strings.Repeat("v", 2*limit))})
	notices, oldest, err := m.History(1, 1000)
	if err != nil || len(notices) != 1 || oldest != notices[0].Index {
		t.Fatalf("%d events from %d on, %v", len(notices), oldest, err)
	}
}

func TestMachinesRefuseAWindowOfNothing(t *testing.T) {
	for _, o := range []Options{{Window: 10}, {WindowBytes: 10}} {
		o.Dir = t.TempDir()
		if _, err := New(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}
