package httpfront

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/inflight"
	"copse/statemachine/tree"

	"golang.org/x/sys/unix"
)

// pollLoop is the front-end's actor. It owns connections between requests and those of parked
// watches, and serves requests that can be answered without waiting for anything but their
// shard (serving.go). It has three goroutines for any number of connections: run, which owns
// all state; clock, which tells it what else there is to do; and forget, which calls unwatch,
// because the hub behind unwatch may itself be waiting for run. For a moment there is one more for
// each large answer that is printed apart from run (turn.go), and readers (readers.go).
//
// Its mailbox is full when events come faster than run writes them. The hub then waits, but
// not for a client, as run never blocks on a socket. Only a large event waits for those who
// hold the memory, for some seconds (admit).
type pollLoop struct {
	options pollLoopOptions
	poller  *poller
	inbox
	replies chan *turn // to writes and reads; there is always room
	readers readers

	unwatched chan []*tree.Watch
	stopping  chan struct{}
	due       due
	stopped   chan struct{} // closed when run no longer reads the mailbox
	stopOnce  sync.Once
	running   sync.WaitGroup
	arriving  sync.WaitGroup // watches whose connections are still with fasthttp
}

type pollLoopOptions struct {
	server *Server // that serves the requests
	// unwatch removes the watch of a client that has left. It may block.
	unwatch func(*tree.Watch)
	// told is Backend.Told.
	told func([]tree.Index) []tree.Index
	rights
	// report logs an error for operators that no client gets.
	report func(what string, err error)

	timeouts
	heads headOptions

	streamWindow tree.Index // how far a stream may fall behind
	streamLimit  int        // bytes that a stream may leave unread
	limit        *connLimit // shared by all loops
	meter        *parkMeter
}

// due is what run has to do beside its messages.
type due struct {
	end    atomic.Bool // stopping is closed
	sweep  atomic.Bool
	review atomic.Bool
}

const (
	mailboxLimit = 16384    // one event for that many watchers doesn't make the hub wait
	handleLimit  = 32       // messages, most of them a write to a socket, that are handled in a row
	waitingLimit = 32768    // turns that may wait; further requests are left to goroutines
	streamLimit  = 64 << 20 // bytes that a stream may leave unread; the window shares them
	fullLimit    = 64 << 10 // the same while requests under way hold all memory that they may

	// fullTimeout is how long a client may take nothing of what it is sent, while requests under way
	// hold all memory that they may. Who waits for memory waits for longer than that.
	fullTimeout = 2 * time.Second

	// reviewPause is from a change of users or roles to the look at all watches that it costs,
	// whatever else changes meanwhile. A watch of which an event comes is looked at then.
	reviewPause = 100 * time.Millisecond
)

// rights are who may do what.
type rights struct {
	auth        func() *auth.State // now
	authChanged <-chan struct{}    // receives a value after that has changed; has one reader
	tell        func()             // has other loops know; nil: there are none
}

// message is about one connection: it has arrived, or an event of its watch, or with neither,
// the watch's end. They may come in any order.
type message struct {
	to      *parked
	notice  *tree.EncodedEvent
	claim   int64 // of the budget, for an event that is printed in parts
	refused bool  // there was no room for that
	lost    bool  // the connection never comes
	arrival *arrival
}

// arrival is a connection on its way to the poll loop.
type arrival struct {
	sock *socket
	head []byte // of a watch's response, as far as it is unsent
	idle bool   // there is no watch
}

func newPollLoop(o pollLoopOptions) (*pollLoop, error) {
	poll, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("start parking connections: %w", err)
	}
	p := &pollLoop{
		options:   o,
		poller:    poll,
		inbox:     inbox{mailbox: make(chan message, mailboxLimit), admission: admission{turn: make(chan struct{}, 1)}},
		replies:   make(chan *turn, waitingLimit),
		readers:   readers{work: make(chan []*turn)},
		unwatched: make(chan []*tree.Watch, 1),
		stopping:  make(chan struct{}),
		stopped:   make(chan struct{}),
	}
	p.running.Go(p.run)
	p.running.Go(p.forget)
	return p, nil
}

// stop ends every parked request with an empty 200, upon which v2 clients retry, and closes all
// connections without waiting for any client. Those of unfinished requests are with goroutines then.
func (p *pollLoop) stop() {
	p.stopOnce.Do(func() {
		p.due.end.Store(true)
		close(p.stopping)
		p.poller.ring()
	})
	p.running.Wait()
}

