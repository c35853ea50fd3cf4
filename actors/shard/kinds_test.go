package shard

import (
	"bytes"
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
