package statemachine

import "copse/statemachine/tree"

// ApplyResult is the result of one Update, for the subscriber. It is published after the
// commit and before any reply is sent; reads may see the changes earlier. The subscriber
// owns everything it refers to.
type ApplyResult struct {
	Last   tree.Index          // the tree's index; in a sharded cluster, what is settled or the order shard's counter
	Events []tree.EncodedEvent // in index order

	// Jumped reports that a snapshot has replaced the tree, so the effects of the skipped
	// entries are unknown here. Only Last, Epoch, Clock and Handed are set then.
	Jumped bool
	// Hole reports that the tree has changes whose events are missing, and that the window has been emptied.
	Hole bool

	Epoch uint64     // the highest epoch of any batch applied; batches of lower ones are stale
	Clock tree.Clock // of the last batch that carries one
	// Batches names the batches proposed by leaders, including stale ones. Outcomes are
	// those of this member's submissions in them. Both are in log order.
	Batches  []BatchID
	Outcomes []Outcome
	// For the order shard: the ranges handed out by this Update, in order, and the last
	// index ever handed out to each slot.
	Grants []tree.Grant
	Handed []tree.Index

	held int // bytes of the replies, and of values that Events refer to
	cut  int // bytes of what was taken out of the replies of the current entry, whose memory they keep
}

const (
	// heldLimit is how many bytes of replies and of events one Update holds; those of one command may pass it while no
	// more than heldBefore are held. Hundreds of small commands in one raft entry may each replace or remove a large
	// value, which nobody knew before.
	heldLimit  = 32 << 20
	heldBefore = 1 << 20
	// txnPrinted is how many bytes of JSON are printed of a transaction's events: those of a large value that JSON writes
	// as six. Beyond that, all of its events are left to the window, and it has no answer but that.
	txnPrinted = 64 << 20
	// freeAnswer is the size up to which an answer is held in any case.
	freeAnswer = 16 << 10
)

// BatchID identifies a batch proposed by a leader.
type BatchID struct{ Epoch, Number uint64 }

// Outcome is the outcome of one submission.
type Outcome struct {
	ID        tree.RequestID
	Stale     bool   // the submission was refused and changed nothing
	Data      []byte // the replies to its commands; see CutReply
	RaftIndex uint64
	Late      []tree.EncodedEvent // those of the replies that have no JSON yet
}

// Bytes is about how many bytes the replies hold.
func (o *Outcome) Bytes() int {
	n := len(o.Data)
	for i := range o.Late {
		n += o.Late[i].Late.Held()
	}
	return n
}

// Leave leaves the values of the replies that have no JSON yet to the window.
func (o *Outcome) Leave() {
	for i := range o.Late {
		o.Late[i] = o.Late[i].Left(nil)
	}
}

// Complete gives r, which is one of the replies, its event if the JSON is made late.
func (o *Outcome) Complete(r *tree.Reply) {
	if r.Action == 0 || r.JSON != nil {
		return
	}
	for i := range o.Late {
		if e := &o.Late[i]; e.Index == r.State.Index {
			if r.Late = e.Late; e.Binary != nil {
				r.Binary = *e.Binary
			}
		}
	}
}
