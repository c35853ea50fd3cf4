package httpfront

import (
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

// exchange is the state of one request beside fasthttp's. It is pooled, so that a plain
// read or write allocates nothing here.
type exchange struct {
	method method
	route  routeID
	query  []byte
	params params
	req    request
	tag    tree.Tag
	// arrived is when the request had been read.
	arrived time.Time
	body    []byte
	held    int64 // of the budget, for the body
	// queued and applied are the times that the shard took for a write.
	queued, applied time.Duration
	// printed says that the reply has the JSON that its client wants.
	printed bool
}

// reset makes x ready for the next request, with the buffers that are kept.
func (x *exchange) reset(body []byte) {
	*x = exchange{body: body, tag: tree.Tag{Known: tree.Known{At: x.tag.Known.At[:0]}}}
}

// keyWeightLimit bounds the cost of one key: all directories above it may be created with
// it, each stored under its whole path. It allows a key of 32 KiB 512 levels, and one of
// single letters 2,900.
const keyWeightLimit = 16 << 20

func tooDeep(key string) bool { return keyWeight(key) > keyWeightLimit }

// keyWeight is about how many bytes the paths of all directories above key have.
func keyWeight(key string) int { return strings.Count(key, "/") * len(key) }

// serveKeys serves /v2/keys and below. sent is the clean path behind that; it may be empty
// or end in a slash.
func (s *Server) serveKeys(ctx *fasthttp.RequestCtx, x *exchange, sent string) {
	if !allow(ctx, x.method, allowKeys) {
		return
	}
	key := keyOf(sent)
	if tooDeep(key) {
		writeError(ctx, invalid(tree.CodeInvalidField, "the key is too deep"))
		return
	}
	in := input{
		method:    x.method,
		key:       key,
		query:     x.query,
		bodyLimit: s.opts.MaxRequestBytes,
		now:       s.arrival(x),
	}
	if x.method == methodPut || x.method == methodPost {
		in.contentType, in.body = contentType(ctx), ctx.Request.Body()
	}
	if err := x.req.parse(&x.params, &in); err != nil {
		writeError(ctx, err)
		return
	}
	s.bodyTypes.look(ctx, &in, &x.params)
	switch x.req.kind {
	case kindWatch:
		x.route = routeWatch
	case kindRead:
		if x.req.query.Quorum {
			x.route = routeQuorum
		}
		if x.req.query.Confirmed() {
			x.req.query.Authorization = view(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization))
		}
	case kindWrite:
		x.req.cmd.Asked.Authorization = view(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization))
	}
	first, more := need{x.req.access(), sent, x.req.recursive}, []need(nil)
	if w := &x.req.watch; x.req.kind == kindWatch && len(w.prefixes) > 0 {
		first.path, more = w.prefixes[0], w.more(x.req.recursive)
	}
	if g, ok := s.permit(ctx, first, more...); ok {
		s.serveGranted(ctx, x, g)
	}
}

// keyOf returns the key of a clean path behind /v2/keys.
func keyOf(path string) string {
	if key := strings.TrimSuffix(path, "/"); key != "" {
		return key
	}
	return "/"
}

func (s *Server) serveGranted(ctx *fasthttp.RequestCtx, x *exchange, g grant) {
	switch x.req.kind {
	case kindWatch:
		if !leave(ctx) {
			s.serveWatch(ctx, x, g)
		}
	case kindRead:
		s.serveRead(ctx, x, g)
	case kindWrite:
		s.serveWrite(ctx, x, g)
	}
}

func (s *Server) now() time.Time {
	if s.opts.clock == nil {
		return time.Now()
	}
	return s.opts.clock()
}

// arrival is the time when the request had been read, from which times to live count.
func (s *Server) arrival(x *exchange) time.Time {
	if s.opts.clock == nil {
		return x.arrived
	}
	return s.opts.clock()
}

