package httpfront

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reactor serves the requests that come all the time, reads and writes of keys,
// without a goroutine for each connection. It waits for many sockets at once
// (epoll), reads what has come, and answers what it can at once, many requests
// with one write if they came together. What has to wait for raft is asked for,
// and answered by whoever brings the outcome; everything else, and whatever
// isn't plain HTTP/1.1, goes to fasthttp, which hands the connection back when it
// has answered.
//
//	listener ─▶ reactor ─▶ answered at once
//	    ▲         │  ▲──────── outcome ◀─ Backend.Ask
//	    │         ├──┴─ back ◀ fasthttp, parker
//	 client       └────▶ else
//
// A caller is a connection here. One goroutine at a time holds it: the reactor's
// own, that of an answer, or fasthttp's. What happens on the socket meanwhile is
// noted, and looked at by the holder before it lets go. Only the holder closes
// a socket, so nobody ever writes to a file that has got its number since.
type reactor struct {
	// Fixed after newReactor.
	server *Server
	fd     int
	file   *os.File

	tick    atomic.Uint32 // sweeps so far
	answers answerQueue

	mu      sync.Mutex // guards what follows
	slots   []*caller
	free    []int32
	serial  int32
	callers int
	closed  bool
}

// sweepInterval is how often connections are looked at for being idle too long;
// more often if a time-out is short.
const sweepInterval = time.Second

// reactors are all of a server's, each with a share of the connections.
type reactors struct {
	all     []*reactor
	next    atomic.Uint32
	running sync.WaitGroup
}

// newReactors starts a reactor for each processor.
func newReactors(s *Server) (*reactors, error) {
	rs := &reactors{}
	for range runtime.GOMAXPROCS(0) {
		r, err := newReactor(s)
		if err != nil {
			rs.end()
			return nil, err
		}
		rs.all = append(rs.all, r)
		rs.running.Go(r.run)
		rs.running.Go(r.answer)
	}
	return rs, nil
}

func newReactor(s *Server) (*reactor, error) {
	fd, file, err := newEpoll()
	if err != nil {
		return nil, err
	}
	return &reactor{server: s, fd: fd, file: file, answers: newAnswerQueue()}, nil
}

// adopt gives a connection to one of the reactors; it reports false if that
// can't be, and the connection is then still the caller's of adopt.
func (rs *reactors) adopt(c net.Conn, detours uint8, fresh bool) bool {
	raw, ok := c.(syscall.Conn)
	if !ok || len(rs.all) == 0 {
		return false
	}
	r := rs.all[rs.next.Add(1)%uint32(len(rs.all))]
	return r.adopt(&caller{Conn: c, reactor: r, detours: detours, fresh: fresh}, raw)
}

func (r *reactor) adopt(c *caller, raw syscall.Conn) bool {
	sc, err := raw.SyscallConn()
	if err == nil {
		err = sc.Control(func(fd uintptr) { c.fd = int(fd) })
	}
	if err != nil {
		return false
	}
	c.since.Store(r.tick.Load())
	c.state.Store(callerHeld) // until it is in its slot
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return false
	}
	r.serial++
	if n := len(r.free); n > 0 {
		c.token = token{slot: r.free[n-1], generation: r.serial}
		r.free = r.free[:n-1]
		r.slots[c.token.slot] = c
	} else {
		c.token = token{slot: int32(len(r.slots)), generation: r.serial}
		r.slots = append(r.slots, c)
	}
	r.callers++
	r.mu.Unlock()
	c.state.Store(callerFree)
	if err := epollControl(r.fd, unix.EPOLL_CTL_ADD, c.fd, 0, c.token); err != nil {
		if c.state.CompareAndSwap(callerFree, callerHeld) {
			r.forget(c)
			return false
		}
	}
	return true
}

// forget takes a caller out of its slot. Its holder does that.
func (r *reactor) forget(c *caller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slots[c.token.slot] = nil
	r.free = append(r.free, c.token.slot)
	r.callers--
}

// run is the loop.
func (r *reactor) run() {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return // closed before it began
	}
	interval := r.interval()
	w := newWorker(r.server)
	events := make([]unix.EpollEvent, 256)
	found := make([]*caller, 0, len(events))
	swept := time.Now()
	_ = r.file.SetReadDeadline(swept.Add(interval)) // it takes deadlines: it is polled
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n = epollPoll(int(fd), events)
			return n != 0
		})
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
		default:
			return // closed
		}
		found = r.find(found[:0], events[:max(n, 0)])
		w.look()
		for _, c := range found {
			if c.hold() {
				w.serve(c)
			}
		}
		if now := time.Now(); now.Sub(swept) >= interval {
			swept = now
			r.sweep(interval)
			_ = r.file.SetReadDeadline(now.Add(interval))
		}
	}
}

