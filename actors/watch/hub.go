package watch

import (
	"context"
	"fmt"
	"sync/atomic"

	"copse/actors/loop"
	"copse/statemachine/tree"
)

// Hub owns the watchers of one shard. The shard's state machine publishes
// its events to it, and it hands each of them to the watchers that it concerns.
//
// Publish never waits: while the hub is busy, events queue up to a limit; what
// is beyond is dropped, and read again from the window on disk. So a slow
// watcher can delay other watchers, but no write.
//
// A watch that begins in the past is served by who has that past: the hub, as
// far as its ring in memory reaches, before that the goroutine that asks, from
// disk. The hub's loop touches the disk only to close a gap, one page at a time.
type Hub struct {
	// Fixed after NewHub.
	window     int
	bytesLimit int64
	history    HistoryFunc
	exists     ExistsFunc
	oldest     func() tree.Index // nil: window indexes back
	life       loop.Life

	// Mailboxes. A full published drops, a full asks makes the asker wait.
	published  loop.Mailbox[batch]
	asks       loop.Mailbox[ask]
	departures departures
	behind     loop.Bell // rings when a batch was dropped

	// Atomic.
	last     atomic.Uint64 // the last index published, dropped or not
	dropped  atomic.Uint64 // the last index that was published and dropped
	queued   atomic.Int64  // bytes in published
	watching atomic.Int64

	// Owned by run.
	seen   tree.Index // the last event that watchers were told of
	target tree.Index // a gap is open up to here, if above seen
	recent ring
	spots  spots
}

// HistoryFunc reads the window on disk: max events at most, in order, starting
// with the first whose index is from or above; none means that there are none.
// complete is where the window begins: every event at or above it is still
// there. Whatever has been published is in it. It may be called from many
// goroutines.
type HistoryFunc func(from tree.Index, max int) (events []tree.Notice, complete tree.Index, err error)

// ExistsFunc tells whether key exists in the tree as it is exactly at index at:
// both must come from one snapshot. It may be called from many goroutines.
type ExistsFunc func(key string) (exists bool, at tree.Index)

// Options configure a Hub.
type Options struct {
	First  tree.Index // the tree's last index now: earlier events are only on disk
	Window int        // how many indexes waitIndex reaches back; 0: 1000
	// Floor is the first index that waitIndex may name, where that doesn't follow
	// from Window; nil: it does. It may be called from many goroutines.
	Floor   func() tree.Index
	History HistoryFunc
	Exists  ExistsFunc // nil: every key may exist

	RingLimit      int // events kept in memory; 0: Window, at most 4096
	RingBytesLimit int // their size, and that of events on the way; 0: 64 MiB
	MailboxLimit   int // batches, and watches, that wait for the hub; 0: 1024
}

// historyPage is how many events are read from disk at once.
const historyPage = 256

// batch is what the state machine published at once, in index order.
type batch struct {
	events []tree.Notice
	last   tree.Index // the tree's index after them
	bytes  int64
}

// ask is one watch at the hub's door.
type ask struct {
	watch  *tree.Watch
	from   tree.Index // what lies before has been delivered, or is not wanted
	exists bool       // the watched key existed
	asOf   tree.Index // at this index of the tree
	reply  chan answer
}

type answer struct {
	// onDisk: the events from ask.from on, up to the one before onDisk, are in
	// the window on disk and no longer in memory. Not 0: not registered.
	onDisk tree.Index
	closed *tree.Error // the window doesn't reach back to ask.from
}

// NewHub returns a hub that Run brings to life.
func NewHub(o Options) *Hub {
	window := orElse(o.Window, 1000)
	bytesLimit := orElse(o.RingBytesLimit, 64<<20)
	mailboxLimit := orElse(o.MailboxLimit, 1024)
	h := &Hub{
		window:     window,
		bytesLimit: int64(bytesLimit),
		history:    o.History,
		exists:     o.Exists,
		oldest:     o.Floor,
		life:       loop.NewLife(),
		departures: newDepartures(),
		behind:     loop.NewBell(),
		seen:       o.First,
		recent: ring{
			limit:      orElse(o.RingLimit, min(window, 4096)),
			bytesLimit: bytesLimit,
			floor:      o.First + 1,
		},
	}
	h.last.Store(uint64(o.First))
	h.published = loop.NewMailbox[batch](mailboxLimit, h.life.Stopping())
	h.asks = loop.NewMailbox[ask](mailboxLimit, h.life.Stopping())
	return h
}

