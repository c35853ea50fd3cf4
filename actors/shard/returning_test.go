package shard

import (
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// TestWhatComesBackIsNotWaitedFor answers eight writers while six others wait, and gives up the batch of one more, whose
// write comes back to its member: with that, most are there.
func TestWhatComesBackIsNotWaitedFor(t *testing.T) {
	now := time.Now()
	c := NewCore(Options{Self: 1, Nonce: 1, Patience: time.Minute})
	write := func(d time.Duration) *Write {
		return &Write{Command: &tree.Command{Op: tree.OpSet, Key: "/k"}, Deadline: now.Add(d)}
	}
	step := func(in Input) []Proposal {
		in.Lead, in.Applied.Epoch = Lead{Member: 1, Term: 1}, 1
		return c.Step(now, in).Propose
	}
	eight := Input{Applied: Applied{Batches: []statemachine.BatchID{{Epoch: 1, Number: 1}}}} // the first is empty
	for range 8 {
		eight.Writes = append(eight.Writes, write(time.Hour))
	}
	step(eight)
	now = now.Add(gatherTime)
	late := step(Input{Writes: []*Write{write(0)}})
	now = now.Add(time.Millisecond)
	step(Input{
		Applied: Applied{Batches: []statemachine.BatchID{{Epoch: 1, Number: 2}}},
		Dropped: []uint64{late[0].Number},
		Submissions: []Submission{{
			ID: tree.RequestID{Replica: 2, Nonce: 7, Number: 1}, Epoch: 1, Base: 1, Count: 6, Indexes: 6, Deadline: now.Add(time.Hour),
			Commands: make([]byte, 6),
		}},
	})
	if c.expects(now) != 0 || len(c.leader.batches) != 1 {
		t.Errorf("writers are expected for %v, and %d batches are made; the six should go", c.expects(now), len(c.leader.batches))
	}
}

// TestAFullInboxDelaysNothing answers eight writers, of whom seven come back. One of them is this member's, which its own
// full inbox refuses: the others go all the same, as enough have been there.
func TestAFullInboxDelaysNothing(t *testing.T) {
	now := time.Now()
	c := NewCore(Options{Self: 1, Nonce: 1, Patience: time.Minute})
	step := func(in Input) []Proposal {
		in.Lead, in.Applied.Epoch = Lead{Member: 1, Term: 1}, 1
		return c.Step(now, in).Propose
	}
	write := &Write{Command: &tree.Command{Op: tree.OpSet, Key: "/k"}, Deadline: now.Add(time.Hour)}
	first := Input{Applied: Applied{Batches: []statemachine.BatchID{{Epoch: 1, Number: 1}}}} // it is empty
	for range 8 {
		w := *write
		first.Writes = append(first.Writes, &w)
	}
	step(first)
	now = now.Add(gatherTime)
	step(Input{Applied: Applied{Batches: []statemachine.BatchID{{Epoch: 1, Number: 2}}}})
	six := Input{Writes: []*Write{write}}
	c.leader.inboxBytes = inboxBytesLimit - 6 // of others, which have their turn later
	for number := range uint64(6) {
		six.Submissions = append(six.Submissions, Submission{
			ID: tree.RequestID{Replica: 2, Nonce: 7, Number: number + 1}, Epoch: 1, Base: 1, Count: 1, Indexes: 1,
			Deadline: now.Add(time.Hour), Commands: make([]byte, 1),
		})
	}
	if len(step(six)) != 1 || c.origin.waiting() != 1 {
		t.Errorf("%d batches are made, and %d of this member's writes wait; the others should go", len(c.leader.batches), c.origin.waiting())
	}
}
