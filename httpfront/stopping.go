package httpfront

import (
	"errors"
	"slices"
)

// clear finishes with all connections.
func (l *parkedConns) clear() {
	for _, p := range l.slots.list {
		if p != nil {
			l.finish(p)
		}
	}
}

// finish ends p's request and closes its connection, unless its turn waits. A watch gets what
// can be written without blocking. A goroutine gets an answer that the client is still taking, and a
// request that has come or begun to.
func (l *parkedConns) finish(p *parked) {
	if p.sock == nil || p.stage == waiting {
		return
	}
	if p.backlog != nil {
		l.flush(p)
	}
	if p.stage == idle {
		p.readable = true // perhaps, and the poller isn't asked any more
		l.read(p)
	}
	switch {
	case p.stage == gone || p.stage == waiting:
	case p.stage == watching:
		l.unwatch(p)
		if l.end(p); p.stage != gone {
			l.drop(p)
		}
	case p.backlog != nil:
		l.leaveBacklog(p)
	case p.stage == idle && len(p.sock.rest) > 0:
		l.leaveTo(p)
	default:
		l.drop(p)
	}
}

// leaveBacklog gives p's connection to a goroutine, which sends what is left to send, and then serves
// what has been read behind that or closes.
func (l *parkedConns) leaveBacklog(p *parked) {
	left, more := p.backlog.unsent(p.sock), p.stage == answered && p.keepAlive && len(p.sock.rest) > 0
	c := l.unpark(p)
	p.conn = nil // so that c counts as answered only then
	l.leave(p)
	s := l.options.server
	s.conns.serve(c, func(c *conn) error {
		err := c.sendAll(left)
		s.answered(c)
		if err == nil && more {
			return s.serveConn(c)
		}
		defer s.conns.remove(c)
		c.torn.Store(err == nil) // or unread requests would have the kernel take the answer back
		return errors.Join(err, c.Close())
	})
}

// unsent returns what is left to send, but for what s has encrypted already, which its wire keeps.
func (b *backlog) unsent(s *socket) (left []piece) {
	passed := b.sent
	if s.session != nil {
		passed += s.session.owed
		s.session.owed = 0
	}
	for _, p := range b.pieces {
		for more := true; more && passed > 0; {
			var text, part []byte
			text, p, more = p.next(&part)
			n := min(passed, len(text))
			passed -= n
			left = append(left, piece{bytes: text[n:]})
		}
		left = append(left, p)
	}
	return left
}

// sendAll sends what the poll loop has left. The client has the timeout for each part of it.
func (c *conn) sendAll(left []piece) error {
	if c.wire != nil {
		if err := c.writes.arm(c.loop.options.slack, c.Conn.SetWriteDeadline); err != nil {
			return err
		}
		if _, err := c.wire.Write(nil); err != nil { // what it keeps
			return err
		}
	}
	var text, scratch []byte
	for _, p := range left {
		for more := true; more; {
			text, p, more = p.next(&scratch)
			for part := range slices.Chunk(text, recordBytes) {
				c.writes.restart(c.loop.options.writeTimeout)
				if _, err := c.Write(part); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