func orElse(n, standard int) int {
	if n > 0 {
		return n
	}
	return standard
}

// Publish takes over what was just committed: events, in index order, after
// which the tree's last index is last; empty ones say that nothing has happened.
// Without events (nil), as after a snapshot has replaced the tree, the hub looks on
// disk for what it missed. Publish is called by one goroutine at a time and never
// waits.
func (h *Hub) Publish(last tree.Index, events []tree.Notice) {
	if last <= tree.Index(h.last.Load()) {
		return
	}
	h.last.Store(uint64(last))
	if events == nil {
		h.drop(last)
		return
	}
	b := batch{events: events, last: last}
	for i := range events {
		b.bytes += int64(Weight(&events[i]))
	}
	// A batch that is larger than the limit goes through an empty mailbox.
	if queued := h.queued.Add(b.bytes); queued <= max(h.bytesLimit, b.bytes) && h.published.Offer(b) {
		return
	}
	h.queued.Add(-b.bytes)
	h.drop(last)
}

// drop leaves what happened up to last to the window on disk.
func (h *Hub) drop(last tree.Index) {
	h.dropped.Store(uint64(last))
	h.behind.Ring()
}

// Watchers is the number of parked watchers.
func (h *Hub) Watchers() int { return int(h.watching.Load()) }

// Floor is the first index that waitIndex may name when last is the newest.
func (h *Hub) Floor(last tree.Index) tree.Index {
	switch {
	case h.oldest != nil:
		return h.oldest()
	case last < tree.Index(h.window):
		return 1
	}
	return last - tree.Index(h.window) + 1
}

// closed is v2's answer to a watch that reaches back too far.
func (h *Hub) closed(since tree.Index) *tree.Error {
	last := tree.Index(h.last.Load())
	return &tree.Error{
		Code:  tree.CodeEventIndexClosed,
		Cause: fmt.Sprintf("the requested history has been cleared [%d/%d]", h.Floor(last), since),
		Index: last,
	}
}

// Watch delivers to w.Sink the events from w.Since, which is above 0, on: those
// of the past before it returns, the others as they come. A watch that doesn't
// stream is through after its first event. Once the hub has stopped, a watch
// ends at once.
//
// A *tree.Watch is used for one call only. Its Sink is called by one goroutine
// at a time: by the caller's for what is read from disk, then by the hub's.
func (h *Hub) Watch(w *tree.Watch) *tree.Error {
	h.departures.enter(w)
	defer h.departures.entered(w)
	a := ask{watch: w, from: w.Since, reply: make(chan answer, 1)}
	past := pastReader{hub: h, watch: w}
	for {
		if h.exists != nil && w.Key != "/" {
			a.exists, a.asOf = h.exists(w.Key)
		}
		ans, ok := h.ask(a)
		switch {
		case !ok:
			w.Sink.End()
			return nil
		case ans.closed != nil:
			return past.fail(ans.closed)
		case ans.onDisk == 0:
			return nil
		}
		if more, err := past.read(a.from, ans.onDisk); err != nil || !more {
			return err
		}
		a.from = ans.onDisk
	}
}

// ask puts a to the hub; it reports false if the hub has stopped instead.
func (h *Hub) ask(a ask) (answer, bool) {
	if h.asks.Send(context.Background(), a) != nil {
		<-h.life.Done()
	}
	select {
	case ans := <-a.reply:
		return ans, true
	case <-h.life.Done():
	}
	// The loop has ended: either it had answered, or it never will.
	select {
	case ans := <-a.reply:
		return ans, true
	default:
		return answer{}, false
	}
}

// Unwatch takes w out again and never waits; see departures for why and how. A
// delivery that is under way may still arrive.
func (h *Hub) Unwatch(w *tree.Watch) { h.departures.leave(w) }

// Run serves until Stop. It fails if the window on disk can't be read.
func (h *Hub) Run() error {
	if !h.life.Begin() {
		return nil
	}
	defer h.life.End()
	defer h.endAll()
	return h.run()
}

// Stop ends every watcher and returns when Run has.
func (h *Hub) Stop() { h.life.Halt() }
