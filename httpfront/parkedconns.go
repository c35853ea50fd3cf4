package httpfront

import (
	"cmp"
	"runtime/debug"
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/tree"

	"golang.org/x/sys/unix"
)

// parkedConns is the state of the poll loop: its connections, and the work that they have left
// behind. Its methods never block.
type parkedConns struct {
	// Fixed.
	options *pollLoopOptions
	loop    *pollLoop
	pace

	slots  slotTable
	tick   uint32
	memory crowdMemory

	serving
	unwatched []*tree.Watch // to hand to forget

	framed framed
	claim  int64  // what the event that is being delivered holds of the budget
	part   []byte // printed, of one whose JSON is made in parts
	fence  fence
}

// pace is how often connections are looked at, and how many times they may be found waiting.
type pace struct {
	interval                         time.Duration // from one sweep to the next
	readTicks, idleTicks, writeTicks uint32        // 0: no limit
	fullTicks                        uint32        // instead of writeTicks, for streams too, while others need the memory
}

func newParkedConns(p *pollLoop) *parkedConns {
	l := &parkedConns{options: &p.options, loop: p, pace: pace{interval: time.Second}}
	l.serving.begin(p)
	for _, d := range []time.Duration{p.options.readTimeout, p.options.idleTimeout, p.options.writeTimeout} {
		if d > 0 {
			l.interval = max(min(l.interval, d/4), time.Millisecond)
		}
	}
	l.readTicks = l.ticks(p.options.readTimeout)
	l.idleTicks = l.ticks(p.options.idleTimeout)
	l.writeTicks = l.ticks(p.options.writeTimeout)
	l.fullTicks = l.ticks(min(fullTimeout, cmp.Or(p.options.writeTimeout, fullTimeout)))
	return l
}

// ticks returns how many sweeps make up d, rounded up.
func (l *parkedConns) ticks(d time.Duration) uint32 { return uint32((d + l.interval - 1) / l.interval) }

func (l *parkedConns) handle(m message) {
	switch {
	case m.arrival != nil && m.arrival.idle:
		l.admit(m.to, m.arrival.sock)
	case m.arrival != nil:
		l.park(m.to, m.arrival.sock, m.arrival.head)
	case m.notice != nil && m.notice.Parted():
		l.handleParted(m)
	case m.notice != nil:
		l.deliver(m.to, m.notice)
	case m.lost:
		l.advance(m.to, gone)
		m.to.backlog.drop()
	default:
		l.end(m.to)
	}
	l.fence.handled()
}

// park adds a connection. Events that arrived before it are in the backlog.
func (l *parkedConns) park(p *parked, sock *socket, head []byte) {
	l.began(p)
	p.readable = sock.session != nil // a session may have read more than it has told
	if !l.enter(p, sock) {
		return
	}
	if len(head) > 0 {
		early := p.backlog
		p.backlog = &backlog{}
		p.backlog.add(piece{bytes: head})
		if early != nil {
			p.backlog.pieces = append(p.backlog.pieces, early.pieces...)
			p.backlog.size += early.size
		}
	}
	l.flush(p)
	l.recheck(p, l.options.auth()) // what changed on the way here was reviewed without p
}

func (l *parkedConns) deliver(p *parked, n *tree.EncodedEvent) {
	if p.stage != watching || !l.recheck(p, l.options.auth()) {
		return
	}
	if p.terms != nil {
		p.terms.last = n.Index
	}
	form := l.framed.of(p, n)
	if !p.watch.Stream {
		l.advance(p, answered)
		l.options.meter.sent.Add(1)
		l.answer(p, n.Index, form)
		return
	}
	if l.behind(p, n.Index) {
		l.endSlow(p)
		return
	}
	l.options.meter.sent.Add(1)
	l.sendEvent(p, n.Index, form)
}

// endSlow ends a watch whose next event is too much. Everything before that is still sent, so that a client that
// returns has made progress.
func (l *parkedConns) endSlow(p *parked) {
	l.options.meter.slow.Add(1)
	l.unwatch(p)
	l.end(p)
}

// recheck ends a watch whose client may no longer read what it watches, and reports whether
// it goes on. The client gets no error, for the head of its answer is out; it asks again and
// is refused. A watch goes on after a change of its user's password: its rights are the same.
func (l *parkedConns) recheck(p *parked, now *auth.State) bool {
	if p.stage != watching || p.grant.stands(now, p.terms) {
		return true
	}
	l.options.meter.revoked.Add(1)
	l.unwatch(p)
	l.end(p)
	return false
}

// review looks at all watches after a change of users or roles.
func (l *parkedConns) review() {
	now := l.options.auth()
	for _, p := range l.slots.list {
		if p != nil {
			l.recheck(p, now)
		}
	}
}

// advance moves p to another stage than watching.
func (l *parkedConns) advance(p *parked, to stage) {
	if p.sock == nil {
		p.stage = to
		return
	}
	l.options.meter.gauge(p).Add(-1)
	if p.stage = to; to != gone {
		l.options.meter.gauge(p).Add(1)
	}
}

