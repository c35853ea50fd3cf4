package shard

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// TestASmallWriteWaitsForOneLargeOne has many large writes come, and then a small one: here, and at
// another member.
func TestASmallWriteWaitsForOneLargeOne(t *testing.T) {
	now := time.Now()
	write := func(key string, size int) *Write {
		return &Write{Command: &tree.Command{Op: tree.OpSet, Key: key, Value: make([]byte, size)}, Deadline: now.Add(time.Hour)}
	}
	large := func() (list []*Write) {
		for range 20 {
			list = append(list, write("/large", 9<<20))
		}
		return list
	}
	submission := func(number uint64, w *Write) Submission {
		return Submission{ID: tree.RequestID{Replica: 2, Nonce: 7, Number: number}, Epoch: 1, Base: 1, Count: 1, Indexes: 1, Deadline: w.Deadline, Commands: tree.AppendCommand(nil, w.Command)}
	}
	for name, in := range map[string]struct{ before, after Input }{
		"here": {Input{Writes: large()}, Input{Writes: []*Write{write("/small", 1)}}},
		"elsewhere": func() (in struct{ before, after Input }) {
			for i, w := range large() {
				in.before.Submissions = append(in.before.Submissions, submission(uint64(i+1), w))
			}
			in.after.Submissions = []Submission{submission(21, write("/small", 1))}
			return in
		}(),
	} {
		c := NewCore(Options{Self: 1, Nonce: 1, Patience: time.Minute})
		var order []string
		step := func(in Input, applied ...statemachine.BatchID) (batches []statemachine.BatchID) {
			in.Lead, in.Applied = Lead{Member: 1, Term: 1}, Applied{Epoch: 1, Batches: applied}
			for _, p := range c.Step(now, in).Propose {
				batches = append(batches, statemachine.BatchID{Epoch: 1, Number: p.Number})
				for _, key := range []string{"/small", "/large"} {
					if bytes.Contains(p.Cmd, []byte(key)) {
						order = append(order, key)
					}
				}
			}
			return batches
		}
		first := step(Input{})
		second := step(in.before, first...)
		if len(order) != 1 {
			t.Fatalf("%s: %q are proposed at once", name, order)
		}
		if in.after.Writes != nil && !c.Takes(now) && !c.Overtakes() {
			t.Errorf("%s: the small write stays in the mailbox", name)
		}
		next := step(in.after, second...)
		for len(order) < 3 && len(next) > 0 {
			next = step(Input{}, next...)
		}
		if len(order) < 3 || order[1] != "/small" || order[2] != "/large" {
			t.Errorf("%s: the order is %q", name, order)
		}
	}
}

// TestASmallWriteFollowsALargeOne has a large write and another be under way, or wait, when small ones come: here and
// to another member that leads. These don't wait until the first is applied, and the other does.
func TestASmallWriteFollowsALargeOne(t *testing.T) {
	for leads := range uint64(2) {
		now := time.Now()
		c := NewCore(Options{Self: 1, Nonce: 1, Patience: time.Minute})
		var order []int
		step := func(after time.Duration, sizes ...int) {
			now = now.Add(after)
			in := Input{Lead: Lead{Member: leads + 1, Term: 1}, Applied: Applied{Epoch: 1, Batches: []statemachine.BatchID{{Epoch: 1, Number: 1}}}}
			for _, size := range sizes {
				in.Writes = append(in.Writes, &Write{Command: &tree.Command{Op: tree.OpSet, Key: "/k", Value: make([]byte, size)}, Deadline: now.Add(time.Hour)})
			}
			out := c.Step(now, in)
			for _, p := range out.Propose {
				if p.Writes > 0 {
					order = append(order, len(p.Cmd)>>20)
				}
			}
			for _, s := range out.Submit {
				order = append(order, len(s.Commands)>>20)
			}
		}
		step(0, 9<<20, 10<<20)
		for range 3 {
			step(gatherTime/2, 1)
			if !c.Takes(now.Add(gatherTime / 2)) {
				t.Error("small writes stay in the mailbox")
			}
			step(gatherTime / 2)
		}
		if !slices.Equal(order, []int{9, 0, 0, 0}) {
			t.Errorf("with member %d as leader, the MiB that go are %d", leads+1, order)
		}
	}
}

