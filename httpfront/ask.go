package httpfront

import (
	"sync"
	"time"

	"copse/statemachine/tree"

	"github.com/valyala/fasthttp"
)

// ask is a write, or a linearizable read, that a caller waits for. It is the
// tree.Asker of its own command, and keeps what that refers to.
type ask struct {
	server  *Server
	caller  *caller
	began   time.Time
	method  method
	cmd     tree.Command
	query   tree.Query // of a read
	reads   bool
	noValue bool
	text    []byte // key and values
	out     []byte
	reply   tree.Reply
}

// asks is a pool of them.
type asks struct{ pool sync.Pool }

func (as *asks) get() *ask {
	if a, ok := as.pool.Get().(*ask); ok {
		return a
	}
	return new(ask)
}

// askSlack is how large a buffer may be to be used again.
const askSlack = 16 << 10

// free gives the ask back; nobody may use it any more.
func (a *ask) free() {
	s := a.server
	*a = ask{text: a.text[:0], out: a.out[:0]}
	if cap(a.text) <= askSlack && cap(a.out) <= askSlack {
		s.asks.pool.Put(a)
	}
}

// keep copies b, so that it outlives the bytes of the request.
func (a *ask) keep(b []byte) []byte {
	start := len(a.text)
	a.text = append(a.text, b...)
	return a.text[start:len(a.text):len(a.text)]
}

// write makes it a write of r's. The caller is held until it is answered.
func (a *ask) write(s *Server, c *caller, r *request) {
	a.server, a.caller, a.noValue, a.cmd = s, c, r.noValue, r.cmd
	if n := len(r.cmd.Key) + len(r.cmd.Value) + len(r.cmd.PrevValue); cap(a.text) < n {
		a.text = make([]byte, 0, n) // what is kept doesn't move
	}
	a.cmd.Key = view(a.keep([]byte(r.cmd.Key)))
	a.cmd.Value = a.keep(r.cmd.Value)
	a.cmd.PrevValue = view(a.keep([]byte(r.cmd.PrevValue)))
}

// read makes it a linearizable read.
func (a *ask) read(s *Server, c *caller, q tree.Query) {
	a.server, a.caller, a.reads, a.query = s, c, true, q
	a.query.Key = view(a.keep([]byte(q.Key)))
	a.query.Quorum = false
}

// fewAskers are answered one after the other by who brings their outcomes: to
// wake somebody else would take longer.
const fewAskers = 4

// Answer implements tree.Asker.
func (a *ask) Answer(r tree.Reply, crowd int) {
	a.reply = r
	c := a.caller
	if crowd > fewAskers || a.reads {
		c.ask = a
		c.reactor.answers.add(c)
		return
	}
	a.out = a.append(a.out[:0])
	n, err := writeSocket(c.fd, a.out)
	gone := err == nil && n < len(a.out) && !c.leaveUnsent(a.out[n:])
	a.free()
	switch {
	case gone:
	case err != nil, len(c.out) == 0 && len(c.in) == 0 && c.reactor.server.conns.closing.Load():
		c.close()
	case len(c.out) == 0 && len(c.in) > 0, !c.release():
		c.reactor.answers.add(c)
	}
}

// append appends the answer to a write, or to a read that can't be done, head
// and all.
func (a *ask) append(dst []byte) []byte {
	s, key := a.server, a.cmd.Key
	r := slowRequest{
		began: a.began, method: a.method, route: routeKeys, code: fasthttp.StatusOK,
		queued: a.reply.Queued, applied: a.reply.Applied, size: len(a.reply.JSON),
	}
	if a.reads {
		key, r.route = a.query.Key, routeQuorum
	}
	switch {
	case a.reply.Err != nil:
		r.code = status(a.reply.Err.Code)
	case a.reply.Created:
		r.code = fasthttp.StatusCreated
	}
	s.served(r, key)
	return s.appendReply(dst, &a.reply, a.noValue, s.now())
}
