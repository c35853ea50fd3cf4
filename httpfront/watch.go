package httpfront

import (
	"cmp"
	"math"
	"net"
	"slices"
	"strings"

	"copse/statemachine/tree"

	"github.com/valyala/fasthttp"
)

// serveWatch registers the watch and hijacks the connection, once earlier requests on it
// are answered. Events may be faster.
func (s *Server) serveWatch(ctx *fasthttp.RequestCtx, x *exchange, g grant) {
	c := ctx.Conn().(*conn)
	if !c.parkable() {
		writeError(ctx, &tree.Error{Code: tree.CodeRaftInternal, Cause: "watches need a plain socket"})
		return
	}
	g.path = strings.Clone(g.path) // the watch outlives the request
	http11 := ctx.Request.Header.IsHTTP11()
	p := &parked{
		loop:   c.loop,
		manner: manner{chunked: http11, keepAlive: http11 && !ctx.Request.Header.ConnectionClose()},
		watch:  tree.Watch{Key: keyOf(g.path), Recursive: g.recursive},
		grant:  g,
	}
	p.watch.Sink = p
	if err := s.agree(ctx, p, x); err != nil {
		writeError(ctx, err)
		return
	}
	st, err := s.backend.Watch(&p.watch)
	if err != nil && err.Code == tree.CodeEventIndexClosed && s.unchanged(ctx, g, p, &x.tag) {
		st, err = s.backend.Watch(&p.watch)
	}
	if err != nil {
		if err.Code == tree.CodeEventIndexClosed {
			s.meter.outdated.Add(1)
			s.noteOutdated(ctx, &p.watch, err)
		}
		writeError(ctx, err)
		return
	}
	c.expect(p)
	var head []byte
	if p.terms == nil || p.terms.late == nil {
		head = s.watchHead(ctx, p.terms, st).append(nil, st.Index, ctx.Time())
	}
	if p.terms != nil && p.terms.sse {
		// A browser that is cut off before the first event resumes here, too.
		head = append(head, p.chunk(appendBeat(nil, p.begin()))...)
	}
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(buffered net.Conn) { c.handOver(buffered, head) })
}

// agree decides on p's terms, and where it begins.
func (s *Server) agree(ctx *fasthttp.RequestCtx, p *parked, x *exchange) *tree.Error {
	h, w := &ctx.Request.Header, &x.req.watch
	p.watch.Stream, p.watch.Since = w.stream, w.since
	t := terms{wait: w.wait, sse: wantsSSE(ctx), as64: w.base64}
	if len(w.prefixes) > 1 {
		t.also = w.more(p.grant.recursive)
		p.watchAlso(w.prefixes[1:])
	}
	if t.sse {
		p.watch.Stream, t.beat = true, cmp.Or(w.heartbeat, heartbeat)
		// A browser repeats the whole request, with what it has seen.
		if last := h.Peek(headerLastEventID); len(last) > 0 {
			n, ok := parseDecimal(last)
			if !ok || n == math.MaxUint64 {
				return invalid(tree.CodeIndexNaN, `invalid value for "`+headerLastEventID+`"`)
			}
			p.watch.Since = tree.Index(n + 1)
		}
	}
	if x.tag = (tree.Tag{Known: tree.Known{At: x.tag.Known.At[:0]}}); p.watch.Since == 0 {
		s.known(ctx, &x.tag.Known)
	}
	if known := x.tag.Known.At; len(known) > 0 && slices.Max(known) < math.MaxUint64 {
		p.watch.Since = slices.Max(known) + 1
	}
	if !t.sse && !t.as64 && t.wait == 0 && t.also == nil {
		return nil
	}
	t.ahead = p.watch.Since > s.backend.State().Index+1
	p.terms = &t
	if t.wait > 0 && !p.watch.Stream {
		t.late = s.watchHead(ctx, &t, s.backend.State())
		if t.also == nil {
			t.known = slices.Clone(x.tag.Known.At)
		}
	}
	return nil
}

// unchanged reports whether what p waits to see change is still as the client knows it by its tags, though the
// window of events doesn't reach back that far. Then p begins behind that.
func (s *Server) unchanged(ctx *fasthttp.RequestCtx, _ grant, p *parked, tag *tree.Tag) bool {
	if len(tag.Known.At) == 0 || p.watch.Also != nil {
		return false
	}
	_, rest, st, err := s.backend.Get(nil, tree.Query{Key: p.watch.Key, Recursive: p.watch.Recursive, Tag: tag, Room: ctx.Conn().(*conn)})
	if rest != nil {
		rest.Close()
	}
	if err != nil || !tag.Current {
		return false
	}
	p.watch.Since = st.Index + 1
	return true
}

// watchAlso adds the keys of further paths.
func (p *parked) watchAlso(paths []string) {
	keys := []string{p.watch.Key}
	for _, path := range paths {
		keys = append(keys, keyOf(path))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	also := keys[1:]
	p.watch.Key, p.watch.Also = keys[0], &also
}
