package actors

import (
	"sync"

	"copse/actors/loop"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// Bounds of the outcomes that nobody has taken yet. There are no more of a running
// actor's batches; a replica that replays its log tells of old ones too.
const (
	outcomesLimit = 1024
	outcomesBytes = 64 << 20
)

// told is what the replicas of a data shard and of the order shard have told the
// shard's actor since it looked last. Their apply workers write it and never wait;
// the actor takes all of it at once, so that it never sees an index without
// the range or the outcome that belongs to it.
type told struct {
	slot  int
	asker tree.AskID // of the actor's asks; their numbers differ
	bell  loop.Bell

	mu   sync.Mutex
	news toldNews
	size int  // bytes of the outcomes
	led  bool // the actor leads, so it wants to know of all
}

// toldNews is what there is to take. handed and settled are the latest values.
type toldNews struct {
	handed, settled tree.Index
	jumped          bool // outcomes up to settled have been missed
	outcomes        []statemachine.Outcome
	grants          []tree.Grant
	askLost         bool // the last ask may have been lost with a leader
}

// newTold returns what is told to the actor of the slot, whose replicas stand at
// handed and settled.
func newTold(slot int, asker tree.AskID, handed, settled tree.Index) *told {
	return &told{slot: slot, asker: asker, bell: loop.NewBell(), news: toldNews{handed: handed, settled: settled}}
}

// order takes over what the order shard's replica tells.
func (t *told) order(n *statemachine.News) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slot >= len(n.Handed) || n.Handed[t.slot] == t.news.handed {
		return
	}
	t.news.handed = n.Handed[t.slot]
	for _, g := range n.Grants {
		if g.ID.Replica == t.asker.Replica && g.ID.Nonce == t.asker.Nonce && g.Slot == t.slot {
			t.news.grants = append(t.news.grants, g)
		}
	}
	t.ring()
}

// data takes over what the data shard's replica tells.
func (t *told) data(n *statemachine.News) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.news.settled = n.Last
	for i := range n.Outcomes {
		t.size += len(n.Outcomes[i].Data)
	}
	t.news.outcomes = append(t.news.outcomes, n.Outcomes...)
	if n.Jumped || len(t.news.outcomes) > outcomesLimit || t.size > outcomesBytes {
		t.news.outcomes, t.news.jumped, t.size = nil, true, 0
	}
	t.ring()
}

// ring wakes the actor if it leads or hears of its own batches. It looks by itself
// when it comes to lead, and now and then while it waits for anything.
func (t *told) ring() {
	if t.led || len(t.news.outcomes) > 0 {
		t.bell.Ring()
	}
}

// lost says that an ask under way may have been lost.
func (t *told) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.news.askLost = true
	t.bell.Ring()
}

// take returns what has been told since the last call, to an actor that leads or not.
func (t *told) take(led bool) toldNews {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.led, t.size = led, 0
	news := t.news
	t.news = toldNews{handed: news.handed, settled: news.settled}
	return news
}
