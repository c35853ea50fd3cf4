package watch

import (
	"fmt"
	"time"

	"copse/statemachine/tree"
)

// historyPage is how many events are read from disk at once.
const historyPage = 256

// headStart is how long a batch that wakes a crowd is held back. Waking a crowd
// keeps a processor busy for some 10 microseconds a watcher; the answer to the
// write that woke it goes first, which costs the crowd a tenth at most.
const headStart = 2 * time.Millisecond

// delivery is how far the watchers have been told, and who they are. Only the
// hub's loop touches it.
type delivery struct {
	seen   tree.Index // the last event delivered
	target tree.Index // if above seen: there is a gap up to here
	recent ring
	trie   watchTrie

	holding bool // held wakes a crowd, and is delivered when alarm fires
	held    batch
	alarm   *time.Timer
}

func newDelivery(first tree.Index, ringLimit, bytesLimit int) delivery {
	return delivery{seen: first, recent: ring{limit: ringLimit, bytesLimit: bytesLimit, floor: first + 1}}
}

func (h *Hub) run() error {
	d := &h.delivery
	d.alarm = time.NewTimer(0)
	defer d.alarm.Stop()
	always := make(chan struct{})
	close(always)
	for {
		h.told.Store(uint64(d.seen))
		d.target = max(d.target, tree.Index(h.dropped.Load()))
		published := h.published.Messages()
		var crowd <-chan time.Time
		var gap <-chan struct{}
		if d.holding {
			published, crowd = nil, d.alarm.C // what comes later waits behind it
		}
		if d.seen < d.target {
			gap = always // one page a turn, in between other work
		}
		select {
		case <-h.life.Stopping():
			return nil
		case b := <-published:
			h.receive(b)
		case <-crowd:
			b := d.held
			d.holding, d.held = false, batch{}
			h.take(b)
		case a := <-h.asks.Messages():
			a.reply <- h.admit(a)
		case <-h.departures.bell:
			d.trie.remove(h.departures.take())
		case <-h.bells.behind:
		case <-h.bells.end:
			h.endAll()
		case <-gap:
			if err := h.closeGap(); err != nil {
				return err
			}
		}
		h.watching.Store(int64(d.trie.count - d.trie.extra))
	}
}

// receive takes a batch, or holds it back for a moment if it wakes a crowd.
func (h *Hub) receive(b batch) {
	d := &h.delivery
	for i := range b.events {
		if d.trie.crowded(&b.events[i]) {
			d.holding, d.held = true, b
			d.alarm.Reset(headStart)
			return
		}
	}
	h.take(b)
}

// take delivers a batch. If there is a gap before it, the batch becomes part of
// the gap: it is on disk like the rest.
func (h *Hub) take(b batch) {
	d := &h.delivery
	h.queued.Add(-b.bytes)
	// What was dropped before b was sent is seen here, since it was noted first.
	d.target = max(d.target, tree.Index(h.dropped.Load()))
	if d.seen < d.target {
		d.target = max(d.target, b.last)
		return
	}
	d.tell(b.events)
	d.seen = max(d.seen, b.last)
}

// tell hands events to the watchers and keeps them in the ring: those that are left as they are, without what is read
// for the watchers. It skips events that were delivered already.
func (d *delivery) tell(events []tree.EncodedEvent) {
	for i := range events {
		if events[i].Index <= d.seen {
			continue
		}
		n := events[i].Apart() // the others need their JSON one after the other
		d.seen = n.Index
		if d.recent.push(n); n.Late.IsLeft() {
			n = n.Apart()
		}
		d.trie.notify(n)
	}
}

// closeGap reads and delivers one page of what was dropped. If nobody watches, it leaves that on
// disk: reading it would take as long as what was too much for the hub already.
func (h *Hub) closeGap() error {
	d := &h.delivery
	if d.trie.count == 0 {
		d.seen = d.target
		d.recent.reset(d.seen + 1)
		return nil
	}
	events, complete, err := h.store.history("/", d.seen+1, historyPage)
	if err != nil {
		return fmt.Errorf("read event window from %d: %w", d.seen+1, err)
	}
	if complete > d.seen+1 {
		// Part of the gap has left the window, so no parked watcher can be told all
		// that happened. When they come back they get the 401 that says so.
		h.endAll()
		d.seen = max(d.target, complete-1)
		d.recent.reset(d.seen + 1)
		return nil
	}
	d.tell(events)
	if len(events) == 0 {
		d.seen = max(d.seen, d.target) // the remaining indexes had no event
	}
	return nil
}

// admit serves a watch from the ring, registers it, or tells it what to read from
// disk first.
func (h *Hub) admit(a ask) answer {
	d := &h.delivery
	floor := h.Floor(tree.Index(h.last.Load()))
	switch {
	case a.from < floor && !a.apart:
		return answer{closed: h.closed(floor, a.from)}
	case a.from > d.seen:
	case a.from < d.recent.floor:
		return answer{onDisk: d.recent.floor}
	}
	if read := d.left(a); read != 0 {
		return answer{onDisk: read + 1}
	}
	if d.replay(a) {
		return answer{}
	}
	i := 0
	for key := range a.watch.Keys() {
		exists, known := true, false
		if h.store.exists != nil || key == "/" {
			exists, known = d.existed(key, a.marks[i])
		}
		d.trie.add(a.watch, key, exists, known)
		i++
	}
	return answer{}
}

// left returns the index of the event in the ring up to which a has to be read from the window, as the event is left;
// 0: there is none. Reading it would take the hub too long.
func (d *delivery) left(a ask) tree.Index {
	for i := d.recent.search(a.from); i < d.recent.size; i++ {
		n := d.recent.at(i)
		switch {
		case !a.watch.Wants(n):
		case n.Late.IsLeft():
			return n.Index
		case !a.watch.Stream:
			return 0
		}
	}
	return 0
}

// replay delivers what the ring holds for a, and reports whether that was all the
// watch asked for.
func (d *delivery) replay(a ask) (served bool) {
	for i := d.recent.search(a.from); i < d.recent.size; i++ {
		n := d.recent.at(i)
		if a.watch.Wants(n) {
			deliver(a.watch.Sink, n)
			if !a.watch.Stream {
				return true
			}
		}
	}
	return false
}

// existed brings what the asker knew about a watched key's existence up to the
// hub's position. If it can't, it takes the key as existing: one event too many is
// harmless, one too few is not.
func (d *delivery) existed(key string, m mark) (exists, known bool) {
	if key == "/" {
		return true, true
	}
	if m.asOf > d.seen || m.asOf+1 < d.recent.floor {
		return true, false
	}
	exists = m.exists
	for i := d.recent.search(m.asOf + 1); i < d.recent.size; i++ {
		n := d.recent.at(i)
		within := n.Key == key || tree.Within(n.Key, key)
		switch {
		case n.Action.Removes() && within:
			exists = false
		case !n.Action.Removes() && (n.Key == key || tree.Within(key, n.Key)):
			exists = true
		}
	}
	return exists, true
}

func (h *Hub) endAll() {
	h.delivery.trie.remove(h.departures.take())
	h.delivery.trie.end()
	h.watching.Store(0)
}
