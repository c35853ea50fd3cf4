package watch

import (
	"fmt"

	"copse/statemachine/tree"
)

// This file is the inside of the Hub: what its loop does, and what alone
// touches the fields that it owns.

func (h *Hub) run() error {
	always := make(chan struct{})
	close(always)
	for {
		h.target = max(h.target, tree.Index(h.dropped.Load()))
		var gap <-chan struct{}
		if h.seen < h.target {
			gap = always // one page a turn, between whatever else there is to do
		}
		select {
		case <-h.life.Stopping():
			return nil
		case b := <-h.published.Messages():
			h.take(b)
		case a := <-h.asks.Messages():
			a.reply <- h.admit(a)
		case <-h.departures.bell:
			h.spots.remove(h.departures.take())
		case <-h.behind:
		case <-gap:
			if err := h.closeGap(); err != nil {
				return err
			}
		}
		h.watching.Store(int64(h.spots.count))
	}
}

// take tells the watchers of a batch. If there is a gap before it, the batch
// becomes a part of the gap: it is on disk like the rest.
func (h *Hub) take(b batch) {
	h.queued.Add(-b.bytes)
	// What was dropped before b was sent is seen here, since it was noted first.
	h.target = max(h.target, tree.Index(h.dropped.Load()))
	if h.seen < h.target {
		h.target = max(h.target, b.last)
		return
	}
	h.tell(b.events)
	h.seen = max(h.seen, b.last)
}

// tell hands events to the watchers and keeps them in the ring. Events that
// were told already are passed over.
func (h *Hub) tell(events []tree.Notice) {
	for i := range events {
		n := &events[i]
		if n.Index <= h.seen {
			continue
		}
		h.seen = n.Index
		h.recent.push(n)
		h.spots.notify(n)
	}
}

// closeGap reads one page of what was dropped.
func (h *Hub) closeGap() error {
	events, complete, err := h.history(h.seen+1, historyPage)
	if err != nil {
		return fmt.Errorf("read event window from %d: %w", h.seen+1, err)
	}
	if complete > h.seen+1 {
		// The gap has left the window: nobody who is parked can be told of all
		// that happened. They come back, and get the 401 that says so.
		h.endAll()
		h.seen = max(h.target, complete-1)
		h.recent.reset(h.seen + 1)
		return nil
	}
	h.tell(events)
	if len(events) == 0 {
		h.seen = max(h.seen, h.target) // what is left of the indexes had no event
	}
	return nil
}

// admit serves a watch from the ring, registers it, or says what it has to do
// before that.
func (h *Hub) admit(a ask) answer {
	switch {
	case a.from < h.Floor(tree.Index(h.last.Load())):
		return answer{closed: h.closed(a.from)}
	case a.from > h.seen:
	case a.from < h.recent.floor:
		return answer{onDisk: h.recent.floor}
	case h.replay(a):
		return answer{}
	}
	exists, known := h.existed(a)
	h.spots.add(a.watch, exists, known)
	return answer{}
}

// replay delivers what the ring holds for a, and reports whether that was all
// that the watch asked for.
func (h *Hub) replay(a ask) (served bool) {
	for i := h.recent.search(a.from); i < h.recent.size; i++ {
		n := h.recent.at(i)
		if n.Concerns(a.watch.Key, a.watch.Recursive) {
			a.watch.Sink.Deliver(n)
			if !a.watch.Stream {
				return true
			}
		}
	}
	return false
}

// existed brings what the asker knew of the watched key up to the hub's
// position. Where it can't, it takes the key as existing: one event too many is
// harmless, one too few is not.
func (h *Hub) existed(a ask) (exists, known bool) {
	if a.watch.Key == "/" {
		return true, true
	}
	if h.exists == nil || a.asOf > h.seen || a.asOf+1 < h.recent.floor {
		return true, false
	}
	exists = a.exists
	for i := h.recent.search(a.asOf + 1); i < h.recent.size; i++ {
		n := h.recent.at(i)
		within := n.Key == a.watch.Key || tree.Within(n.Key, a.watch.Key)
		switch {
		case n.Action.Removes() && within:
			exists = false
		case !n.Action.Removes() && (n.Key == a.watch.Key || tree.Within(a.watch.Key, n.Key)):
			exists = true
		}
	}
	return exists, true
}

func (h *Hub) endAll() {
	h.spots.remove(h.departures.take())
	h.spots.end()
	h.watching.Store(0)
}

// pastReader delivers the past of one watch from the window on disk, on the
// goroutine that asks for the watch, so that the hub goes on meanwhile.
type pastReader struct {
	hub       *Hub
	watch     *tree.Watch
	delivered bool
}

// read delivers the events from from up to the one before until, where the hub
// has to take over, and never beyond: the hub would deliver those again. more
// is false if the watch needs the hub no longer.
func (p *pastReader) read(from, until tree.Index) (more bool, err *tree.Error) {
	for from < until {
		if p.hub.life.Halting() || p.hub.departures.left(p.watch) {
			p.watch.Sink.End()
			return false, nil
		}
		events, complete, e := p.hub.history(from, historyPage)
		if e != nil {
			return false, p.fail(&tree.Error{Code: tree.CodeRaftInternal, Cause: e.Error()})
		}
		if complete > from {
			return false, p.fail(p.hub.closed(p.watch.Since))
		}
		for i := range events {
			if events[i].Index >= until {
				return true, nil
			}
			if p.deliver(&events[i]) {
				return false, nil
			}
			from = events[i].Index + 1
		}
		if len(events) == 0 {
			break // what is left of the indexes had no event
		}
	}
	return true, nil
}

// deliver hands n over if it concerns the watch, and reports whether the watch
// is through.
func (p *pastReader) deliver(n *tree.Notice) (through bool) {
	if !n.Concerns(p.watch.Key, p.watch.Recursive) {
		return false
	}
	p.watch.Sink.Deliver(n)
	p.delivered = true
	return !p.watch.Stream
}

// fail refuses the watch with err; one that has got events can only end.
func (p *pastReader) fail(err *tree.Error) *tree.Error {
	if p.delivered {
		p.watch.Sink.End()
		return nil
	}
	return err
}