// find looks up whose the events are. A token that isn't known is of a
// connection that has left since.
func (r *reactor) find(found []*caller, events []unix.EpollEvent) []*caller {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range events {
		t := tokenOf(&events[i])
		if c := r.slots[t.slot]; c != nil && c.token == t {
			if events[i].Events&(pollHalfGone|pollGone) != 0 {
				c.ending.Store(true)
			}
			found = append(found, c)
		}
	}
	return found
}

func (r *reactor) interval() time.Duration {
	interval := sweepInterval
	for _, d := range []time.Duration{r.server.opts.IdleTimeout, r.server.opts.ReadTimeout, r.server.opts.WriteTimeout} {
		if d > 0 {
			interval = max(min(interval, d/4), time.Millisecond)
		}
	}
	return interval
}

// sweep closes the connections that have done nothing for too long.
func (r *reactor) sweep(interval time.Duration) {
	tick := r.tick.Add(1)
	ticks := func(d time.Duration) uint32 { return uint32((d + interval - 1) / interval) }
	o := &r.server.opts
	idle, read, write := ticks(o.IdleTimeout), ticks(o.ReadTimeout), ticks(o.WriteTimeout)
	for _, c := range r.list() {
		least := min(idle, read, write)
		if tick-c.since.Load() <= least || !c.state.CompareAndSwap(callerFree, callerHeld) {
			continue
		}
		limit := idle
		switch {
		case len(c.out) > 0:
			limit = write
		case len(c.in) > 0 || c.fresh:
			limit = read
		}
		if limit > 0 && tick-c.since.Load() > limit {
			c.close()
		} else if !c.release() {
			r.answers.add(c) // something has come meanwhile
		}
	}
}

// count returns how many connections have a request under way, and how many wait
// for one.
func (rs *reactors) count() (active, idle int) {
	for _, r := range rs.all {
		for _, c := range r.list() {
			if c.state.Load() == callerFree {
				idle++
			} else {
				active++
			}
		}
	}
	return active, idle
}

func (r *reactor) list() []*caller {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*caller, 0, r.callers)
	for _, c := range r.slots {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

// answer answers those whose outcome has come in a crowd, and goes on with
// whoever has asked for more meanwhile.
func (r *reactor) answer() {
	w := newWorker(r.server)
	var batch []*caller
	for {
		batch = r.answers.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		w.look()
		for i, c := range batch {
			w.serve(c)
			batch[i] = nil
		}
	}
}

// stop closes connections as they fall idle, all of them once ctx has ended, and
// returns when no loop and no connection is left.
func (rs *reactors) stop(ctx context.Context) error {
	for _, r := range rs.all {
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
	}
	const interval = 10 * time.Millisecond
	again := time.NewTicker(interval)
	defer again.Stop()
	expired := ctx.Done()
	var err error
	for !rs.shed(err != nil) {
		select {
		case <-expired:
			err, expired = ctx.Err(), nil
		case <-again.C:
		}
	}
	rs.end()
	return err
}

// end ends the loops.
func (rs *reactors) end() {
	for _, r := range rs.all {
		r.answers.close()
		_ = r.file.Close() // nothing was written to it
	}
	rs.running.Wait()
}

// shed closes the connections that wait for a request, all of those that nobody
// holds if asked to, and reports whether none is left.
func (rs *reactors) shed(all bool) (none bool) {
	none = true
	for _, r := range rs.all {
		for _, c := range r.list() {
			if !c.state.CompareAndSwap(callerFree, callerHeld) {
				none = false
				if all {
					_ = c.SetWriteDeadline(time.Unix(1, 0)) // who waits for the client gives up
				}
				continue
			}
			if all || len(c.out) == 0 && len(c.in) == 0 {
				c.close()
				continue
			}
			none = false
			if !c.release() {
				r.answers.add(c)
			}
		}
	}
	return none
}

// answerQueue holds callers who are to be served on: each is in it once at
// most, so it never holds more than there are connections.
type answerQueue struct {
	mu     sync.Mutex
	list   []*caller
	closed bool
	bell   chan struct{}
}

func newAnswerQueue() answerQueue { return answerQueue{bell: make(chan struct{}, 1)} }

// add never waits. The caller is held by whoever calls this.
func (q *answerQueue) add(c *caller) {
	q.mu.Lock()
	q.list = append(q.list, c)
	first := len(q.list) == 1
	q.mu.Unlock()
	if first {
		q.ring()
	}
}

func (q *answerQueue) ring() {
	select {
	case q.bell <- struct{}{}:
	default: // it rings already
	}
}

// take waits for callers; none means that the queue is closed.
func (q *answerQueue) take(into []*caller) []*caller {
	for {
		q.mu.Lock()
		into = append(into, q.list...)
		clear(q.list)
		q.list = q.list[:0]
		closed := q.closed
		q.mu.Unlock()
		if len(into) > 0 || closed {
			return into
		}
		<-q.bell
	}
}

func (q *answerQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.ring()
}
