package httpfront

import (
	"runtime/debug"
	"time"

	"copse/statemachine/tree"

	"golang.org/x/sys/unix"
)

// lot is all that run owns: the parked connections and what is to be done
// about them. Its methods never wait.
type lot struct {
	// Fixed.
	options    *parkerOptions
	parker     *parker
	interval   time.Duration // from one sweep to the next
	idleTicks  uint32        // 0: no limit
	writeTicks uint32        // 0: no limit

	slots      []*parked
	free       []int32 // slots that are empty
	generation int32
	tick       uint32
	memory     crowdMemory

	resumable []*conn       // to be handed to fasthttp
	unwatched []*tree.Watch // to be handed to forget

	// The last event, framed once for everyone who waits for it.
	notice *tree.Notice
	whole  []byte
}

func newLot(p *parker) *lot {
	l := &lot{options: &p.options, parker: p, interval: time.Second}
	for _, d := range []time.Duration{p.options.idleTimeout, p.options.writeTimeout} {
		if d > 0 {
			l.interval = max(min(l.interval, d/4), time.Millisecond)
		}
	}
	l.idleTicks = l.ticks(p.options.idleTimeout)
	l.writeTicks = l.ticks(p.options.writeTimeout)
	return l
}

// ticks returns how many sweeps make up d, rounded up.
func (l *lot) ticks(d time.Duration) uint32 { return uint32((d + l.interval - 1) / l.interval) }

func (l *lot) handle(m message) {
	switch {
	case m.arrival != nil:
		l.park(m.to, m.arrival.sock, m.arrival.head)
	case m.notice != nil:
		l.deliver(m.to, m.notice)
	default:
		l.end(m.to)
	}
}

// park takes a connection in. Events that came before it wait in the backlog.
func (l *lot) park(p *parked, sock *socket, head []byte) {
	p.sock = sock
	p.since = l.tick
	if p.stage == watching {
		l.options.meter.watching(p.watch.Stream).Add(1)
	}
	l.generation++
	if n := len(l.free); n > 0 {
		p.token = token{slot: l.free[n-1], generation: l.generation}
		l.free = l.free[:n-1]
		l.slots[p.token.slot] = p
	} else {
		p.token = token{slot: int32(len(l.slots)), generation: l.generation}
		l.slots = append(l.slots, p)
	}
	if err := l.parker.poller.add(sock.fd, p.token); err != nil {
		l.options.report("park a connection", err)
		l.drop(p)
		return
	}
	if len(head) > 0 {
		early := p.backlog
		p.backlog = &backlog{}
		p.backlog.add(0, head)
		if early != nil {
			p.backlog.pieces = append(p.backlog.pieces, early.pieces...)
			p.backlog.size += early.size
		}
	}
	l.flush(p)
}

func (l *lot) deliver(p *parked, n *tree.Notice) {
	if p.stage != watching {
		return
	}
	if l.notice != n {
		l.notice, l.whole = n, appendWhole(nil, n.JSON)
	}
	bytes := l.whole
	switch {
	case !p.chunked:
		bytes = n.JSON
	case p.watch.Stream:
		bytes = bytes[:len(bytes)-len(lastChunk)]
	}
	if !p.watch.Stream {
		l.advance(p, answered)
		l.options.meter.sent.Add(1)
		l.write(p, n.Index, bytes)
		return
	}
	if l.behind(p, n.Index) {
		// Everything before the event is still sent, so that a client that
		// comes back has got further.
		l.options.meter.slow.Add(1)
		l.unwatch(p)
		l.end(p)
		return
	}
	l.options.meter.sent.Add(1)
	l.write(p, n.Index, bytes)
}

// advance moves p to another stage than watching.
func (l *lot) advance(p *parked, to stage) {
	if p.stage == watching && p.sock != nil {
		l.options.meter.watching(p.watch.Stream).Add(-1)
	}
	p.stage = to
}

// behind reports whether a stream has too much unread for the event at index
// to be added.
func (l *lot) behind(p *parked, index tree.Index) bool {
	b := p.backlog
	if b == nil {
		return false
	}
	oldest := b.oldest()
	return b.size > l.options.streamLimit || oldest != 0 && p.sock != nil && index > oldest+l.options.streamWindow
}

// end finishes a response whose events have all come, and the connection.
func (l *lot) end(p *parked) {
	if p.stage != watching {
		return
	}
	l.advance(p, ending)
	p.since = l.tick
	switch {
	case p.chunked:
		l.write(p, 0, []byte(lastChunk))
	case p.sock != nil && p.backlog == nil:
		l.drop(p)
	}
}

// write sends bytes, or what fits of them, and keeps the rest for later.
func (l *lot) write(p *parked, index tree.Index, bytes []byte) {
	if p.sock == nil || p.backlog != nil {
		if p.backlog == nil {
			p.backlog = &backlog{}
		}
		p.backlog.add(index, bytes)
		return
	}
	n, err := p.sock.write(bytes)
	switch {
	case err != nil:
		l.drop(p)
	case n == len(bytes):
		l.written(p)
	default:
		p.backlog = &backlog{sent: n}
		p.backlog.add(index, bytes)
		p.since = l.tick
		l.await(p)
	}
}

