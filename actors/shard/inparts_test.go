package shard

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// storeRaft is a raft group of one member, whose replica has a store.
type storeRaft struct {
	*oneRaft
	m       *statemachine.Machine
	longest atomic.Int64 // entry
	lose    atomic.Int64 // counts down to the part that isn't applied, without a word
}

func (r *storeRaft) Propose(cmd []byte) (Entry, error) {
	b, err := tree.ReadBatch(cmd)
	if err != nil {
		return nil, err
	}
	for more, err := b.NextSubmission(); more && err == nil; more, err = b.NextSubmission() {
		for b.Len() > 0 {
			var c tree.Command
			if _, err := b.Next(&c); err != nil {
				return nil, err
			}
			if c.Op == tree.OpStage && r.lose.Add(-1) == 0 {
				return entryDone(true), nil
			}
		}
	}
	r.longest.Store(max(r.longest.Load(), int64(len(cmd))))
	_, err = r.m.Update([]sm.Entry{{Index: r.m.RaftIndex() + 1, Cmd: bytes.Clone(cmd)}})
	return entryDone(true), err
}

func newStoreActor(t *testing.T, timeout time.Duration) (*Actor, *storeRaft) {
	m, err := statemachine.New(statemachine.Options{Dir: "/shard", Replica: self, Window: 9, WindowBytes: 1 << 30, FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	a, one, _ := newActor(timeout)
	raft := &storeRaft{oneRaft: one, m: m}
	a.o.Raft = raft
	m.Subscribe(one.feed.Data)
	t.Cleanup(func() { _ = m.Close() })
	run(t, a)
	return a, raft
}

func largeValue(c byte) []byte { return bytes.Repeat([]byte{c}, 1<<20+1000) }

func TestLargeValuesGoInParts(t *testing.T) {
	a, raft := newStoreActor(t, time.Minute)
	var all sync.WaitGroup
	for i := range 3 * valuesInParts {
		c := &tree.Command{Op: tree.OpSet, Key: fmt.Sprint("/", i), Value: largeValue('a' + byte(i)), Now: 1}
		if !c.Large() {
			t.Fatal("not large")
		}
		all.Go(func() {
			if r := a.DoInParts(c); r.Err != nil || !r.Created || r.Late == nil || !bytes.Contains(r.Late.JSON(), c.Value) {
				t.Errorf("%s is answered %v", c.Key, r.Err)
			}
		})
	}
	all.Wait()
	if n := raft.longest.Load(); n > partsBytesLimit+batchBytesLimit/8 {
		t.Errorf("an entry has %d bytes", n)
	}
	found := 0
	if _, err := raft.m.Walk(func(n *tree.Node) error {
		if bytes.Equal(n.Value, largeValue('a'+n.Key[1]-'0')) {
			found++
		}
		return nil
	}); err != nil || found != 3*valuesInParts {
		t.Errorf("%d values are there, %v", found, err)
	}
	for result, n := range a.Measures().Outcomes {
		if want := map[string]uint64{"done": uint64(found)}[result]; n != want {
			t.Errorf("%d writes are %s, want %d", n, result, want)
		}
	}
}

func TestLargeValuesThatDontGetThrough(t *testing.T) {
	a, raft := newStoreActor(t, 300*time.Millisecond)
	c := &tree.Command{Op: tree.OpSet, Key: "/k", Value: largeValue('v'), Now: 1}
	asked := 0
	a.admit = func(bytes int) error { asked = bytes; return ErrNoSpace }
	if r := a.DoInParts(c); r.Err == nil || r.Err.Cause != ErrNoSpace.Error() || asked < len(c.Value) || raft.m.RaftIndex() > 1 {
		t.Errorf("without space: %v, after %d bytes were asked for and %d entries", r.Err, asked, raft.m.RaftIndex())
	}
	a.admit = func(int) error { return nil }
	for range valuesInParts { // which keep their turns until they are given up
		a.values <- struct{}{}
	}
	if r := a.DoInParts(c); r.Err == nil || r.Err.Cause != ErrTimeout.Error() {
		t.Errorf("without a turn: %v", r.Err)
	}
	for range valuesInParts {
		<-a.values
	}
	raft.lose.Store(3)
	if r := a.DoInParts(c); r.Err == nil || r.Err.Cause != ErrTimeout.Error() {
		t.Errorf("with a part that is lost: %v", r.Err)
	}
	if len(a.values) > 0 {
		t.Error("it keeps its turn")
	}
	if r := a.Do(&tree.Command{Op: tree.OpDelete, Key: "/k"}); r.Err == nil || r.Err.Code != tree.CodeKeyNotFound {
		t.Errorf("it is there: %v", r.Err)
	}
	another := &tree.Command{Op: tree.OpStage, Key: "/k", Value: []byte("v"), PrevIndex: 1<<62 + 1}
	if r := a.Do(another); r.Err == nil || !strings.Contains(r.Err.Cause, "forgotten") {
		t.Errorf("what there is of it isn't forgotten: %v", r.Err)
	}
}