func (s *Server) serveRead(ctx *fasthttp.RequestCtx, x *exchange, g grant) {
	if t := ctx.Conn().(*conn).turn; t != nil && x.req.query.Confirmed() {
		if t.outcome, t.grant = submitted, g; !s.backend.Confirm(&x.req.query, t.confirmed) {
			t.outcome = mayBlock
		}
		return
	}
	body := takeBody(ctx)
	s.known(ctx, &x.tag.Known)
	x.tag.At, x.tag.Current = 0, false
	x.req.query.Tag = &x.tag
	zips := wantsGzip(ctx)
	if zips {
		x.req.query.RestFrom = gzipFrom
	}
	out, rest, st, err := s.read(ctx.Conn().(*conn), g, body, &x.req.query)
	if err == errLeft {
		ctx.Response.SwapBody(body)
		return
	}
	if !s.permitted(ctx, &g) {
		if rest != nil {
			rest.Close()
		}
		return
	}
	if err != nil {
		ctx.Response.SwapBody(body)
		writeError(ctx, err)
		return
	}
	s.setTag(ctx, &x.tag)
	if x.tag.Current {
		setPosition(ctx, st)
		if x.req.query.Raw != nil {
			setNumber(&ctx.Response.Header, headerModifiedIndex, uint64(x.req.modified))
		}
		ctx.Response.Header.SetStatusCode(fasthttp.StatusNotModified)
		ctx.Response.SwapBody(body)
		return
	}
	if x.req.query.Raw != nil {
		s.sendRaw(ctx, x, out, st)
		return
	}
	setState(ctx, st)
	if rest != nil {
		if zips {
			out, rest = s.zip(ctx, out, rest)
		}
		s.setListing(ctx, out, rest, st)
		return
	}
	ctx.Response.SwapBody(out)
}

// errLeft stands for the answer to a request that the poll loop leaves to a goroutine.
var errLeft = &tree.Error{}

// read is Backend.Get, or in the poll loop what comes without a wait.
func (s *Server) read(c *conn, g grant, dst []byte, q *tree.Query) ([]byte, tree.Rest, tree.State, *tree.Error) {
	if c.turn == nil {
		q.Room = c
		defer func() { q.Room = nil }() // q outlives the connection
		return s.backend.Get(dst, *q)
	}
	out, st, err, ok := s.backend.GetCached(dst, q)
	if !ok {
		if c.turn.outcome, err = mayBlock, errLeft; s.backend.Loads(q) {
			c.turn.outcome, c.turn.grant = unread, g
		}
	}
	return out, nil, st, err
}

func (s *Server) serveWrite(ctx *fasthttp.RequestCtx, x *exchange, _ grant) {
	if t := ctx.Conn().(*conn).turn; t != nil {
		if t.outcome = submitted; !s.backend.Submit(&x.req.cmd, t.written) {
			t.outcome = mayBlock
		}
		return
	}
	reply := s.backend.Do(&x.req.cmd)
	x.body, x.held = s.dropBody(ctx, x), 0 // the answer may need its room
	// Setting any deadline, even none, makes fasthttp send the answer at once. Otherwise it
	// keeps the answer while there is more input, which may be half a request that never ends.
	ctx.SetWriteDeadline(time.Time{})
	s.answerWrite(ctx, x, &reply)
}

func (s *Server) answerWrite(ctx *fasthttp.RequestCtx, x *exchange, reply *tree.Reply) {
	x.queued, x.applied = reply.Queued, reply.Applied
	if reply.Err == nil && !x.printed && !x.req.brief(reply) {
		s.holdAnswer(ctx.Conn().(*conn), x, reply)
	}
	if reply.Err != nil {
		writeError(ctx, reply.Err)
		return
	}
	setState(ctx, reply.State)
	if reply.Created {
		ctx.Response.Header.SetStatusCode(fasthttp.StatusCreated)
	}
	if x.req.brief(reply) {
		body := append(takeBody(ctx), `{"action":"`...)
		body = append(body, reply.Action.String()...)
		ctx.Response.SwapBody(append(body, "\"}\n"...))
		return
	}
	if reply.Late != nil {
		s.stream(ctx, nil, reply.Late.Parts(), listingTimeouts*s.opts.WriteTimeout)
		return
	}
	ctx.Response.SetBodyRaw(reply.JSON)
}
