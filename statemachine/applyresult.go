package statemachine

import "copse/statemachine/tree"

// ApplyResult is what one Update did, for the subscriber: published after the store's
// commit and before any reply shows it, though reads may show it already. What it points
// to belongs to the subscriber.
type ApplyResult struct {
	Last   tree.Index          // the tree's index; of a data shard of several, what is settled; of the order shard, the counter
	Events []tree.EncodedEvent // in index order

	// Jumped: a snapshot has replaced the tree, so nobody here knows what the
	// entries in between did. There is nothing else then but Last and Handed.
	Jumped bool

	Epoch uint64 // the highest of any batch applied: none of a lower one is applied any more
	// Batches are those that leaders have proposed, stale ones too, and Outcomes what
	// became of this member's submissions in them, both in the order of the log.
	Batches  []BatchID
	Outcomes []Outcome
	// Of the order shard: the ranges handed out, in order, and the last index
	// handed out to each slot.
	Grants []tree.Grant
	Handed []tree.Index
}

// BatchID names a batch that a leader has proposed.
type BatchID struct{ Epoch, Number uint64 }

// Outcome is what became of one submission.
type Outcome struct {
	ID        tree.RequestID
	Stale     bool   // it was refused, and has done nothing
	Data      []byte // its commands' replies; see CutReply
	RaftIndex uint64
}
