package tree

import (
	"bytes"
	"testing"
)

// stagedBatch is a batch with the commands.
func stagedBatch(h BatchHead, list ...*Command) []byte {
	h.Epoch, h.Submissions, h.Staged = 1, 1, true
	cmd := AppendSubmission(AppendBatchHead(nil, h), RequestID{Replica: 1}, len(list))
	for _, c := range list {
		cmd = AppendCommand(cmd, c)
	}
	return cmd
}

func TestStagedCommandComesOutAsItWas(t *testing.T) {
	c := &Command{Op: OpCompareAndSwap, Key: "/a", PrevValue: "x", PrevIndex: 7, Expires: 9, Now: 5, Value: bytes.Repeat([]byte("v"), 1100<<10)}
	if !c.Identify("once") || !c.Large() {
		t.Fatal("not large")
	}
	var joined []byte
	list := []*Command{}
	for from := 0; from < len(c.Value); {
		var part *Command
		part, from = c.Part(from, 3)
		joined = append(joined, part.Value...)
		list = append(list, part)
	}
	if !bytes.Equal(joined, c.Value) || len(list) != 5 {
		t.Fatalf("%d parts of %d bytes", len(list), len(joined))
	}
	for _, h := range []BatchHead{{}, {Clock: Clock{Time: 1}}} {
		r, err := ReadBatch(stagedBatch(h, append(list, c.WithStaged(3))...))
		if err != nil || !r.Staged || r.Clock != h.Clock {
			t.Fatal(r, err)
		}
		if _, err := r.NextSubmission(); err != nil {
			t.Fatal(err)
		}
		var got Command
		for range list {
			if ok, err := r.Next(&got); !ok || err != nil || got.Op != OpStage || got.PrevIndex != 3 || r.StagedValue != 0 {
				t.Fatalf("%v %v %+v", ok, err, got)
			}
		}
		if ok, err := r.Next(&got); !ok || err != nil || r.StagedValue != 3 {
			t.Fatal(ok, err, r.StagedValue)
		}
		want := *c
		want.Value = nil
		if got.Op != want.Op || got.Once != want.Once || got.PrevValue != want.PrevValue || got.PrevIndex != want.PrevIndex || got.Expires != want.Expires || got.Now != want.Now || got.Value != nil {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
}

func TestStagedCommandsAreChecked(t *testing.T) {
	set := Command{Op: OpSet, Key: "/a"}
	inner := func(c Command) []byte { return AppendCommand(nil, &c) }
	for name, c := range map[string]*Command{
		"no part":          {Op: OpStage, Key: "/a"},
		"a long part":      {Op: OpStage, Key: "/a", Value: make([]byte, stagePart+1)},
		"no value":         {Op: OpGiveStaged, Key: "/a", Value: inner(set)},
		"no command":       {Op: OpGiveStaged, Key: "/a", PrevIndex: 1},
		"another key":      {Op: OpGiveStaged, Key: "/b", PrevIndex: 1, Value: inner(set)},
		"a second value":   {Op: OpGiveStaged, Key: "/a", PrevIndex: 1, Value: inner(Command{Op: OpSet, Key: "/a", Value: []byte("x")})},
		"a directory":      {Op: OpGiveStaged, Key: "/a", PrevIndex: 1, Value: inner(Command{Op: OpSet, Key: "/a", Dir: true})},
		"a removal":        {Op: OpGiveStaged, Key: "/a", PrevIndex: 1, Value: inner(Command{Op: OpDelete, Key: "/a"})},
		"in the root":      {Op: OpGiveStaged, Key: "/", PrevIndex: 1, Value: inner(Command{Op: OpCreateInOrder, Key: "/"})},
		"one in another":   {Op: OpGiveStaged, Key: "/a", PrevIndex: 1, Value: inner(*set.WithStaged(1))},
		"more behind":      {Op: OpGiveStaged, Key: "/a", PrevIndex: 1, Value: append(inner(set), 0)},
		"an id of its own": {Op: OpGiveStaged, Key: "/a", PrevIndex: 1, Value: inner(Command{Op: OpSet, Key: "/a", Once: Once{ID: "x"}})},
	} {
		if _, _, _, err := CheckCommands(AppendCommand(nil, c), 1, func(*Command) bool { return true }); err == nil {
			t.Errorf("%s is let through", name)
		}
	}
	good := []*Command{{Op: OpStage, Key: "/a", Value: make([]byte, stagePart)}, set.WithStaged(1)}
	for _, c := range good {
		indexes, _, staged, err := CheckCommands(AppendCommand(nil, c), 1, func(*Command) bool { return true })
		if err != nil || !staged || indexes != c.Indexes() {
			t.Errorf("%v: %d indexes, staged %v, %v", c.Op, indexes, staged, err)
		}
	}
}
