package statemachine

import "copse/statemachine/tree"

// News is what one Update tells whoever has subscribed, after the store's commit
// and before any reply shows what it did; reads may already. What it points to is
// the subscriber's.
type News struct {
	Last    tree.Index    // the tree's index; of a data shard of several, what is settled; of the order shard, the counter
	Notices []tree.Notice // in index order

	// Jumped: a snapshot has replaced the tree, so nobody here knows what the
	// entries in between did. There is nothing else then but Last and Handed.
	Jumped bool

	// Of a data shard of several: what became of the batches that this replica
	// proposed, in the order of the log.
	Outcomes []Outcome
	// Of the order shard: the ranges handed out, in order, and the last index
	// handed out to each slot.
	Grants []tree.Grant
	Handed []tree.Index
}

// Outcome is what became of one ordered batch.
type Outcome struct {
	First     tree.Index // of its range: no two batches have the same
	Stale     bool       // it was refused, and has done nothing
	Data      []byte     // its commands' replies; see CutReply
	RaftIndex uint64
}
