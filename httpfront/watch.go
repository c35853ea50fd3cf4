package httpfront

import (
	"net"
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
		loop:      s.conns.loop,
		chunked:   http11,
		keepAlive: http11 && !ctx.Request.Header.ConnectionClose(),
		watch: tree.Watch{
			Key:       keyOf(g.path),
			Recursive: g.recursive,
			Stream:    x.req.watch.stream,
			Since:     x.req.watch.since,
		},
		grant: g,
	}
	p.watch.Sink = p
	st, err := s.backend.Watch(&p.watch)
	if err != nil {
		if err.Code == tree.CodeEventIndexClosed {
			s.meter.outdated.Add(1)
			s.noteOutdated(ctx, &p.watch, err)
		}
		writeError(ctx, err)
		return
	}
	c.expect(p)
	head := s.appendWatchHead(nil, ctx, st)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(buffered net.Conn) { c.handOver(buffered, head) })
}
