package statemachine_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"
)

func TestWaitApplied(t *testing.T) {
	m := mustNew(t, t.TempDir())
	set := tree.Command{Op: tree.OpSet, Key: "/k"}
	do(t, m, 5, set)
	background := context.Background()
	if err := m.WaitApplied(background, 5); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(background)
	end()
	if err := m.WaitApplied(ended, 6); !errors.Is(err, context.Canceled) {
		t.Fatalf("waited beyond the context: %v", err)
	}

	type answer struct {
		at, seen uint64
		err      error
	}
	answers := make(chan answer)
	wait := func(at uint64) {
		go func() {
			err := m.WaitApplied(background, at)
			answers <- answer{at, m.RaftIndex(), err}
		}()
	}
	expect := func(n int, err error) {
		t.Helper()
		for range n {
			if a := <-answers; !errors.Is(a.err, err) || err == nil && a.seen < a.at {
				t.Errorf("who waited for %d was told at %d: %v", a.at, a.seen, a.err)
			}
		}
	}
	for range 20 {
		wait(6)
		wait(7)
	}
	told := uint64(0)
	m.Subscribe(func(*statemachine.ApplyResult) { told = m.RaftIndex() })
	do(t, m, 6, set)
	expect(20, nil)
	do(t, m, 9, set) // entries of raft's own are never applied
	expect(20, nil)
	if told != 9 {
		t.Errorf("the res came at %d", told)
	}

	wait(19)
	ahead := mustNew(t, t.TempDir())
	defer mustClose(t, ahead)
	do(t, ahead, 20, set)
	if err := m.RecoverFromSnapshot(bytes.NewReader(dump(t, ahead)), nil); err != nil {
		t.Fatal(err)
	}
	expect(1, nil)

	wait(30)
	wait(31)
	mustClose(t, m)
	expect(2, statemachine.ErrClosed)
	if err := m.WaitApplied(background, 32); !errors.Is(err, statemachine.ErrClosed) {
		t.Errorf("of a closed machine: %v", err)
	}
	if err := m.WaitApplied(background, 20); err != nil {
		t.Errorf("what was applied before it was closed: %v", err)
	}
}

// Who begins to wait while the entry is applied is told as well.
func TestWaitAppliedMissesNothing(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	told := make(chan error, 1)
	for at := uint64(1); at <= 2000; at++ {
		begun := make(chan struct{})
		go func() {
			close(begun)
			told <- m.WaitApplied(context.Background(), at)
		}()
		<-begun
		do(t, m, at, tree.Command{Op: tree.OpSet, Key: "/k"})
		if err := <-told; err != nil {
			t.Fatal(err)
		}
	}
}
