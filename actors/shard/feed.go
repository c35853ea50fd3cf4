package shard

import (
	"sync"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// Bounds of the outcomes that the actor hasn't taken yet. A running actor never has as
// many under way; a replica that replays its log reports old ones too. Beyond them, all
// are dropped as if a snapshot had skipped them. The largest outcome doesn't count: it may
// exceed the limit alone, if JSON needs six bytes for each byte of the value and of the previous one.
const (
	outcomesLimit      = 1024
	outcomesBytesLimit = 64 << 20
	// lateBytesLimit is what leaves the values of further events to the window of events, if their JSON isn't made yet.
	lateBytesLimit = outcomesBytesLimit / 2
)

// Feed is where the replicas of a data shard and of the order shard put what they have
// applied, for the shard's actor. Their apply workers never wait. The actor takes all of
// it at once, so it never sees an index without the range or the outcome that belongs
// to it (10, 11).
type Feed struct {
	slot   int
	id     tree.RequestID // of the actor's requests, whose numbers differ
	bell   chan struct{}  // capacity 1
	mu     sync.Mutex
	unread Applied
	size   int    // bytes of the outcomes
	most   int    // bytes of the largest outcome
	epoch  uint64 // in which the actor leads, so that all batches concern it; 0: it doesn't
}

// NewFeed returns the feed of the actor whose requests begin with id. The replicas stand
// at handed and settled.
func NewFeed(slot int, id tree.RequestID, handed, settled tree.Index) *Feed {
	return &Feed{slot: slot, id: id, bell: make(chan struct{}, 1), unread: Applied{Handed: handed, Settled: settled}}
}

// Nonce is the nonce of the actor's requests.
func (f *Feed) Nonce() uint64 { return f.id.Nonce }

// Order takes what the order shard's replica has applied.
func (f *Feed) Order(n *statemachine.ApplyResult) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.slot >= len(n.Handed) || n.Handed[f.slot] == f.unread.Handed {
		return
	}
	f.unread.Handed = n.Handed[f.slot]
	for _, g := range n.Grants {
		if g.ID.Replica == f.id.Replica && g.ID.Nonce == f.id.Nonce && g.Slot == f.slot {
			f.unread.Grants = append(f.unread.Grants, g)
		}
	}
	if f.epoch != 0 {
		f.ring()
	}
}

// Data takes what the data shard's replica has applied.
func (f *Feed) Data(n *statemachine.ApplyResult) {
	f.mu.Lock()
	defer f.mu.Unlock()
	concerned := f.epoch != 0 || n.Jumped || n.Epoch != f.unread.Epoch
	f.unread.Settled, f.unread.Epoch, f.unread.Clock = n.Last, n.Epoch, n.Clock
	if f.epoch != 0 {
		f.unread.Batches = append(f.unread.Batches, n.Batches...)
	}
	for _, o := range n.Outcomes {
		if o.ID.Nonce == f.id.Nonce {
			if f.size > lateBytesLimit {
				o.Leave()
			}
			f.unread.Outcomes = append(f.unread.Outcomes, o)
			f.size += o.Bytes()
			f.most = max(f.most, o.Bytes())
			concerned = true
		}
	}
	if n.Jumped || len(f.unread.Outcomes) > outcomesLimit || len(f.unread.Batches) > outcomesLimit || f.size-f.most > outcomesBytesLimit {
		f.unread.Batches, f.unread.Outcomes, f.unread.Jumped, f.size, f.most = nil, nil, true, 0, 0
	}
	if concerned {
		f.ring()
	}
}

// AskLost says that the actor's ask under way may have been lost.
func (f *Feed) AskLost() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unread.AskLost = true
	f.ring()
}

func (f *Feed) ring() {
	select {
	case f.bell <- struct{}{}:
	default:
	}
}

// take returns what has been applied since the last call, to an actor that leads in the
// epoch; 0: it doesn't lead.
func (f *Feed) take(epoch uint64) Applied {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch, f.size, f.most = epoch, 0, 0
	unread := f.unread
	f.unread = Applied{Epoch: unread.Epoch, Clock: unread.Clock, Handed: unread.Handed, Settled: unread.Settled}
	return unread
}
