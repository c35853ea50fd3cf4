package watch

import (
	"context"
	"fmt"
	"sync/atomic"

	"copse/actors/loop"
	"copse/statemachine/tree"
)

// Hub owns the watchers of one shard. The shard's state machine publishes its
// events to the hub, which hands each event to the watchers it concerns.
//
// Publish never blocks: while the hub is busy, events queue up to a limit; what
// doesn't fit is dropped and later read back from the window on disk. So a slow
// watcher can delay other watchers, but never a write.
//
// A watch that begins in the past is served from wherever that past is: by the
// hub, as far as its ring in memory reaches back, and before that from disk, on
// the goroutine that called Watch. The hub's loop reads the disk only to close a
// gap, one page at a time.
type Hub struct {
	// Fixed after NewHub.
	store      store
	bytesLimit int64 // of published
	life       loop.Life

	// A full published drops the batch; a full asks makes the caller of Watch wait.
	published  loop.Mailbox[batch]
	asks       loop.Mailbox[ask]
	departures departures
	bells      bells

	progress
	queued   atomic.Int64 // bytes in published
	watching atomic.Int64

	delivery delivery // owned by Run
}

// progress is how far the hub has come.
type progress struct {
	last    atomic.Uint64 // the last index published, dropped or not
	dropped atomic.Uint64 // the last index that was published and dropped
	told    atomic.Uint64 // the last index of which all watchers have been told
}

// bells wake the hub's loop.
type bells struct {
	behind loop.Bell // a batch was dropped
	end    loop.Bell // EndAll was called
}

// store is what the hub reads from disk.
type store struct {
	window  int // indexes that waitIndex may reach back
	history HistoryFunc
	apart   bool
	oldest  func() tree.Index // where history begins; nil: as window says
	exists  ExistsFunc        // nil: every key may exist
}

// HistoryFunc reads the window on disk: at most max events, in order, starting
// with the first at or above from; an empty result means there are none. complete
// is where the window begins: every event at or above it is still there. Events that
// don't concern key or what is below it may be left out. All that
// has been published is in the window. HistoryFunc may be called from many
// goroutines.
type HistoryFunc func(key string, from tree.Index, max int) (events []tree.EncodedEvent, complete tree.Index, err error)

// ExistsFunc reports whether key exists, and the index of the tree for which that
// is true: both must come from the same snapshot. It may be called from many
// goroutines.
type ExistsFunc func(key string) (exists bool, at tree.Index)

// Options configure a Hub.
type Options struct {
	First  tree.Index // the tree's last index now: earlier events are only on disk
	Window int        // how many indexes waitIndex reaches back; 0: 1000
	// Floor is the first index that waitIndex may name, if that doesn't follow from
	// Window; nil: it does. It may be called from many goroutines.
	Floor   func() tree.Index
	History HistoryFunc
	// Apart says that the History of a key, but for the root's, may begin before Floor.
	Apart  bool
	Exists ExistsFunc // nil: every key may exist

	RingLimit      int // events kept in memory; 0: Window, at most 4096
	RingBytesLimit int // their size, and that of queued events; 0: 64 MiB
	MailboxLimit   int // batches, and watches, that wait for the hub; 0: 1024
}

// batch is what the state machine published at once, in index order.
type batch struct {
	events []tree.EncodedEvent
	last   tree.Index // the tree's index after them
	bytes  int64
}

// ask is a request to register one watch.
type ask struct {
	watch *tree.Watch
	from  tree.Index // earlier events were delivered already, or are not wanted
	apart bool       // the floor of what is on disk is not the hub's
	marks []mark     // of the watch's keys, in their order
	reply chan answer
}

// mark is what the asker knows of a key.
type mark struct {
	exists bool       // it existed
	asOf   tree.Index // at this index of the tree
}

type answer struct {
	// onDisk, if not 0: the watch is not registered, since the events from ask.from
	// up to the one before onDisk are only in the window on disk.
	onDisk tree.Index
	closed *tree.Error // the window doesn't reach back to ask.from
}

