package statemachine

import (
	"bytes"
	"strings"
	"testing"

	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// stager applies commands, each in an entry of its own.
type stager struct {
	t    *testing.T
	m    *Machine
	raft uint64
}

func (s *stager) do(c *tree.Command) tree.Reply {
	s.t.Helper()
	s.raft++
	h := tree.BatchHead{Epoch: 1, Number: s.raft, Submissions: 1, Staged: true, Clock: tree.Clock{Time: 1e18}}
	if s.m.place.data() && c.Op != tree.OpStage {
		h.Ordered, h.Range = true, tree.Range{First: s.m.Index() + 1, Last: s.m.Index() + tree.Index(c.Indexes())}
	}
	cmd := tree.AppendSubmission(tree.AppendBatchHead(nil, h), tree.RequestID{Replica: 1, Number: s.raft}, 1)
	var reply tree.Reply
	s.m.Subscribe(func(res *ApplyResult) {
		reply, _, _ = CutReply(res.Outcomes[0].Data)
		res.Outcomes[0].Complete(&reply)
	})
	if _, err := s.m.Update([]sm.Entry{{Index: s.raft, Cmd: tree.AppendCommand(cmd, c)}}); err != nil {
		s.t.Fatal(err)
	}
	return reply
}

// stage stages the value of c, and returns its number.
func (s *stager) stage(c *tree.Command) (number tree.Index) {
	s.t.Helper()
	number, next := s.begin(c)
	for next < len(c.Value) {
		var part *tree.Command
		part, next = c.Part(next, number)
		if reply := s.do(part); reply.Err != nil {
			s.t.Fatal(reply.Err)
		}
	}
	return number
}

// begin stages the first part of c's value.
func (s *stager) begin(c *tree.Command) (number tree.Index, next int) {
	s.t.Helper()
	part, next := c.Part(0, 0)
	reply := s.do(part)
	if reply.Err != nil {
		s.t.Fatal(reply.Err)
	}
	return reply.Staged(), next
}

func text(r tree.Reply) string {
	if r.Err != nil {
		return string(tree.AppendError(nil, r.Err))
	}
	if r.Late != nil {
		return string(r.Late.JSON())
	}
	return string(r.JSON)
}

// A command with a staged value does as it would with the value itself.
func TestStagedValuesAreAsOthers(t *testing.T) {
	value, other := patterned(5*rowBytes+7), patterned(4*rowBytes+1)
	for _, slots := range []int{1, 2} {
		key := "/k"
		if tree.Slot(key, 2) != 0 {
			key = "/b"
		}
		list := []*tree.Command{
			{Op: tree.OpCreate, Key: key, Value: value},
			{Op: tree.OpCreate, Key: key, Value: other},
			{Op: tree.OpSet, Key: key, Value: other},
			{Op: tree.OpSet, Key: key, Value: value, Expires: 2e18},
			{Op: tree.OpCompareAndSwap, Key: key, PrevIndex: 77, Value: other},
			{Op: tree.OpCompareAndSwap, Key: key, PrevValue: string(value), Value: other},
			{Op: tree.OpUpdate, Key: key, Value: value},
			{Op: tree.OpUpdate, Key: key + "/x/y", Value: value},
			{Op: tree.OpSet, Key: key, Value: []byte("small")},
			{Op: tree.OpSet, Key: key, Value: value},
			{Op: tree.OpDelete, Key: key},
			{Op: tree.OpCreateInOrder, Key: key, Value: value},
			{Op: tree.OpSet, Key: key + "/x/y", Value: value},
			{Op: tree.OpSet, Key: key + "/x", Value: value},
		}
		open := func() *stager {
			m, err := New(Options{Dir: t.TempDir(), Replica: 1, Window: 20, WindowBytes: 1 << 30, Slots: slots})
			if err != nil {
				t.Fatal(err)
			}
			return &stager{t: t, m: m}
		}
		staged, whole := open(), open()
		for i, c := range list {
			given := c
			if c.Large() {
				given = c.WithStaged(staged.stage(c))
			}
			got := text(staged.do(given))
			if want := text(whole.do(c)); got != want {
				t.Fatalf("%d shards, command %d: %.300s, want %.300s", slots, i, got, want)
			}
			if left := keysOf(t, staged.m, stagedPrefix); len(left) > 0 {
				t.Fatalf("command %d leaves %q", i, left)
			}
		}
		for i := 0; i < 200; i++ { // until no event has any of the values
			set := &tree.Command{Op: tree.OpSet, Key: key + "/small"}
			staged.do(set)
			whole.do(set)
		}
		rows := func(m *Machine) int { return len(keysOf(t, m, valuePrefix)) }
		if got, want := rows(staged.m), rows(whole.m); got != want {
			t.Errorf("%d shards: %d rows are left, want %d", slots, got, want)
		}
		for _, s := range []*stager{staged, whole} {
			if err := s.m.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A snapshot, and a start, in the middle of it don't matter.
func TestStagingGoesOnElsewhere(t *testing.T) {
	s := &stager{t: t, m: openRows(t, t.TempDir())}
	c := setK(patterned(3*rowBytes + 5))
	number, next := s.begin(&c)
	data := saveRows(t, s.m)
	_ = s.m.Close()
	dir := t.TempDir()
	to := &stager{t: t, m: openRows(t, dir), raft: s.raft}
	if err := to.m.RecoverFromSnapshot(bytes.NewReader(data), nil); err != nil {
		t.Fatal(err)
	}
	for next < len(c.Value) {
		var part *tree.Command
		part, next = c.Part(next, number)
		if r := to.do(part); r.Err != nil {
			t.Fatal(r.Err)
		}
		if err := firstError(to.m.Sync(), to.m.Close()); err != nil {
			t.Fatal(err)
		}
		to.m = openRows(t, dir)
		if _, err := to.m.Open(nil); err != nil {
			t.Fatal(err)
		}
	}
	if r := to.do(c.WithStaged(number)); r.Err != nil {
		t.Fatal(r.Err)
	}
	checkValue(t, to.m, c.Value)
	_ = to.m.Close()
}

// What is wrong with a part changes nothing but what its writer gets.
func TestStagingThatDoesntFit(t *testing.T) {
	s := &stager{t: t, m: openRows(t, t.TempDir())}
	defer s.m.Close()
	c := setK(bytes.Repeat([]byte("v"), 2*rowBytes+5))
	part := func(number tree.Index, size int) tree.Reply {
		return s.do(&tree.Command{Op: tree.OpStage, Key: "/k", Value: c.Value[:size], PrevIndex: number})
	}
	refused := func(what string, r tree.Reply) {
		t.Helper()
		if r.Err == nil || r.Err.Code != tree.CodeRaftInternal || !strings.Contains(r.Err.Cause, what) {
			t.Errorf("%v, want %q", r.Err, what)
		}
	}
	number, _ := s.begin(&c)
	refused("doesn't fit", part(number, rowBytes-1))
	refused("is missing", s.do(c.WithStaged(number)))
	refused("forgotten", part(number, rowBytes))
	refused("forgotten", s.do(c.WithStaged(number)))
	refused("forgotten", part(ownValue+77, rowBytes))
	number, _ = s.begin(&c)
	if r := part(number, rowBytes); r.Err != nil {
		t.Fatal(r.Err)
	}
	refused("doesn't fit", part(number, rowBytes))
	refused("doesn't fit", part(number, 6))
	refused("doesn't fit", part(number, 4))
	if r := part(number, 5); r.Err != nil {
		t.Fatal(r.Err)
	}
	refused("doesn't fit", part(number, 1))
	if r := s.do(c.WithStaged(number)); r.Err != nil {
		t.Fatal(r.Err)
	}
	checkValue(t, s.m, c.Value)
	if n := len(keysOf(t, s.m, valuePrefix)); n != 3 {
		t.Errorf("%d rows are stored, want 3", n)
	}
}

// What nobody goes on with is forgotten in the end, and until then bounded.
func TestStagedValuesThatNobodyTakes(t *testing.T) {
	s := &stager{t: t, m: openRows(t, t.TempDir())}
	defer s.m.Close()
	first := func(length int) tree.Reply {
		return s.do(&tree.Command{Op: tree.OpStage, Key: "/k", Value: patterned(rowBytes), Limit: length})
	}
	for range 4 {
		if r := first(stagedBytesLimit / 4); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if r := first(rowBytes + 1); r.Err == nil || !strings.Contains(r.Err.Cause, "too many") {
		t.Errorf("beyond the limit: %v", r.Err)
	}
	s.raft += stagedEntries
	if r := first(rowBytes + 1); r.Err != nil {
		t.Error(r.Err)
	}
	if values, rows := len(keysOf(t, s.m, stagedPrefix)), len(keysOf(t, s.m, valuePrefix)); values != 1 || rows != 1 {
		t.Errorf("%d values in %d rows are left, want 1 in 1", values, rows)
	}
	for i := range stagedLimit {
		r := s.do(&tree.Command{Op: tree.OpStage, Key: "/k", Value: []byte("v"), Limit: 1})
		if full := i == stagedLimit-1; full != (r.Err != nil) {
			t.Fatalf("value %d of %d: %v", i+2, stagedLimit, r.Err)
		}
	}
}

// A request whose answer is kept leaves nothing of the value that comes with its repetition.
func TestStagedValuesOfRepeatedRequests(t *testing.T) {
	s := &stager{t: t, m: openRows(t, t.TempDir())}
	defer s.m.Close()
	c := setK(patterned(rowBytes + 5))
	if !c.Identify("once") {
		t.Fatal("not identified")
	}
	want := text(s.do(c.WithStaged(s.stage(&c))))
	if got := text(s.do(c.WithStaged(s.stage(&c)))); got != want {
		t.Errorf("%.200s, want %.200s", got, want)
	}
	if values, rows := len(keysOf(t, s.m, stagedPrefix)), len(keysOf(t, s.m, valuePrefix)); values != 0 || rows != 2 {
		t.Errorf("%d values are staged and %d rows stored, want 0 and 2", values, rows)
	}
}