// behind reports whether a stream has too much unsent to add the event at index.
func (l *parkedConns) behind(p *parked, index tree.Index) bool {
	b := p.backlog
	if b == nil {
		return false
	}
	oldest := b.oldest()
	return b.size > l.options.streamLimit || b.size > fullLimit && l.options.heads.inFlight.Full() || oldest != 0 && p.sock != nil && index > oldest+l.options.streamWindow
}

// end finishes a response that gets no more events, and the connection.
func (l *parkedConns) end(p *parked) {
	if p.stage != watching {
		return
	}
	l.advance(p, ending)
	p.since = l.tick
	if last := p.ending(l.reached(p)); len(last) > 0 {
		l.write(p, piece{bytes: last})
	} else if p.sock != nil && p.backlog == nil {
		l.drop(p)
	}
}

// write sends as much of a piece's bytes as the socket takes, and keeps the rest.
func (l *parkedConns) write(p *parked, part piece) {
	if p.sock == nil || p.backlog != nil {
		if p.backlog == nil {
			p.backlog = &backlog{}
		}
		p.backlog.add(l.count(p, part))
		return
	}
	n, err := p.sock.write(part.bytes)
	switch {
	case err != nil:
		l.drop(p)
	case n == len(part.bytes):
		l.written(p)
	default:
		p.backlog = &backlog{sent: n}
		p.backlog.add(l.count(p, part))
		p.since = l.tick
		l.await(p)
	}
}

// flush sends from the backlog.
func (l *parkedConns) flush(p *parked) {
	if p.backlog != nil {
		n, all, err := p.backlog.writeTo(p.sock, &l.part)
		if err != nil {
			l.drop(p)
			return
		}
		if n > 0 {
			p.since = l.tick
		}
		if !all {
			p.writable = p.writable && n < printedAtOnce // or the poller has told of what it would report
			l.await(p)
			return
		}
		p.backlog = nil
	}
	l.written(p)
}

// await makes the poller report when p's socket takes bytes again.
func (l *parkedConns) await(p *parked) {
	if p.writable {
		return
	}
	p.writable = true
	if err := l.loop.poller.addWritable(p.sock.fd, p.token); err != nil {
		l.options.report("wait for a slow client", err)
		l.drop(p)
	}
}

// written is called when nothing is left to write for now.
func (l *parkedConns) written(p *parked) {
	l.taken(p)
	switch {
	case p.stage == watching || p.stage == waiting:
	case p.stage == answered && p.keepAlive:
		l.advance(p, idle)
		p.since = l.tick
		if p.readable || len(p.sock.rest) > 0 {
			l.queue(p)
		}
	default:
		l.drop(p)
	}
}

// look handles the poller's events. An unknown token belongs to a connection that has left
// since.
func (l *parkedConns) look(events []unix.EpollEvent) {
	for i := range events {
		t := tokenOf(&events[i])
		if p := l.slots.get(t); p != nil {
			l.lookAt(p, events[i].Events)
		}
	}
	l.readQueued()
}

func (l *parkedConns) lookAt(p *parked, seen uint32) {
	p.readable = p.readable || seen&(pollReadable|pollHalfGone) != 0
	p.halfGone = p.halfGone || seen&pollHalfGone != 0
	left := seen&pollGone != 0
	if p.stage == watching {
		// As in etcd: a client that has closed its side can't ask again, and isn't waiting.
		left = left || seen&pollHalfGone != 0 || seen&pollReadable != 0 && p.sock.absorb() != nil
	}
	switch {
	case left:
		l.drop(p)
	case p.stage == idle && p.readable:
		l.read(p)
	case seen&pollWritable != 0 && p.backlog != nil:
		l.flush(p)
	}
}

// drop closes the connection, even with bytes left to send.
func (l *parkedConns) drop(p *parked) {
	if p.stage == watching {
		l.unwatch(p)
	}
	_ = p.sock.Close() // which also ends the polling
	l.leave(p)
}

func (l *parkedConns) leave(p *parked) {
	l.slots.remove(p)
	l.advance(p, gone)
	l.taken(p)
	p.sock = nil
	p.backlog.drop()
	p.backlog = nil
}

func (l *parkedConns) unwatch(p *parked) { l.unwatched = append(l.unwatched, &p.watch) }

// sweep drops connections without progress for too long.
func (l *parkedConns) sweep() {
	l.tick++
	if l.part = nil; !l.framed.asked {
		l.framed = framed{}
	}
	l.framed.asked = false
	l.ask()
	if l.memory.settled(l.slots.count()) {
		l.loop.running.Go(debug.FreeOSMemory) // which takes some time
	}
	full := l.options.heads.inFlight.Full()
	for _, p := range l.slots.list {
		if p == nil {
			continue
		}
		l.keep(p)
		limit := uint32(0)
		switch {
		case p.backlog != nil && full:
			limit = l.fullTicks
		case p.stage == idle && (len(p.sock.rest) > 0 || p.conn != nil && !p.conn.served):
			limit = l.readTicks
		case p.stage == idle:
			limit = l.idleTicks
		case p.backlog != nil && !(p.stage == watching && p.watch.Stream):
			limit = l.writeTicks // a slow stream is ended by the window
		}
		if limit > 0 && l.tick-p.since > limit {
			l.drop(p)
			full = full && l.options.heads.inFlight.Full() // no more of them than it takes
		}
	}
}
