package httpfront

import (
	"net"
	"slices"
	"strings"
	"time"

	"copse/statemachine/tree"

	"github.com/valyala/fasthttp"
)

// serveWatch registers the watch and takes the connection out of fasthttp, as
// soon as what came before on it is answered. Events may overtake that.
func (s *Server) serveWatch(ctx *fasthttp.RequestCtx, w *watchRequest) {
	c, ok := ctx.Conn().(*conn)
	if !ok {
		writeError(ctx, &tree.Error{Code: tree.CodeRaftInternal, Cause: "watches need a plain socket"})
		return
	}
	http11 := ctx.Request.Header.IsHTTP11()
	p := newParked(s.parker, w)
	p.chunked = http11
	p.keepAlive = http11 && !ctx.Request.Header.ConnectionClose()
	st, err := s.register(p)
	if err != nil {
		writeError(ctx, err)
		return
	}
	c.expect(p)
	head := s.appendWatchHead(nil, ctx, st)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(buffered net.Conn) { c.handOver(buffered, head) })
}

// newParked makes of w a watch that can be registered.
func newParked(p *parker, w *watchRequest) *parked {
	k := &parked{
		parker: p,
		watch: tree.Watch{
			Key:       strings.Clone(w.key), // it outlives the request
			Recursive: w.recursive,
			Stream:    w.stream,
			Since:     w.since,
		},
	}
	k.watch.Sink = k
	return k
}

// register begins the watch.
func (s *Server) register(p *parked) (tree.State, *tree.Error) {
	st, err := s.backend.Watch(&p.watch)
	if err != nil && err.Code == tree.CodeEventIndexClosed {
		s.meter.outdated.Add(1)
	}
	return st, err
}

// watch parks a caller without fasthttp. Registering may take a look at the disk,
// so it has a goroutine of its own for that long.
func (w *worker) watch(c *caller, r watchRequest, data []byte, size int) progress {
	if p := w.send(c, data); p != again {
		return p
	}
	s, began := w.server, w.began
	p := newParked(s.parker, &r)
	p.chunked, p.keepAlive = true, true
	rest := slices.Clone(data[size:])
	if err := c.leave(); err != nil {
		_ = c.Conn.Close() // it can't be told apart from a client that has left
		return departed
	}
	conn, fd, detours := c.Conn, c.fd, c.detours
	s.parker.arriving.Add(1)
	s.conns.serving.Go(func() {
		defer s.parker.arriving.Done()
		st, err := s.register(p)
		if err != nil {
			s.meter.count(routeWatch, methodGet, status(err.Code), time.Since(began))
			s.refuseWatch(conn, rest, detours, err)
			return
		}
		s.meter.count(routeWatch, methodGet, fasthttp.StatusOK, time.Since(began))
		var room [512]byte
		head := s.appendHead(room[:0], fasthttp.StatusOK, -1, st, s.now())
		sock := &socket{Conn: conn, fd: fd, rest: rest}
		n, _ := writeSocket(fd, head) // the parker's next write meets the same error
		s.parker.take(p, &arrival{sock: sock, head: slices.Clone(head[n:])})
	})
	return departed
}

// refuseWatch answers a watch that isn't to be, and has the connection served
// further.
func (s *Server) refuseWatch(c net.Conn, rest []byte, detours uint8, err *tree.Error) {
	if c.SetWriteDeadline(time.Now().Add(s.opts.WriteTimeout)) != nil {
		_ = c.Close()
		return
	}
	if _, err := c.Write(s.appendFailure(nil, err, s.now())); err != nil || s.conns.closing.Load() {
		_ = c.Close() // who has left needs no answer
		return
	}
	if len(rest) > 0 || !s.home(c, detours, false) {
		s.serveSlowly(c, rest, detours)
	}
}
