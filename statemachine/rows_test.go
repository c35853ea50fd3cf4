package statemachine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

func openRows(t *testing.T, dir string) *Machine {
	t.Helper()
	m, err := New(Options{Dir: dir, Replica: 1, Window: 20, WindowBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// patterned is a value in which each row differs from the others.
func patterned(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz."), n/37+1)[:n]
}

// checkValue reads the value of /k in each way there is, or expects to fail in each if want is nil.
func checkValue(t *testing.T, m *Machine, want []byte) {
	t.Helper()
	p, err := m.pin()
	if err != nil {
		t.Fatal(err)
	}
	defer p.unpin()
	rec, err := getRecord(p.snap, appendNodeKey(nil, "/k"), nil)
	n, badNode := readNode("/k", rec)
	if want == nil && !errors.Is(err, ErrDamaged) || want != nil && (err != nil || badNode != nil || !bytes.Equal(n.Value, want)) {
		t.Errorf("read by key: %d bytes, want %d; %v, %v", len(n.Value), len(want), err, badNode)
	}
	it, err := p.snap.NewIter(&pebble.IterOptions{LowerBound: appendNodeKey(nil, "/k"), UpperBound: []byte{nodePrefix + 1}})
	if err != nil {
		t.Fatal(err)
	}
	l := &listing{h: p.h, it: it, valid: it.First()}
	n, err = l.node()
	if want == nil && !errors.Is(err, ErrDamaged) || want != nil && (err != nil || !bytes.Equal(n.Value, want)) {
		t.Errorf("listed: %d bytes, want %d; %v", len(n.Value), len(want), err)
	}
	if l.values != nil {
		_ = l.values.Close()
	}
	_ = it.Close()
}

func setK(value []byte) tree.Command { return tree.Command{Op: tree.OpSet, Key: "/k", Value: value} }

// asOneRow makes the value of /k, and what says when to delete it, what an earlier version wrote.
func asOneRow(t *testing.T, m *Machine, value []byte) {
	t.Helper()
	for _, key := range keysOf(t, m, valuePrefix)[1:] {
		if err := m.store.db.Delete([]byte(key), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.store.db.Set([]byte(keysOf(t, m, valuePrefix)[0]), value, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
}

// Whatever its rows, a value is read as it was written, also from disk and by the member that gets a
// snapshot, and all of it goes in the end.
func TestValuesOfSeveralRows(t *testing.T) {
	for _, length := range []int{largeValueBytes, rowBytes - 1, rowBytes, rowBytes + 1, 2 * rowBytes, 10 << 20} {
		for _, old := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, as one row %v", length, old), func(t *testing.T) {
				value := patterned(length)
				dir := t.TempDir()
				m := openRows(t, dir)
				applyAll(t, m, setK(value))
				if rows := keysOf(t, m, valuePrefix); len(rows) != (length+rowBytes-1)/rowBytes {
					t.Fatalf("%d rows", len(rows))
				}
				if old {
					asOneRow(t, m, value)
				}
				checkValue(t, m, value)
				sent := saveRows(t, m)
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile(filepath.Join(dir, currentFile))
				if divided := strings.HasPrefix(string(text), "copse store 8\n"); err != nil || divided != (length > rowBytes) {
					t.Errorf("CURRENT: %q, %v", text, err)
				}
				m = openRows(t, dir)
				defer m.Close()
				checkValue(t, m, value)

				other := openRows(t, t.TempDir())
				defer other.Close()
				if err := other.RecoverFromSnapshot(bytes.NewReader(sent), nil); err != nil {
					t.Fatal(err)
				}
				checkValue(t, other, value)
				if rows := keysOf(t, other, valuePrefix); len(rows) != rowsOf(length) || other.home.now().rows != (length > rowBytes) {
					t.Errorf("%d rows after a snapshot, CURRENT %+v", len(rows), other.home.now())
				}
				if !bytes.Equal(saveRows(t, other), sent) {
					t.Error("the snapshot of a snapshot differs")
				}

				applyAll(t, m, setK([]byte("small")))
				if old { // the earlier version didn't say how many rows it dropped
					if err := m.store.db.Set([]byte(keysOf(t, m, dropPrefix)[0]), nil, pebble.NoSync); err != nil {
						t.Fatal(err)
					}
				}
				if notices, _, err := m.History(1, 1000); err != nil || len(notices) == 0 {
					t.Errorf("history: %d events, %v", len(notices), err)
				}
				for range (lingerWindows + 4) * 20 {
					applyAll(t, m, setK([]byte("small")))
				}
				if left := keysOf(t, m, valuePrefix); len(left) != 0 {
					t.Errorf("%d rows are left", len(left))
				}
			})
		}
	}
}

func saveRows(t *testing.T, m *Machine) []byte {
	t.Helper()
	state, err := m.PrepareSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := m.SaveSnapshot(state, &b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An earlier version reads the value from a snapshot as one record, of its whole length.
func TestSnapshotsHaveWholeValues(t *testing.T) {
	m := openRows(t, t.TempDir())
	defer m.Close()
	value := patterned(3*rowBytes + 5)
	applyAll(t, m, setK(value), tree.Command{Op: tree.OpSet, Key: "/l", Value: value[1:]})
	in := &checksumReader{Reader: bufio.NewReader(bytes.NewReader(saveRows(t, m)[len(snapshotMagic):]))}
	var found [][]byte
	for {
		n, err := in.length()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		key, err := in.bytes(nil, n)
		if err != nil {
			t.Fatal(err)
		}
		if n, err = in.length(); err != nil {
			t.Fatal(err)
		}
		record, err := in.bytes(nil, n)
		if err != nil {
			t.Fatal(err)
		}
		if key[0] == valuePrefix {
			found = append(found, record)
		}
	}
	if len(found) != 2 || !bytes.Equal(found[0], value) || !bytes.Equal(found[1], value[1:]) {
		t.Errorf("%d values", len(found))
	}
}

// A row that is missing, or has another length, is damage.
func TestRowsThatAreDamaged(t *testing.T) {
	for name, row := range map[string]int{"first": 0, "middle": 1, "last": 2} {
		for what, value := range map[string][]byte{"missing": nil, "short": patterned(3), "long": patterned(rowBytes + 1), "empty": {}} {
			t.Run(name+" "+what, func(t *testing.T) {
				m := openRows(t, t.TempDir())
				defer m.Close()
				applyAll(t, m, setK(patterned(2*rowBytes+7)))
				key := []byte(keysOf(t, m, valuePrefix)[row])
				err := m.store.db.Delete(key, pebble.NoSync)
				if value != nil {
					err = m.store.db.Set(key, value, pebble.NoSync)
				}
				if err != nil {
					t.Fatal(err)
				}
				checkValue(t, m, nil)
			})
		}
	}
}

// Rows of the right length together, but not each.
func TestRowsThatEndElsewhere(t *testing.T) {
	m := openRows(t, t.TempDir())
	defer m.Close()
	value := patterned(rowBytes + 7)
	applyAll(t, m, setK(value))
	for i, row := range [][]byte{value[:rowBytes-1], value[rowBytes-1:]} {
		if err := m.store.db.Set([]byte(keysOf(t, m, valuePrefix)[i]), row, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	checkValue(t, m, nil)
}

// What is left of an entry that was never applied isn't taken for rows of the value that has its index now.
func TestRowsThatNobodyHas(t *testing.T) {
	m := openRows(t, t.TempDir())
	defer m.Close()
	for _, length := range []int{rowBytes - 1, rowBytes + 7} {
		value := patterned(length)
		applyAll(t, m, setK(value))
		key := []byte(keysOf(t, m, valuePrefix)[0])
		stray := binary.BigEndian.AppendUint16(bytes.Clone(key[:9]), 30)
		if err := m.store.db.Set(stray, patterned(100), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		checkValue(t, m, value)
		other := openRows(t, t.TempDir())
		defer other.Close()
		if err := other.RecoverFromSnapshot(bytes.NewReader(saveRows(t, m)), nil); err != nil {
			t.Fatal(err)
		}
		checkValue(t, other, value)
		m = other
	}
}
