package httpfront

import (
	"slices"
	"sync/atomic"
)

// readers have what single reads ask for brought into memory, for a poll loop that mustn't wait for
// the disk, and then answers from memory. Each is given two reads at once, if there are, as one takes less
// to wake than two. There are as many readers as there is work for, which is bounded by waitingLimit; a
// few stay, because a new goroutine's stack has to grow first.
type readers struct {
	work chan []*turn
	idle atomic.Int32
}

const (
	readsEach   = 2 // so a client waits for at most one read of another
	idleReaders = 16
)

// readUnread gives those requests to readers that the loop has no answer for in memory.
func (l *parkedConns) readUnread() {
	for some := range slices.Chunk(l.unread, readsEach) {
		l.loop.read(slices.Clone(some))
	}
	clear(l.unread)
	l.unread = l.unread[:0]
}

// read has a reader serve the list.
func (p *pollLoop) read(list []*turn) {
	select {
	case p.readers.work <- list:
	default: // none is idle
		p.running.Go(func() { p.readOn(list) })
	}
}

// readOn reads the list, and then others, as long as the loop runs and few readers are idle.
func (p *pollLoop) readOn(list []*turn) {
	r := &p.readers
	for {
		for _, t := range list {
			p.options.server.backend.Load(&t.x.req.query)
			p.replied(t)
		}
		if r.idle.Add(1) > idleReaders {
			r.idle.Add(-1)
			return
		}
		select {
		case list = <-r.work:
			r.idle.Add(-1)
		case <-p.stopping: // more work gets a goroutine of its own
			return
		}
	}
}
