package recent

import (
	"sync"
	"time"
)

// Limit is the number of items that a List keeps.
const Limit = 100

// List keeps the last Limit items that were added. Its zero value is empty.
type List[T any] struct {
	mu    sync.Mutex
	items [Limit]T
	added int
}

// Add adds an item, in place of the oldest one if the list is full.
func (l *List[T]) Add(item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items[l.added%Limit] = item
	l.added++
}

// All returns a copy, the newest item first.
func (l *List[T]) All() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]T, 0, min(l.added, Limit))
	for i := range cap(list) {
		list = append(list, l.items[(l.added-1-i)%Limit])
	}
	return list
}

// LeaderChange says that a member saw another leader of a shard, or that there is none.
type LeaderChange struct {
	At     time.Time
	Shard  uint64 // the raft group's id
	Leader uint64 // the member's id; 0: none is known
	Term   uint64 // as it is shown
}