// TestLargeWritesOfAnyKindWait has twenty come at once, and none of what is sent is ever applied: one is under way.
func TestLargeWritesOfAnyKindWait(t *testing.T) {
	value := make([]byte, 10<<20)
	for name, command := range map[string]*tree.Command{
		"set":               {Op: tree.OpSet, Key: "/k", Value: value},
		"create in root":    {Op: tree.OpCreateInOrder, Key: "/", Value: value},
		"no growth":         {Op: tree.OpCompareAndDelete, Key: "/k", PrevValue: string(value)},
		"POST, not in root": {Op: tree.OpCreateInOrder, Key: "/k", Value: value},
	} {
		for _, o := range []Options{{Self: 1}, {Self: 1, Sharded: true}, {Self: 2}, {Self: 2, Sharded: true}} {
			now, index := time.Now(), tree.Index(0)
			o.Nonce, o.Patience = 1, time.Minute
			c := NewCore(o)
			in := Input{Applied: Applied{Epoch: 1, Batches: []statemachine.BatchID{{Epoch: 1, Number: 1}}}} // the first is empty
			for range 20 {
				in.Writes = append(in.Writes, &Write{Command: command, Deadline: now.Add(time.Hour)})
			}
			sent := 0
			for range 100 {
				in.Lead = Lead{Member: 1, Term: 1}
				out := c.Step(now, in)
				for _, p := range out.Propose {
					sent += p.Writes
				}
				sent += len(out.Submit)
				in = Input{Applied: Applied{Epoch: 1, Handed: index, Settled: index}}
				if out.Ask != nil {
					in.Applied.Grants = []tree.Grant{{ID: out.Ask.ID, Range: tree.Range{First: index + 1, Last: index + 1}}}
				}
				now = now.Add(gatherTime)
			}
			if sent != 1 {
				t.Errorf("%s, at member %d, sharded %v: %d are under way", name, o.Self, o.Sharded, sent)
			}
		}
	}
}

// TestLargeWritesHaveTheirTurn has a small write come whenever something may be sent, here and to another member that
// leads: a large one goes after two of them at most.
func TestLargeWritesHaveTheirTurn(t *testing.T) {
	for leads := range uint64(2) {
		now := time.Now()
		c := NewCore(Options{Self: 1, Nonce: 1, Patience: time.Minute})
		batches := []statemachine.BatchID{{Epoch: 1, Number: 1}} // the first is empty
		var outcomes []statemachine.Outcome
		large, round := false, 0
		for size := 9 << 20; !large && round < 5; round++ {
			in := Input{Lead: Lead{Member: leads + 1, Term: 1}, Applied: Applied{Epoch: 1, Batches: batches, Outcomes: outcomes}}
			for _, size := range []int{size, 1} {
				in.Writes = append(in.Writes, &Write{Command: &tree.Command{Op: tree.OpSet, Key: "/k", Value: make([]byte, size)}, Deadline: now.Add(time.Hour)})
			}
			size, batches, outcomes = 1, nil, nil
			out := c.Step(now, in)
			for _, p := range out.Propose {
				large = large || len(p.Cmd) > largeWrite
				batches = append(batches, statemachine.BatchID{Epoch: 1, Number: p.Number})
			}
			for _, s := range out.Submit {
				large = large || len(s.Commands) > largeWrite
				outcomes = append(outcomes, statemachine.Outcome{ID: s.ID})
			}
			now = now.Add(gatherTime)
		}
		if !large {
			t.Errorf("with member %d as leader, no large write went in %d rounds", leads+1, round)
		}
	}
}

// TestSmallWritesGoOnWhileLargeOnesAreRefused has another member lead, which has no memory for a
// large write. The pauses until it is submitted again get longer, whatever else is applied.
func TestSmallWritesGoOnWhileLargeOnesAreRefused(t *testing.T) {
	now := time.Now()
	c := NewCore(Options{Self: 1, Nonce: 1, Patience: time.Minute})
	var number uint64
	refused, large, small := Input{}, 0, 0
	write := func(size int) *Write {
		return &Write{Command: &tree.Command{Op: tree.OpSet, Key: "/k", Value: make([]byte, size)}, Deadline: now.Add(time.Hour), reply: make(chan tree.Reply, 1)}
	}
	refused.Writes = []*Write{write(1 << 20)}
	for range 500 { // milliseconds
		in := refused
		refused = Input{}
		in.Lead = Lead{Member: 2, Term: 1}
		in.Writes = append(in.Writes, write(1))
		if number != 0 {
			in.Applied.Outcomes = []statemachine.Outcome{{ID: tree.RequestID{Replica: 1, Nonce: 1, Number: number}}}
			number = 0
		}
		for _, s := range c.Step(now, in).Submit {
			if len(s.Commands) < largeWrite {
				small += s.Count
				number = s.ID.Number
				continue
			}
			large++
			refused.Refusals = append(refused.Refusals, Refusal{To: 1, Nonce: 1, First: s.ID.Number, Last: s.ID.Number})
		}
		now = now.Add(time.Millisecond)
	}
	if small < 490 || large < 5 || large > 15 {
		t.Errorf("of 500 small writes %d were submitted, and the large one %d times", small, large)
	}
}

