package shard

import (
	"reflect"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

// clientCommands draws commands that a member may submit: creates in the root, or others.
func clientCommands(t *rapid.T, root bool) (list []tree.Command) {
	for range rapid.IntRange(0, 5).Draw(t, "commands") {
		c := tree.Command{Op: tree.OpCreateInOrder, Key: "/", Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"), Now: rapid.Int64().Draw(t, "now")}
		if !root {
			c.Op, c.Key = rapid.SampledFrom([]tree.Op{tree.OpSet, tree.OpDelete, tree.OpExpire}).Draw(t, "op"), "/k"
			c.Limit = rapid.IntRange(1, 1000).Draw(t, "limit")
		}
		list = append(list, c)
	}
	return list
}

func TestSubmissionsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "now"), 0)
		sharded := rapid.Bool().Draw(t, "sharded")
		root := sharded && rapid.Bool().Draw(t, "root")
		want := Submission{
			ID:       tree.RequestID{Replica: rapid.Uint64().Draw(t, "member"), Nonce: rapid.Uint64().Draw(t, "nonce"), Number: rapid.Uint64Range(1, 1<<63).Draw(t, "number")},
			Epoch:    rapid.Uint64().Draw(t, "epoch"),
			Root:     root,
			Deadline: now.Add(time.Duration(rapid.Int64Range(0, leftLimit.Milliseconds()).Draw(t, "left")) * time.Millisecond),
			Commands: []byte{},
		}
		want.Base = rapid.Uint64Range(1, want.ID.Number).Draw(t, "base")
		list := clientCommands(t, root)
		want.Root = root && len(list) > 0
		for i := range list {
			want.Count++
			want.Indexes += list[i].Indexes()
			want.Commands = tree.AppendCommand(want.Commands, &list[i])
		}
		message := AppendSubmission(nil, 9, &want, now)
		shard, got, err := ReadSubmission(message, want.ID.Replica, sharded, now)
		if err != nil || shard != 9 || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v (%v)\nwant %+v", got, err, want)
		}
		if _, got, err := ReadSubmission(message[:rapid.IntRange(0, len(message)-1).Draw(t, "cut")], 1, sharded, now); err == nil {
			t.Fatalf("a message cut short was taken for %+v", got)
		}
		if want.Deadline = now.Add(-time.Second); want.Count > 0 {
			if _, got, err := ReadSubmission(AppendSubmission(nil, 9, &want, now), 1, sharded, now); err != nil || !got.Deadline.Equal(now) {
				t.Fatalf("what is over became %+v (%v)", got, err)
			}
		}
	})
}

func TestWhatNoMemberSubmitsIsRefused(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	good := func(list ...tree.Command) Submission {
		s := Submission{ID: tree.RequestID{Nonce: 3, Number: 5}, Epoch: 7, Base: 2, Deadline: now.Add(time.Second), Count: len(list)}
		for i := range list {
			s.Commands = tree.AppendCommand(s.Commands, &list[i])
		}
		return s
	}
	set := tree.Command{Op: tree.OpSet, Key: "/k"}
	inRoot := tree.Command{Op: tree.OpCreateInOrder, Key: "/"}
	many := make([]tree.Command, batchCommandsLimit+1)
	for i := range many {
		many[i] = set
	}
	for name, c := range map[string]struct {
		s              Submission
		change         func(*Submission)
		dense, sharded bool // accepted by a shard of this kind
	}{
		"a write":                         {good(set), nil, true, true},
		"a probe":                         {good(), nil, true, true},
		"as many as there may be":         {good(many[1:]...), nil, true, true},
		"too many":                        {good(many...), nil, false, false},
		"creates in the root":             {good(inRoot, inRoot), func(s *Submission) { s.Root = true }, false, true},
		"creates in the root, not so":     {good(inRoot), nil, true, false},
		"others as creates in the root":   {good(set), func(s *Submission) { s.Root = true }, false, false},
		"both together":                   {good(set, inRoot), func(s *Submission) { s.Root = true }, false, false},
		"no base":                         {good(set), func(s *Submission) { s.Base = 0 }, false, false},
		"a base to come":                  {good(set), func(s *Submission) { s.Base = 6 }, false, false},
		"no commands, but something":      {good(set), func(s *Submission) { s.Count = 0 }, false, false},
		"fewer than it says":              {good(set), func(s *Submission) { s.Count = 2 }, false, false},
		"more than it says":               {good(set, set), func(s *Submission) { s.Count = 1 }, false, false},
		"a close":                         {good(tree.CloseCommand(9)), nil, false, false},
		"more indexes than an ask is for": {good(tree.Command{Op: tree.OpExpire, Key: "/", Limit: tree.AskLimit}, set), nil, false, false},
		"as many as an ask is for":        {good(tree.Command{Op: tree.OpExpire, Key: "/", Limit: tree.AskLimit}), nil, true, true},
	} {
		if c.change != nil {
			c.change(&c.s)
		}
		for sharded, want := range map[bool]bool{false: c.dense, true: c.sharded} {
			if _, got, err := ReadSubmission(AppendSubmission(nil, 1, &c.s, now), 4, sharded, now); (err == nil) != want {
				t.Errorf("%s, sharded %v: %+v, %v", name, sharded, got, err)
			}
		}
	}
	// A sender's clock far ahead must not make the leader keep a submission for ever.
	s := good(set)
	s.Deadline = now.Add(1000 * time.Hour)
	if _, got, err := ReadSubmission(AppendSubmission(nil, 1, &s, now), 4, false, now); err != nil || got.Deadline.After(now.Add(leftLimit)) {
		t.Errorf("kept until %v, %v", got.Deadline, err)
	}
}

func TestRefusalsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Refusal{Nonce: rapid.Uint64().Draw(t, "nonce"), First: rapid.Uint64Range(1, 1<<62).Draw(t, "first")}
		want.Last = want.First + uint64(rapid.IntRange(0, 99).Draw(t, "more"))
		message := AppendRefusal(nil, 9, want)
		if shard, got, err := ReadRefusal(message); err != nil || shard != 9 || got != want {
			t.Fatalf("%+v (%v), want %+v", got, err, want)
		}
		for _, bad := range [][]byte{
			message[:rapid.IntRange(0, len(message)-1).Draw(t, "cut")], append(message, 0),
			AppendRefusal(nil, 9, Refusal{First: 0, Last: 3}), AppendRefusal(nil, 9, Refusal{First: 4, Last: 3}),
		} {
			if _, got, err := ReadRefusal(bad); err == nil {
				t.Fatalf("%v was taken for %+v", bad, got)
			}
		}
	})
}

// FuzzSubmission decodes arbitrary bytes as a submission. Every submission that a leader
// accepts can be applied by its replica, and each command gets an answer.
func FuzzSubmission(f *testing.F) {
	now := time.Unix(1_000_000, 0)
	for _, list := range [][]tree.Command{
		{}, {{Op: tree.OpSet, Key: "/a", Value: []byte("v"), Expires: 5}, {Op: tree.OpExpire, Key: "/", Limit: 9, Now: 7}},
		{{Op: tree.OpCreateInOrder, Key: "/"}}, {{Op: tree.OpCompareAndSwap, Key: "a//b", PrevValue: "x"}, {Op: tree.OpDelete, Recursive: true}},
	} {
		s := Submission{ID: tree.RequestID{Number: 1}, Base: 1, Count: len(list), Deadline: now.Add(time.Second)}
		for i := range list {
			s.Commands = tree.AppendCommand(s.Commands, &list[i])
			s.Root = list[i].InRoot()
		}
		f.Add(AppendSubmission(nil, 1, &s, now), true)
		f.Add(AppendSubmission(nil, 1, &s, now), false)
	}
	f.Fuzz(func(t *testing.T, message []byte, sharded bool) {
		_, s, err := ReadSubmission(message, 4, sharded, now)
		if err != nil || s.Count == 0 {
			return
		}
		o := statemachine.Options{Dir: "/shard", Replica: 4, Window: 9, WindowBytes: 1 << 30, FS: vfs.NewMem()}
		head := tree.BatchHead{Epoch: 1, Submissions: 1}
		if sharded {
			o.Slots = simSlots
			a := tree.Ask{Count: s.Indexes, Root: s.Root}
			r, ok := a.Grant(0, simSlots)
			if !ok {
				t.Fatalf("nobody gets the indexes for %+v", s)
			}
			head.Ordered, head.Root, head.Range = true, s.Root, r
		}
		m, err := statemachine.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = m.Close() }()
		var outcomes []statemachine.Outcome
		m.Subscribe(func(n *statemachine.ApplyResult) { outcomes = n.Outcomes })
		cmd := append(tree.AppendSubmission(tree.AppendBatchHead(nil, head), s.ID, s.Count), s.Commands...)
		if _, err := m.Update([]sm.Entry{{Index: 1, Cmd: cmd}}); err != nil || len(outcomes) != 1 {
			t.Fatalf("%+v can't be applied: %v", s, err)
		}
		replies, rest := 0, outcomes[0].Data
		for ok := true; ok; {
			if _, rest, ok = statemachine.CutReply(rest); ok {
				replies++
			}
		}
		if replies != s.Count {
			t.Fatalf("%d replies to %+v", replies, s)
		}
	})
}

// FuzzRefusal decodes arbitrary bytes as a refusal, which must survive encoding.
func FuzzRefusal(f *testing.F) {
	f.Add(AppendRefusal(nil, 1, Refusal{Nonce: 5, First: 2, Last: 9}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		shard, r, err := ReadRefusal(message)
		if err != nil {
			return
		}
		if shard2, again, err := ReadRefusal(AppendRefusal(nil, shard, r)); err != nil || shard2 != shard || again != r {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}
