package statemachine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

var someNames = NameLimits{Events: 10, Bytes: 1 << 20, Names: 100, Total: 1 << 20}

func namedMachine(t *testing.T, dir string, l NameLimits) *Machine {
	t.Helper()
	m, err := New(Options{Dir: dir, Replica: 1, Window: 1, WindowBytes: 1, Names: l})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func set(key string) tree.Command { return tree.Command{Op: tree.OpSet, Key: key} }

// A record of a name's window that makes no sense is refused, like any other.
func TestDamagedWindowsOfNames(t *testing.T) {
	dir := t.TempDir()
	m := namedMachine(t, dir, someNames)
	applyAll(t, m, set("/a/b"), set("/c"))
	applyAll(t, m, set("/a/b"))
	whole := map[string][]byte{}
	for _, prefix := range []byte{nameWindowPrefix, nameEventPrefix} {
		for _, key := range keysOf(t, m, prefix) {
			value, closer, err := m.store.db.Get([]byte(key))
			if err != nil {
				t.Fatal(err)
			}
			whole[key] = bytes.Clone(value)
			if err := closer.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(whole) != 6 { // all; /a, /c; three of events
		t.Fatalf("%d records: %q", len(whole), whole)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for key, value := range whole {
		spoilt := map[string][]byte{"short": value[:len(value)-1], "empty": {}, "long": append(bytes.Clone(value), 0)}
		if key[0] == nameWindowPrefix && len(key) > 1 {
			spoilt["without events"] = appendNumbers(nil, 1, 2, 0, 9, 0)
			spoilt["that ends before it begins"] = appendNumbers(nil, 5, 4, 1, 9, 0)
		}
		for what, bad := range spoilt {
			readDamaged(t, dir, fmt.Sprintf("%q %s", key, what), key, bad)
		}
	}
	readDamaged(t, dir, "a window of no name", "h\x00", appendNumbers(nil, 1, 2, 1, 9, 0))
	readDamaged(t, dir, "a window of a key below a name", "h\x00a\x00b", appendNumbers(nil, 1, 2, 1, 9, 0))
	readDamaged(t, dir, "a window without its events", "h\x00lost", appendNumbers(nil, 1, 2, 1, 9, 0))
}

// readDamaged opens a copy of the store with a record changed.
func readDamaged(t *testing.T, whole, what, key string, bad []byte) {
	t.Helper()
	dir := t.TempDir() + "/copy"
	if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
		t.Fatal(err)
	}
	spoiling := namedMachine(t, dir, someNames)
	if err := firstError(spoiling.store.db.Set([]byte(key), bad, pebble.NoSync), spoiling.store.db.Flush(), spoiling.Close()); err != nil {
		t.Fatal(err)
	}
	m, err := New(Options{Dir: dir, Replica: 1, Window: 1, WindowBytes: 1, Names: someNames})
	if err == nil {
		for _, name := range []string{"/a", "/c"} {
			_, _, failed := m.HistoryOf(name, 1, 10)
			err = firstError(err, failed)
		}
		if err == nil { // what is missing shows when it is removed
			m.view.events.names.limits.Total = 1
			c := set("/d")
			_, err = m.Update([]sm.Entry{{Index: m.RaftIndex() + 1, Cmd: tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &c)}})
		}
		err = firstError(err, m.Close())
	}
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("%s: %v", what, err)
	}
}

// A copse without windows of names may have applied something since they were stored: then nothing of them
// can be relied on.
func TestWindowsOfNamesThatMissSomethingAreDropped(t *testing.T) {
	dir := t.TempDir()
	m := namedMachine(t, dir, someNames)
	applyAll(t, m, set("/a/b"), set("/c"))
	m.view.events.names = &nameWindows{} // the other copse's
	for range 100 {
		applyAll(t, m, set("/a/b"))
	}
	for _, restart := range []bool{true, false} {
		if restart {
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			m = namedMachine(t, dir, someNames)
		}
		for _, key := range []string{"/a", "/a/b", "/c", "/none"} {
			events, oldest, err := m.HistoryOf(key, 1, 10)
			if err != nil || oldest != 102 || len(events) != 0 {
				t.Errorf("restarted %v: %d events of %s from %d on, %v", restart, len(events), key, oldest, err)
			}
		}
		if windows, floor, err := m.NameWindows("", 10); err != nil || len(windows) != 0 || floor != 103 {
			t.Errorf("restarted %v: %d windows, others from %d on, %v", restart, len(windows), floor, err)
		}
	}
	applyAll(t, m, set("/c"))
	if windows, floor, err := m.NameWindows("", 10); err != nil || len(windows) != 1 || floor != 103 || windows[0] != (NameWindow{Name: "c", Floor: 103, Last: 103, Events: 1, Bytes: windows[0].Bytes}) {
		t.Errorf("%+v, others from %d on, %v", windows, floor, err)
	}
	if n := len(keysOf(t, m, nameEventPrefix)); n != 1 {
		t.Errorf("%d records of events", n)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	// Turned off, they are removed.
	m = namedMachine(t, dir, NameLimits{})
	applyAll(t, m, set("/c"))
	if n := len(keysOf(t, m, nameEventPrefix)) + len(keysOf(t, m, nameWindowPrefix)); n != 0 {
		t.Errorf("%d records are left", n)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMachinesRefuseWindowsOfNamesOfNothing(t *testing.T) {
	for _, l := range []NameLimits{{Events: 1}, {Events: -1}, {Events: 1, Bytes: 1, Names: 1}, {Events: 1, Bytes: 1, Total: 1}, {Events: 1, Names: 1, Total: 1}, {Events: 1, Bytes: 1, Names: 1, Total: 1, Age: -1}} {
		if _, err := New(Options{Dir: t.TempDir(), Replica: 1, Window: 1, WindowBytes: 1, Names: l}); err == nil {
			t.Errorf("%+v was accepted", l)
		}
	}
}

func FuzzNameRecords(f *testing.F) {
	f.Add([]byte("h\x00a"), appendNumbers(nil, 1, 2, 1, 9, 0))
	f.Add(appendNameEventKey(nil, "a", 7), append(appendNumbers(nil, 9, 1, 0), "events"...))
	f.Fuzz(func(t *testing.T, key, rec []byte) {
		if len(key) > 0 {
			if w, err := readNameWindow(key, rec); err == nil && (!bytes.Equal(w.append(nil), rec) || w.events == 0) {
				t.Errorf("%x is read as %+v", rec, w)
			}
		}
		if h, events, err := readNameRecord(key, rec); err == nil {
			again := append(appendNumbers(nil, h.bytes, h.events, uint64(h.since)), events...)
			if !bytes.Equal(again, rec) || !bytes.HasSuffix(key, appendNumbers(nil, uint64(h.last))) {
				t.Errorf("%x is read as %+v", rec, h)
			}
		}
		var n nameWindows
		if n.read(rec) == nil && !bytes.Equal(n.append(nil), rec) {
			t.Errorf("%x is read as %+v", rec, n)
		}
	})
}