// TestLargeCommandsAreNotCopied: the batch of a command that its writer has encoded is that memory, and
// has the same bytes as any. If it is refused, another batch doesn't write to what the first one holds.
func TestLargeCommandsAreNotCopied(t *testing.T) {
	now := time.Now()
	propose := func(encode bool) (first, second []byte, w *Write) {
		c := NewCore(Options{Self: 1, Nonce: 1, Patience: time.Minute})
		w = &Write{Command: &tree.Command{Op: tree.OpSet, Key: "/k", Value: bytes.Repeat([]byte("v"), largeWrite)}, Deadline: now.Add(time.Hour)}
		if encode {
			w.encode()
		}
		leads := func(term uint64) Input {
			return Input{Lead: Lead{Member: 1, Term: term}, Applied: Applied{Epoch: term, Batches: []statemachine.BatchID{{Epoch: term, Number: term}}}}
		}
		in := leads(1)
		in.Writes = []*Write{w}
		for _, p := range c.Step(now, in).Propose {
			first = p.Cmd
		}
		now = now.Add(time.Second)
		for _, p := range c.Step(now, leads(300)).Propose { // what the earlier leader proposed never came
			second = p.Cmd
		}
		return first, second, w
	}
	plain, plainAgain, _ := propose(false)
	whole, again, w := propose(true)
	if !bytes.Equal(whole, plain) || !bytes.Equal(again, plainAgain) || bytes.Equal(plain, plainAgain) {
		t.Errorf("the batches are %.60q and %.60q, want %.60q and %.60q", whole, again, plain, plainAgain)
	}
	if w.encoded != nil {
		t.Error("a later batch may write to what an earlier one holds")
	}
}

// TestLargeCommandsAreEncodedOnce: those of one submission are what their writers have encoded, which isn't kept.
func TestLargeCommandsAreEncodedOnce(t *testing.T) {
	now := time.Now()
	propose := func(encode bool) (cmd []byte, in Input) {
		in = Input{Lead: Lead{Member: 1, Term: 1}, Applied: Applied{Epoch: 1, Batches: []statemachine.BatchID{{Epoch: 1, Number: 1}}}}
		for _, value := range []string{"v", "w"} {
			w := &Write{Command: &tree.Command{Op: tree.OpSet, Key: "/k", Value: bytes.Repeat([]byte(value), largeWrite)}, Deadline: now.Add(time.Hour)}
			if encode {
				w.encode()
				w.encoded[len(w.encoded)-1] = '!' // shows which encoding is taken
			}
			in.Writes = append(in.Writes, w)
		}
		for _, p := range NewCore(Options{Self: 1, Nonce: 1, Patience: time.Minute}).Step(now, in).Propose {
			cmd = p.Cmd
		}
		return cmd, in
	}
	plain, _ := propose(false)
	got, in := propose(true)
	if len(got) != len(plain) || len(got) < 2*largeWrite || bytes.Count(got, []byte("!")) != 2 {
		t.Errorf("a batch of %d bytes has %d commands that were encoded before, want 2 in %d bytes", len(got), bytes.Count(got, []byte("!")), len(plain))
	}
	for _, w := range in.Writes {
		if w.encoded != nil {
			t.Error("a write keeps its encoding")
		}
	}
}

// TestTheRoomForHeadsIsEnough has all that a batch's head and a submission's say at its greatest.
func TestTheRoomForHeadsIsEnough(t *testing.T) {
	const most = math.MaxUint64
	head := tree.BatchHead{
		Epoch: most, Number: most, Ordered: true, Root: true, Range: tree.Range{First: most, Last: most},
		Clock: tree.Clock{Time: math.MinInt64, Shift: math.MinInt64}, Submissions: math.MaxInt,
	}
	front := tree.AppendSubmission(tree.AppendBatchHead(nil, head), tree.RequestID{Replica: most, Nonce: most, Number: most}, math.MaxInt)
	if len(front) > headRoom {
		t.Errorf("the heads have %d bytes, and there is room for %d", len(front), headRoom)
	}
}