// flush goes on with the backlog.
func (l *lot) flush(p *parked) {
	if p.backlog != nil {
		n, all, err := p.backlog.writeTo(p.sock)
		if err != nil {
			l.drop(p)
			return
		}
		if n > 0 {
			p.since = l.tick
		}
		if !all {
			l.await(p)
			return
		}
		p.backlog = nil
	}
	l.written(p)
}

// await has the poller tell when p's socket takes bytes again.
func (l *lot) await(p *parked) {
	if p.writable {
		return
	}
	p.writable = true
	if err := l.parker.poller.addWritable(p.sock.fd, p.token); err != nil {
		l.options.report("wait for a slow client", err)
		l.drop(p)
	}
}

// written is called when nothing is left to write for now.
func (l *lot) written(p *parked) {
	switch {
	case p.stage == watching:
	case p.stage == answered && p.keepAlive:
		p.stage = idle
		p.since = l.tick
		if p.readable || len(p.sock.rest) > 0 {
			l.resume(p)
		}
	default:
		l.drop(p)
	}
}

// look acts on what the poller saw. A token that isn't known is of a
// connection that has left since.
func (l *lot) look(events []unix.EpollEvent) {
	for i := range events {
		t := tokenOf(&events[i])
		if p := l.slots[t.slot]; p != nil && p.token == t {
			l.lookAt(p, events[i].Events)
		}
	}
}

func (l *lot) lookAt(p *parked, seen uint32) {
	p.readable = p.readable || seen&pollReadable != 0
	left := seen&pollGone != 0
	if p.stage == watching {
		// As etcd does: who can't ask again isn't waiting any more.
		left = left || seen&pollHalfGone != 0 || seen&pollReadable != 0 && p.sock.absorb() != nil
	}
	switch {
	case left:
		l.drop(p)
	case seen&pollHalfGone != 0 && p.stage == idle && !p.sock.readable():
		l.drop(p)
	case p.stage == idle && p.readable:
		l.resume(p)
	case seen&pollWritable != 0 && p.backlog != nil:
		l.flush(p)
	}
}

// resume hands the connection of an answered request back to be served.
func (l *lot) resume(p *parked) {
	if err := l.parker.poller.remove(p.sock.fd); err != nil {
		l.options.report("hand a connection back", err)
		l.drop(p)
		return
	}
	if home := l.options.home; home != nil && p.sock.session == nil && len(p.sock.rest) == 0 && home(p.sock.Conn, 0, false) {
		l.leave(p)
		return
	}
	l.resumable = append(l.resumable, p.sock.conn(l.parker))
	l.leave(p)
}

// drop closes the connection, whatever is left to say.
func (l *lot) drop(p *parked) {
	if p.stage == watching {
		l.unwatch(p)
	}
	_ = p.sock.Close() // which also ends the polling
	l.leave(p)
}

func (l *lot) leave(p *parked) {
	l.slots[p.token.slot] = nil
	l.free = append(l.free, p.token.slot)
	l.advance(p, gone)
	p.sock = nil
	p.backlog = nil
}

func (l *lot) unwatch(p *parked) { l.unwatched = append(l.unwatched, &p.watch) }

// sweep drops the connections that have done nothing for too long.
func (l *lot) sweep() {
	l.tick++
	l.notice, l.whole = nil, nil
	if l.memory.settled(len(l.slots) - len(l.free)) {
		l.parker.running.Go(debug.FreeOSMemory) // it takes some time
	}
	for _, p := range l.slots {
		if p == nil {
			continue
		}
		limit := uint32(0)
		switch {
		case p.stage == idle:
			limit = l.idleTicks
		case p.backlog != nil && !(p.stage == watching && p.watch.Stream):
			limit = l.writeTicks // a slow stream is ended by the window
		}
		if limit > 0 && l.tick-p.since > limit {
			l.drop(p)
		}
	}
}

// crowdMemory notices when a crowd has come or gone. What its coming took beside
// what it keeps is several times as much, and the runtime would hold on to it for
// what may come next: here, most often nothing for a long time.
type crowdMemory struct{ last, released int }

// crowdAtLeast is what a crowd is: its memory is worth a look at all of the heap.
const crowdAtLeast = 4096

// settled is told once in a while how many there are.
func (m *crowdMemory) settled(count int) bool {
	quiet := count == m.last
	m.last = count
	if !quiet || max(count-m.released, m.released-count) < crowdAtLeast {
		return false
	}
	m.released = count
	return true
}

// clear ends every request with what can be written at once.
func (l *lot) clear() {
	for _, p := range l.slots {
		if p == nil {
			continue
		}
		if p.backlog != nil {
			l.flush(p)
		}
		if p.stage == watching {
			l.unwatch(p)
			l.end(p)
		}
		if p.stage != gone {
			l.drop(p)
		}
	}
	for _, c := range l.resumable {
		_ = c.Close() // the client may ask again elsewhere
	}
	l.resumable = nil
}