// settle waits until fasthttp has handed over every connection that was to be parked, which
// it does on goroutines of its own. It is called after stop, when no more requests come.
func (p *pollLoop) settle() { p.arriving.Wait() }

// send hands m to run, or drops it if run has ended.
func (p *pollLoop) send(m message) bool {
	select {
	case p.mailbox <- m:
		p.poller.ring()
		return true
	case <-p.stopped:
		return false
	}
}

// take adds a connection. The hub mustn't call it, as a watch that is too late is removed from
// the hub.
func (p *pollLoop) take(w *parked, a *arrival) {
	m := message{to: w, arrival: a}
	if !p.send(m) {
		m.dispose()
		return
	}
	select {
	case <-p.stopped:
		p.drain() // m may have arrived after run had drained the mailbox
	default:
	}
}

// drain empties the mailbox once run no longer reads it.
func (p *pollLoop) drain() {
	for {
		select {
		case m := <-p.mailbox:
			m.dispose()
		default:
			return
		}
	}
}

// dispose ends a connection that is too late, as stop does the others.
func (m message) dispose() {
	m.to.loop.options.heads.inFlight.Give(inflight.Streams, m.claim)
	if m.arrival == nil {
		return
	}
	sock, all := m.arrival.sock, m.arrival.head
	if m.arrival.idle {
		_ = sock.Close() // the client may retry elsewhere
		return
	}
	m.to.loop.options.unwatch(&m.to.watch)
	_, _ = sock.write(append(all, m.to.ending(m.to.watch.Since-1)...)) // the connection closes in any case
	_ = sock.Close()
}

// run is the actor's loop.
func (p *pollLoop) run() {
	l := newParkedConns(p)
	p.running.Go(func() { p.clock(l.interval) })
	quiet := func() bool {
		return len(p.replies) == 0 && len(p.mailbox) == 0 && len(l.queued) == 0 && !p.due.sweep.Load() && !p.due.review.Load() && !p.due.end.Load()
	}
	p.poller.attend(func(events []unix.EpollEvent) bool {
		l.look(events)
		l.settleAll()
		p.receive(l)
		l.readUnread()
		if p.due.sweep.Load() {
			p.due.sweep.Store(false)
			l.sweep()
		}
		if p.due.review.Load() {
			p.due.review.Store(false)
			l.review()
		}
		if len(l.unwatched) > 0 {
			select {
			case p.unwatched <- l.unwatched:
				l.unwatched = nil
			default: // forget rings when it is ready for more
			}
		}
		return !p.due.end.Load()
	}, quiet)
	p.shut(l)
}

// receive handles messages that wait in the mailbox.
func (p *pollLoop) receive(l *parkedConns) {
	n := min(len(p.mailbox), handleLimit)
	for range n {
		l.handle(<-p.mailbox) // never blocks: run is the only receiver
	}
	if n > 0 {
		// Sending to a crowd takes long and can wait; the answer to the write that woke it
		// can't.
		runtime.Gosched()
	}
}

// clock tells run what time it is for.
func (p *pollLoop) clock(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	changed := p.options.authChanged
	var review <-chan time.Time
	for {
		select {
		case <-tick.C:
			p.due.sweep.Store(true)
		case <-changed:
			if p.options.tell != nil {
				p.options.tell()
			}
			changed, review = nil, time.After(reviewPause)
		case <-review:
			changed, review = p.options.authChanged, nil
			p.due.review.Store(true)
		case <-p.stopping:
			return
		}
		p.poller.ring()
	}
}

// shut ends run, once all turns that wait have their replies. The hub may be waiting for room in
// the mailbox while forget waits for the hub, so the mailbox is closed before forget gets its last
// work.
func (p *pollLoop) shut(l *parkedConns) {
	for range len(p.mailbox) {
		l.handle(<-p.mailbox)
	}
	l.clear()
	for l.waiting > 0 {
		l.readUnread()
		select {
		case t := <-p.replies:
			of := t.of
			l.settle(t)
			l.finish(of)
		case m := <-p.mailbox:
			l.handle(m)
			l.finish(m.to)
		}
	}
	p.poller.close()
	close(p.stopped)
	p.drain()
	if len(l.unwatched) > 0 {
		p.unwatched <- l.unwatched
	}
	close(p.unwatched)
}

// forget removes the watches of clients that have left. At most one watch for each
// connection waits for it.
func (p *pollLoop) forget() {
	for watches := range p.unwatched {
		for _, w := range watches {
			p.options.unwatch(w)
		}
		p.poller.ring()
	}
}
