package httpfront

import (
	"cmp"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

// Bodies of requests are read here rather than by fasthttp, which would make room for
// each as soon as its length is known, whatever the sum.

const (
	// freeBody is the size up to which a body needs no admission: fasthttp has read as
	// much, with the head, into a buffer that the connection has anyway.
	freeBody = 8 << 10
	// bodyCopies is how often a body is in memory on its way: here, in the submission, the
	// batch and the raft entry, in the log's write and the store's, and in the event.
	bodyCopies = 8
	// givenAnswer is the size up to which the answer to a write that was made is given in any case.
	givenAnswer = 64 << 10
	// dropPiece is how much is read at once of a body for which there is no memory, by so many.
	dropPiece = 64 << 10
	droppers  = 64
	// bodyPatience is how long a body waits for its turn.
	bodyPatience = 5 * time.Second
)

var errBusy = errors.New("etcdserver: too many requests: those under way hold as much memory as they may")

// holdBack makes fasthttp leave a large body to readBody, but for a byte.
func holdBack(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	if h.ContentLength() > freeBody {
		c.MaxRequestBodySize = 1
	}
	return c
}

// readBody reads the body of the request, if it has one, so that ctx.Request.Body returns
// it. If it can't, it answers the request and returns false.
func (s *Server) readBody(ctx *fasthttp.RequestCtx, x *exchange) bool {
	c := ctx.Conn().(*conn)
	x.arrived, c.arrived = cmp.Or(c.arrived, ctx.Time()), time.Time{}
	if c.answer != 0 { // that of a pipelined request, which has been written
		s.inFlight.Give(inflight.Answers, c.answer)
		c.answer = 0
	}
	stream := ctx.RequestBodyStream()
	if stream == nil {
		return true
	}
	length := ctx.Request.Header.ContentLength() // negative: in chunks
	most := s.opts.MaxRequestBytes + bodySlack
	if length > most {
		s.refuseBody(ctx, stream, fasthttp.ErrBodyTooLarge)
		return false
	}
	b := bodyReader{budget: s.inFlight, used: &s.bodies, x: x, from: stream, most: most}
	err := b.read(length)
	if err == nil && c.cut { // fasthttp doesn't mind if it is in the trailers
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		s.refuseBody(ctx, stream, err)
		return false
	}
	ctx.Request.SetBodyRaw(x.body)
	if length < 0 || length > freeBody {
		x.arrived = time.Now()
	}
	return true
}

// dropBody lets go of the body, and of what was held for it, once it is no longer needed.
func (s *Server) dropBody(ctx *fasthttp.RequestCtx, x *exchange) (kept []byte) {
	ctx.Request.ResetBody()
	kept = x.body[:0]
	if cap(kept) > pooledBodyLimit {
		large := kept // one that escapes only here
		s.bodies.Put(&large)
		kept = nil
	}
	s.inFlight.Give(inflight.Bodies, x.held) // last, for who waits for that can use the buffer
	return kept
}

// holdAnswer prints the answer to a write, or leaves that to who sends it part by part, and counts it until its
// client has taken it. The write has been made: without room, a large answer says so.
func (s *Server) holdAnswer(c *conn, x *exchange, reply *tree.Reply) {
	late := reply.Late
	if late == nil {
		if x.print(reply); !c.hold(len(reply.JSON)) {
			reply.NoAnswer()
		}
		return
	}
	switch held := c.hold(late.Held()); {
	case !held:
		reply.Leave() // they wait for room without holding any
	case !late.IsLeft() && !x.req.cmd.Asked.Base64:
		return
	case late.IsLeft() && !x.req.cmd.Asked.Base64 && c.Take(late.Length()):
		reply.Read()
		return
	}
	if c.Take(int(x.making(reply))) {
		x.print(reply)
	} else {
		reply.NoAnswer()
	}
}

// hold counts bytes of an answer that is there already, unless there is no room for them. It doesn't wait: they would
// be there meanwhile, and not counted.
func (c *conn) hold(bytes int) bool {
	switch budget := c.loop.options.heads.inFlight; {
	case bytes <= freeBody:
		return true
	case bytes <= givenAnswer:
		budget.Add(inflight.Answers, int64(bytes))
	case !budget.Hold(inflight.Answers, int64(bytes)):
		return false
	}
	c.answer += int64(bytes)
	return true
}

// Take implements tree.Query's Room: it counts what the answer to a read will take, until its client has
// taken it.
func (c *conn) Take(bytes int) bool {
	budget := c.loop.options.heads.inFlight
	need := budget.Most(inflight.Answers, c.answer+int64(bytes))
	if need <= c.answer {
		return true
	}
	if !budget.Take(inflight.Answers, need-c.answer, bodyPatience) {
		return false
	}
	c.answer = need
	return true
}

// bodyReader reads one body into its exchange.
type bodyReader struct {
	budget *inflight.Budget
	used   *sync.Pool
	x      *exchange
	from   io.Reader
	most   int
}

// read reads a body whose length is known, or negative.
func (b *bodyReader) read(length int) error {
	x := b.x
	x.body = x.body[:0]
	if err := b.grow(max(length, 512)); err != nil {
		return err
	}
	for {
		if len(x.body) == cap(x.body) {
			if err := b.grow(2 * cap(x.body)); err != nil {
				return err
			}
		}
		n, err := b.from.Read(x.body[len(x.body):cap(x.body)])
		x.body = x.body[:len(x.body)+n]
		switch {
		case len(x.body) > b.most:
			return fasthttp.ErrBodyTooLarge
		case length >= 0 && len(x.body) == length:
			return nil
		case err == io.EOF && length < 0:
			return nil
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
}

// grow makes room for a body of so many bytes, or what a buffer that is used again has room for: that is
// what it takes, and what may be read into it.
func (b *bodyReader) grow(size int) error {
	x := b.x
	more := b.claim(size)
	if !b.budget.Take(inflight.Bodies, more, bodyPatience) {
		return errBusy
	}
	x.held += more
	switch used := b.again(size); { // those who had the memory before may just have given one back
	case used != nil:
		x.body = append((*used)[:0], x.body...)
	case size > cap(x.body):
		x.body = append(make([]byte, 0, size), x.body...)
	}
	return nil
}

// claim is how much more a body of so many bytes takes than is held for it; 0: nothing.
func (b *bodyReader) claim(size int) int64 {
	if size <= freeBody {
		return 0
	}
	return max(0, b.budget.Most(inflight.Bodies, int64(size)*bodyCopies)-b.x.held)
}

// again returns a buffer for so many bytes that has been used, or nil. Fresh memory would have to be cleared. It
// is held as a whole, so it may neither be far too large nor take more than there is room for.
func (b *bodyReader) again(size int) *[]byte {
	if size <= pooledBodyLimit {
		return nil
	}
	used, ok := b.used.Get().(*[]byte)
	if !ok {
		return nil
	}
	more := b.claim(cap(*used))
	if cap(*used) < size || cap(*used) > 2*size || !b.budget.Try(inflight.Bodies, more) {
		b.used.Put(used)
		return nil
	}
	b.x.held += more
	return used
}

// refuseBody answers a request whose body isn't served, after reading what is left of it:
// closing a connection with unread data may lose the answer.
func (s *Server) refuseBody(ctx *fasthttp.RequestCtx, stream io.Reader, why error) {
	var netErr net.Error
	switch {
	case errors.Is(why, errBusy):
		err := s.drop(stream) // within the time that the request has anyway
		s.setCommonHead(ctx)
		writeError(ctx, tree.Unavailable(errBusy))
		if err == nil {
			return
		}
	case errors.Is(why, fasthttp.ErrBodyTooLarge):
		s.skim(ctx, stream, drainBodyLimit)
		s.setCommonHead(ctx)
		writeError(ctx, invalid(tree.CodeInvalidForm, errBodyTooLarge.Error()))
	case errors.As(why, &netErr) && netErr.Timeout():
		// An answer could be taken for that of the next request, so there is none.
		_ = ctx.Conn().Close()
	default:
		refuse(ctx, fasthttp.StatusBadRequest, "")
	}
	ctx.Conn().(*conn).torn.Store(true)
	ctx.SetConnectionClose()
}

// drop reads and drops what the client still sends. Requests that came together are refused
// together, so most of them use long pieces: others have to wait until all is read.
func (s *Server) drop(from io.Reader) (err error) {
	select {
	case s.droppers <- struct{}{}:
		defer func() { <-s.droppers }()
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, from, make([]byte, dropPiece))
	default:
		_, err = io.Copy(io.Discard, from)
	}
	return err
}

// skim reads and drops what the client still sends of an oversized request, within limits.
func (s *Server) skim(ctx *fasthttp.RequestCtx, from io.Reader, left int) {
	start := time.Now()
	buf := make([]byte, 32<<10)
	for left > 0 {
		deadline := earlier(time.Now().Add(drainPause), start.Add(s.opts.ReadTimeout))
		if err := ctx.Conn().SetReadDeadline(deadline); err != nil {
			return
		}
		n, err := from.Read(buf[:min(len(buf), left)])
		left -= n
		if err != nil {
			return
		}
	}
}
