package watch

import (
	"sort"

	"copse/statemachine/tree"
)

// noticeOverhead is a notice's memory besides its key and JSON, in bytes.
const noticeOverhead = 96

// ring keeps the newest part of the event window in memory: all events from floor
// on, in index order, up to a number of events and of bytes.
type ring struct {
	limit      int
	bytesLimit int

	slots []*tree.EncodedEvent // circular; grows to limit
	head  int                  // position of the oldest
	size  int
	bytes int
	floor tree.Index // no event at or above it is missing
}

// reset empties the ring; it is complete from floor on.
func (r *ring) reset(floor tree.Index) {
	clear(r.slots)
	r.head, r.size, r.bytes, r.floor = 0, 0, 0, floor
}

func (r *ring) at(i int) *tree.EncodedEvent { return r.slots[(r.head+i)%len(r.slots)] }

// push adds the newest event, and drops the oldest as the limits demand.
func (r *ring) push(n *tree.EncodedEvent) {
	if r.size == len(r.slots) {
		r.makeRoom()
	}
	r.slots[(r.head+r.size)%len(r.slots)] = n
	r.size++
	r.bytes += Weight(n)
	for r.size > 0 && r.bytes > r.bytesLimit {
		r.dropOldest()
	}
}

func (r *ring) makeRoom() {
	if len(r.slots) >= r.limit {
		r.dropOldest()
		return
	}
	bigger := make([]*tree.EncodedEvent, min(max(16, 2*len(r.slots)), r.limit))
	for i := range r.size {
		bigger[i] = r.at(i)
	}
	r.slots, r.head = bigger, 0
}

func (r *ring) dropOldest() {
	n := r.slots[r.head]
	r.slots[r.head] = nil
	r.head = (r.head + 1) % len(r.slots)
	r.size--
	r.bytes -= Weight(n)
	r.floor = n.Index + 1
}

// search returns the position of the first event at from or above.
func (r *ring) search(from tree.Index) int {
	return sort.Search(r.size, func(i int) bool { return r.at(i).Index >= from })
}

// deliver gives n to a sink. If its JSON is made late, that happens here: the sink's goroutine serves
// other clients too. Of one that is printed in parts, only what was left to the window is read.
func deliver(to tree.Sink, n *tree.EncodedEvent) {
	n.Ready()
	to.Deliver(n)
}

// Weight is about how many bytes of memory a notice takes, or as if it were printed as a whole. If its JSON is made
// late, it holds that and the values, those that are binary among them; if it is left to the window, neither.
func Weight(n *tree.EncodedEvent) int {
	if n.Late.IsLeft() {
		return len(n.Key) + noticeOverhead
	}
	values := n.Late.Held()
	if n.Late == nil {
		values = n.Binary.Bytes()
	}
	return n.Size() + values + len(n.Key) + noticeOverhead
}
