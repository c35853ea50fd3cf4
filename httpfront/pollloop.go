package httpfront

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// pollLoop is the actor that owns waiting connections: those of parked watches, and those
// that a watch has left idle. It has three goroutines for any number of connections: run,
// which owns all state; the poller's, which waits for sockets; and forget, which calls
// unwatch, because the hub behind unwatch may itself be waiting for run.
//
// Its mailbox is full when events come faster than run writes them. The hub then waits, but
// never for a client, as run never blocks on a socket.
type pollLoop struct {
	options pollLoopOptions
	poller  *poller
	mailbox chan message
	resumed chan *conn // back to fasthttp, through the listener

	limit     *connLimit
	unwatched chan []*tree.Watch
	stopping  chan struct{}
	stopped   chan struct{} // closed when run no longer reads the mailbox
	stopOnce  sync.Once
	running   sync.WaitGroup
	arriving  sync.WaitGroup // watches whose connections are still with fasthttp
}

type pollLoopOptions struct {
	// unwatch removes the watch of a client that has left. It may block.
	unwatch func(*tree.Watch)
	// told is Backend.Told.
	told func([]tree.Index) []tree.Index
	// auth is who may do what now. authChanged receives a value after it has changed; the poll
	// loop alone reads it.
	auth        func() *auth.State
	authChanged <-chan struct{}
	// report logs an error for operators that no client gets.
	report func(what string, err error)

	timeouts
	heads headOptions

	streamWindow tree.Index // how far a stream may fall behind
	streamLimit  int        // bytes that a stream may leave unread
	connections  int        // that may be open at once
	meter        *parkMeter
}

const (
	mailboxLimit = 16384    // one event for that many watchers doesn't make the hub wait
	handleLimit  = 32       // messages, most of them a write to a socket, that are handled in a row
	streamLimit  = 64 << 20 // bytes that a stream may leave unread; the window shares them
	fullLimit    = 64 << 10 // the same while requests under way hold all memory that they may

	// reviewPause is from a change of users or roles to the look at all watches that it costs,
	// whatever else changes meanwhile. A watch of which an event comes is looked at then.
	reviewPause = 100 * time.Millisecond
)

// message is about one parked request: its connection has arrived, or an event, or with
// neither, its end. They may come in any order.
type message struct {
	to      *parked
	notice  *tree.EncodedEvent
	arrival *arrival
}

// arrival is a connection on its way from fasthttp to the poll loop.
type arrival struct {
	sock *socket
	head []byte // of the response, as far as it is unsent
}

func newPollLoop(o pollLoopOptions) (*pollLoop, error) {
	poll, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("start parking connections: %w", err)
	}
	p := &pollLoop{
		options:   o,
		poller:    poll,
		mailbox:   make(chan message, mailboxLimit),
		resumed:   make(chan *conn),
		unwatched: make(chan []*tree.Watch),
		stopping:  make(chan struct{}),
		stopped:   make(chan struct{}),
		limit: newConnLimit(o.connections, func() {
			o.report("new clients wait until others leave", fmt.Errorf("all %d places for connections are taken", o.connections))
		}),
	}
	p.running.Go(p.run)
	p.running.Go(poll.run)
	p.running.Go(p.forget)
	return p, nil
}

// stop ends every parked request with an empty 200, upon which v2 clients retry, and closes
// all connections without waiting for any client.
func (p *pollLoop) stop() {
	p.stopOnce.Do(func() { close(p.stopping) })
	p.running.Wait()
}

// settle waits until fasthttp has handed over every connection that was to be parked, which
// it does on goroutines of its own. It is called after stop, when no more requests come.
func (p *pollLoop) settle() { p.arriving.Wait() }

// send hands m to run, or drops it if run has ended.
func (p *pollLoop) send(m message) bool {
	select {
	case p.mailbox <- m:
		return true
	case <-p.stopped:
		return false
	}
}

// take adds the connection of a watch. The hub mustn't call it, as a watch that is too late
// is removed from the hub.
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
	if m.arrival == nil {
		return
	}
	m.to.loop.options.unwatch(&m.to.watch)
	sock, all := m.arrival.sock, m.arrival.head
	_, _ = sock.write(append(all, m.to.ending(m.to.watch.Since-1)...)) // the connection closes in any case
	_ = sock.Close()
}

// run is the actor's loop.
func (p *pollLoop) run() {
	l := newParkedConns(p)
	tick := time.NewTicker(l.interval)
	defer tick.Stop()
	changed := p.options.authChanged
	var review <-chan time.Time
	for {
		// A nil channel is never chosen: there may be nothing to send.
		var resumed chan *conn
		var next *conn
		if len(l.resumable) > 0 {
			resumed, next = p.resumed, l.resumable[0]
		}
		var unwatched chan []*tree.Watch
		if len(l.unwatched) > 0 {
			unwatched = p.unwatched
		}
		select {
		case m := <-p.mailbox:
			l.handle(m)
			for range min(len(p.mailbox), handleLimit) {
				l.handle(<-p.mailbox) // never blocks: run is the only receiver
			}
			// Sending to a crowd takes long and can wait; the answer to the write that woke it
			// can't.
			runtime.Gosched()
		case events := <-p.poller.events:
			l.look(events)
			p.poller.taken <- struct{}{}
		case resumed <- next:
			l.resumable[0] = nil
			l.resumable = l.resumable[1:]
		case unwatched <- l.unwatched:
			l.unwatched = nil
		case <-tick.C:
			l.sweep()
		case <-changed:
			changed, review = nil, time.After(reviewPause)
		case <-review:
			changed, review = p.options.authChanged, nil
			l.review()
		case <-p.stopping:
			p.shut(l)
			return
		}
	}
}

// shut ends run. The hub may be waiting for room in the mailbox while forget waits for the
// hub, so the mailbox is closed before forget gets its last work.
func (p *pollLoop) shut(l *parkedConns) {
	for range len(p.mailbox) {
		l.handle(<-p.mailbox)
	}
	l.clear()
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
	}
}