// NewHub returns a hub; Run starts it.
func NewHub(o Options) *Hub {
	window := orElse(o.Window, 1000)
	bytesLimit := orElse(o.RingBytesLimit, 64<<20)
	mailboxLimit := orElse(o.MailboxLimit, 1024)
	h := &Hub{
		store:      store{window: window, history: o.History, apart: o.Apart, oldest: o.Floor, exists: o.Exists},
		bytesLimit: int64(bytesLimit),
		life:       loop.NewLife(),
		departures: newDepartures(),
		bells:      bells{behind: loop.NewBell(), end: loop.NewBell()},
		delivery:   newDelivery(o.First, orElse(o.RingLimit, min(window, 4096)), bytesLimit),
	}
	h.last.Store(uint64(o.First))
	h.told.Store(uint64(o.First))
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

// Publish takes over what was just committed: events, in index order, after which
// the tree's last index is last. An empty slice says that nothing has happened. A
// nil slice, as after a snapshot has replaced the tree, makes the hub look on disk
// for what it missed. Publish is called by one goroutine at a time and never
// blocks.
func (h *Hub) Publish(last tree.Index, events []tree.EncodedEvent) {
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
	// A batch larger than the limit still fits into an empty mailbox.
	if queued := h.queued.Add(b.bytes); queued <= max(h.bytesLimit, b.bytes) && h.published.Offer(b) {
		return
	}
	h.queued.Add(-b.bytes)
	h.drop(last)
}

// drop leaves what happened up to last to the window on disk.
func (h *Hub) drop(last tree.Index) {
	h.dropped.Store(uint64(last))
	h.bells.behind.Ring()
}

// Told is the index up to which every watcher has been given all that it is to see. Who
// knows that everything up to some index has been published says so, since indexes without
// an event needn't be: without that it is 0.
func (h *Hub) Told(published tree.Index) tree.Index {
	last, told := h.last.Load(), h.told.Load()
	if told < last {
		return tree.Index(told)
	}
	return max(tree.Index(told), published)
}

// Watchers is the number of parked watchers.
func (h *Hub) Watchers() int { return int(h.watching.Load()) }

// Floor is the first index that waitIndex may name when last is the newest.
func (h *Hub) Floor(last tree.Index) tree.Index { return h.store.floor(last) }

func (s *store) mark(key string) (m mark) {
	if s.exists != nil && key != "/" {
		m.exists, m.asOf = s.exists(key)
	}
	return m
}

func (s *store) floor(last tree.Index) tree.Index {
	switch {
	case s.oldest != nil:
		return s.oldest()
	case last < tree.Index(s.window):
		return 1
	}
	return last - tree.Index(s.window) + 1
}

// closed is v2's answer to a watch that reaches back too far, as the window begins at floor.
func (h *Hub) closed(floor, since tree.Index) *tree.Error {
	return &tree.Error{
		Code:  tree.CodeEventIndexClosed,
		Cause: fmt.Sprintf("the requested history has been cleared [%d/%d]", floor, since),
		Index: tree.Index(h.last.Load()),
	}
}

// Watch delivers the events from w.Since on, which is above 0, to w.Sink: past
// ones before it returns, the others as they come. A watch that doesn't stream
// ends with its first event. Once the hub has stopped, a watch ends at once.
//
// A *tree.Watch is used for one call only. Its Sink is called by one goroutine at
// a time: first by the caller's, for what is read from disk, then by the hub's.
func (h *Hub) Watch(w *tree.Watch) *tree.Error {
	h.departures.enter(w)
	defer h.departures.entered(w)
	a := ask{watch: w, from: w.Since, apart: h.store.apart && scope(w) != "/", reply: make(chan answer, 1)}
	past := pastReader{hub: h, watch: w}
	for {
		a.marks = a.marks[:0]
		for key := range w.Keys() {
			a.marks = append(a.marks, h.store.mark(key))
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

// ask sends a to the loop and waits for the answer; it reports false if the hub
// has stopped instead.
func (h *Hub) ask(a ask) (answer, bool) {
	if h.asks.Send(context.Background(), a) != nil {
		<-h.life.Done()
	}
	select {
	case ans := <-a.reply:
		return ans, true
	case <-h.life.Done():
	}
	// The loop has returned: it has answered by now, or never will.
	select {
	case ans := <-a.reply:
		return ans, true
	default:
		return answer{}, false
	}
}

// Unwatch takes w out again. It never blocks; type departures says why and how. A
// delivery under way may still arrive.
func (h *Hub) Unwatch(w *tree.Watch) { h.departures.leave(w) }

// EndAll ends all watchers that are parked now, and goes on. It never blocks.
func (h *Hub) EndAll() { h.bells.end.Ring() }

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
