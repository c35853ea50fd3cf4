package statemachine_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// hashedLog is a log of n entries, with gaps where raft has entries of its own.
func hashedLog(n int) (entries []sm.Entry) {
	for i := range n {
		c := tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/k%d", i%100), Value: fmt.Append(nil, i)}
		entries = append(entries, sm.Entry{Index: uint64(i + i/10 + 1), Cmd: tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)})
	}
	return entries
}

func apply(t *testing.T, m *statemachine.Machine, entries ...sm.Entry) {
	t.Helper()
	if _, err := m.Update(slices.Clone(entries)); err != nil {
		t.Fatal(err)
	}
}

func hashOf(t *testing.T, m *statemachine.Machine) uint64 {
	t.Helper()
	hash, known := m.HashAt(m.RaftIndex())
	if !known {
		t.Fatalf("the replica doesn't know the hash at %d, where it is", m.RaftIndex())
	}
	return hash
}

func TestReplicasOfOneLogHaveOneHash(t *testing.T) {
	entries := hashedLog(50)
	dir := t.TempDir()
	one, two := mustNew(t, dir), mustNew(t, t.TempDir())
	defer func() { mustClose(t, one) }()
	defer mustClose(t, two)
	if _, known := one.HashAt(0); known {
		t.Error("there is a hash of nothing")
	}
	apply(t, one, entries...)
	for _, e := range entries {
		apply(t, two, e)
		mine, known := one.HashAt(e.Index)
		if other := hashOf(t, two); !known || mine != other {
			t.Fatalf("entry %d: hash %x (%v) when all came at once, %x one by one", e.Index, mine, known, other)
		}
	}
	if _, known := one.HashAt(entries[10].Index - 1); known {
		t.Error("there is a hash where raft had an entry of its own")
	}

	mustClose(t, one)
	one = mustNew(t, dir)
	last := hashOf(t, two)
	if got := hashOf(t, one); got != last {
		t.Errorf("after a start the hash is %x, want %x", got, last)
	}
	three := mustNew(t, t.TempDir())
	defer mustClose(t, three)
	apply(t, three, entries[:7]...)
	if err := three.RecoverFromSnapshot(bytes.NewReader(dump(t, two)), nil); err != nil {
		t.Fatal(err)
	}
	if got := hashOf(t, three); got != last {
		t.Errorf("after a snapshot the hash is %x, want the sender's, %x", got, last)
	}
	if _, known := three.HashAt(entries[6].Index); known {
		t.Error("a hash from before the snapshot is still known")
	}
	if err := three.Renew(statemachine.Renewal{Members: []tree.Member{{ID: replica, PeerURLs: []string{"http://a:1"}}}}); err != nil {
		t.Fatal(err)
	}
	if _, known := three.HashAt(entries[49].Index); known {
		t.Error("a hash from before the new generation is still known")
	}
}

func TestAnotherLogHasAnotherHash(t *testing.T) {
	entries := hashedLog(20)
	hash := func(entries []sm.Entry) uint64 {
		m := mustNew(t, t.TempDir())
		defer mustClose(t, m)
		apply(t, m, entries...)
		return hashOf(t, m)
	}
	want := hash(entries)
	missing := slices.Delete(slices.Clone(entries), 4, 5)
	swapped := slices.Clone(entries)
	swapped[4].Cmd, swapped[5].Cmd = swapped[5].Cmd, swapped[4].Cmd
	later := slices.Clone(entries)
	later[19].Index++
	for name, other := range map[string][]sm.Entry{"an entry is missing": missing, "two are swapped": swapped, "the last has another index": later} {
		if hash(other) == want {
			t.Errorf("%s, and the hash is the same", name)
		}
	}
}

func TestOnlyTheLatestHashesAreKept(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	const kept = 4096
	for first := uint64(1); first <= kept+100; first += 100 {
		var some []sm.Entry
		for i := range uint64(100) {
			some = append(some, sm.Entry{Index: first + i})
		}
		apply(t, m, some...)
	}
	last := m.RaftIndex()
	for index, want := range map[uint64]bool{last: true, last - kept + 1: true, last - kept: false, last + 1: false} {
		if _, known := m.HashAt(index); known != want {
			t.Errorf("at %d of %d: known %v, want %v", index, last, known, want)
		}
	}
}
