package httpfront

import (
	"bufio"

	"github.com/valyala/fasthttp"

	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

// turn is a request that the poll loop serves.
type turn struct {
	ctx     fasthttp.RequestCtx
	x       exchange
	uri     fasthttp.URI
	of      *parked
	outcome outcome
	// Of a turn that waits.
	request   []byte // all of it, of a read
	grant     grant
	claimed   int64      // bytes of a large answer, until its connection has them
	reply     tree.Reply // to a write; to a read that others have confirmed, at most an error
	written   func(tree.Reply)
	confirmed func(error)
}

// outcome is what has become of a turn.
type outcome uint8

const (
	served    outcome = iota
	submitted         // it waits for a reply, of the shard or of other members
	unread            // it waits until a reader has brought what it asks for into memory
	mayBlock          // nothing has been done: a goroutine has to
)

// leave is called before what may block. In the poll loop it leaves the request to a goroutine, and
// returns true.
func leave(ctx *fasthttp.RequestCtx) bool {
	t := ctx.Conn().(*conn).turn
	if t != nil {
		t.outcome = mayBlock
	}
	return t != nil
}

// begin makes v ready.
func (v *serving) begin(p *pollLoop) {
	v.in = make([]byte, 0, readSize)
	v.parser = bufio.NewReaderSize(nil, 2*smallRoom)
	v.writer = bufio.NewWriterSize(&v.out, writeBuffer)
	v.turn = v.next(p)
}

// next returns a turn that is free.
func (v *serving) next(p *pollLoop) (t *turn) {
	if n := len(v.spare); n > 0 {
		t, v.spare = v.spare[n-1], v.spare[:n-1]
		return t
	}
	t = new(turn)
	t.written = func(r tree.Reply) {
		if t.reply = r; r.Late == nil || t.x.req.brief(&r) {
			p.replied(t)
			return
		}
		past := t.holdPast(p.options.heads.inFlight)
		p.running.Go(func() { // the shard and the loop have others to serve; run waits for all replies
			t.printLate(p.options.heads.inFlight)
			p.options.heads.inFlight.Give(inflight.Past, past)
			p.replied(t)
		})
	}
	t.confirmed = func(err error) {
		if err != nil {
			t.reply.Err = tree.Unavailable(err)
		}
		p.replied(t)
	}
	return t
}

// holdPast counts the values that the reply holds, and returns how many bytes these are. If they alone are more than
// may wait beside what they wait for, or too many replies do, it leaves them to the window of events instead.
func (t *turn) holdPast(budget *inflight.Budget) int64 {
	t.reply.Late = t.reply.Late.Apart()
	past := int64(t.reply.Late.Held())
	if budget.Most(inflight.Past, past) == past && budget.Take(inflight.Past, past, 0) {
		return past
	}
	t.reply.Leave()
	return 0
}

// printLate prints the reply once there is room for that.
func (t *turn) printLate(budget *inflight.Budget) {
	if making := t.x.making(&t.reply); budget.Take(inflight.Answers, making, bodyPatience) {
		t.claimed = making
		t.x.print(&t.reply)
	} else {
		t.reply.NoAnswer()
	}
}

// replied hands t, which has its reply, to run.
func (p *pollLoop) replied(t *turn) {
	p.replies <- t // there is room for all
	p.poller.ring()
}

// serveTurn is handle for a request of the poll loop, which reads and writes for itself. What would
// end the connection is left to a goroutine.
func (s *Server) serveTurn(t *turn, body []byte) {
	ctx, x := &t.ctx, &t.x
	h := &ctx.Request.Header
	if !h.IsHTTP11() || h.ConnectionClose() || len(h.Peek(fasthttp.HeaderExpect)) > 0 || t.uri.Parse(h.Host(), h.RequestURI()) != nil || s.conns.closing.Load() {
		t.outcome = mayBlock
		return
	}
	x.arrived = ctx.Time()
	if len(body) > 0 {
		x.body = append(x.body[:0], body...)
		ctx.Request.SetBodyRaw(x.body)
	}
	ctx.Response.Header.SetNoDefaultContentType(true)
	s.serve(ctx, x)
	switch {
	case t.outcome != served:
	case ctx.Response.ConnectionClose() || ctx.Response.IsBodyStream():
		t.outcome = mayBlock
	default:
		s.observe(ctx, x)
	}
}

// settleTurn answers a request of the poll loop that has its reply.
func (s *Server) settleTurn(t *turn) {
	ctx, x := &t.ctx, &t.x
	switch q := &x.req.query; {
	case x.req.kind == kindWrite:
		ctx.Conn().(*conn).answer += t.claimed
		s.answerWrite(ctx, x, &t.reply)
	case t.reply.Err != nil:
		writeError(ctx, t.reply.Err)
	default:
		q.Quorum, q.MaxStale = false, 0
		if s.serveRead(ctx, x, t.grant); t.outcome != served {
			return
		}
	}
	s.observe(ctx, x)
	if s.conns.closing.Load() {
		t.ctx.SetConnectionClose()
	}
}

// print adds the answer to what is to be sent.
func (l *parkedConns) print(t *turn) {
	t.ctx.Response.SkipBody = t.ctx.IsHead()
	_ = t.ctx.Response.Write(l.writer) // to memory
	_ = l.writer.Flush()
}

// spareTurn keeps t for another request.
func (l *parkedConns) spareTurn(t *turn) {
	if l.free(t); len(l.spare) < spareLimit {
		l.spare = append(l.spare, t)
	}
}

// free makes t ready for the next request.
func (l *parkedConns) free(t *turn) {
	t.x.reset(l.options.server.dropBody(&t.ctx, &t.x))
	t.ctx.Request.Reset()
	t.ctx.Response.Reset()
	t.of, t.reply, t.claimed = nil, tree.Reply{}, 0
	t.grant.path, t.grant.under = "", nil
}
