package httpfront

import (
	"io"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

// Header names as etcd spells them on the wire.
var (
	headerClusterID = []byte("X-Etcd-Cluster-Id")
	headerEtcdIndex = []byte("X-Etcd-Index")
	headerRaftIndex = []byte("X-Raft-Index")
	headerRaftTerm  = []byte("X-Raft-Term")

	typeJSON = []byte("application/json")
	http10   = []byte("HTTP/1.0")

	typePlain = []byte("text/plain; charset=utf-8")
)

// setCommonHead sets what setHead does, and the headers of CORS.
func (s *Server) setCommonHead(ctx *fasthttp.RequestCtx) {
	s.setHead(ctx)
	s.setCORS(ctx)
}

// setHead sets the headers of every answer, and answers an HTTP/1.0 client in its version.
func (s *Server) setHead(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	if !ctx.Request.Header.IsHTTP11() {
		h.SetProtocol(http10)
	}
	h.SetCanonical(headerClusterID, s.clusterID())
}

// clusterID returns the cluster's id as v2 prints it: hex, without leading
// zeros.
func (s *Server) clusterID() []byte {
	if ids := s.ids(); ids != nil {
		return ids.cluster
	}
	return []byte{'0'}
}

// setState sets the headers of a key answer that isn't an error.
func setState(ctx *fasthttp.RequestCtx, st tree.State) {
	ctx.Response.Header.SetContentTypeBytes(typeJSON)
	setPosition(ctx, st)
}

// setPosition sets the headers that say how far this member has come.
func setPosition(ctx *fasthttp.RequestCtx, st tree.State) {
	h := &ctx.Response.Header
	setNumber(h, headerEtcdIndex, uint64(st.Index))
	setNumber(h, headerRaftIndex, st.RaftIndex)
	setNumber(h, headerRaftTerm, st.RaftTerm)
}

func setNumber(h *fasthttp.ResponseHeader, name []byte, n uint64) {
	var digits [20]byte
	h.SetCanonical(name, strconv.AppendUint(digits[:0], n, 10))
}

// watchHead returns the head of an answer on a connection that leaves fasthttp.
func (s *Server) watchHead(ctx *fasthttp.RequestCtx, t *terms, st tree.State) *watchHead {
	h := &watchHead{http11: ctx.Request.Header.IsHTTP11(), close: ctx.Request.Header.ConnectionClose(), state: st}
	for _, f := range s.cors.fields(ctx) {
		h.fields = append(appendField(h.fields, f.name), f.value...)
	}
	if t != nil && t.sse {
		h.fields = append(h.fields, "\r\nContent-Type: "+typeSSE+"\r\nCache-Control: no-store"...)
	} else {
		h.fields = append(h.fields, "\r\nContent-Type: application/json"...)
	}
	h.fields = append(appendField(h.fields, headerClusterID), s.clusterID()...)
	if tag := tagOf(ctx); tag != nil {
		h.fields = append(appendField(h.fields, headerETag), tag...)
	}
	return h
}

func appendField(dst, name []byte) []byte {
	dst = append(dst, '\r', '\n')
	dst = append(dst, name...)
	return append(dst, ':', ' ')
}

// takeBody takes the body buffer out of the response, to append to. ctx.Response.SwapBody
// puts it back.
func takeBody(ctx *fasthttp.RequestCtx) []byte {
	return ctx.Response.SwapBody(nil)[:0]
}

// listingTimeouts bounds the time of a whole listing, in write timeouts.
const listingTimeouts = 10

// listing streams an answer that is too long for one buffer. fasthttp reads it to the end
// or until the client fails, and closes it in either case.
type listing struct {
	ctx     *fasthttp.RequestCtx
	timeout time.Duration // for the client to take one part
	end     time.Time     // of its time
	part    []byte        // the last one of rest
	sent    int           // of part
	more    bool
	rest    tree.Rest // nil when closed
}

func (l *listing) Read(p []byte) (int, error) {
	for l.sent == len(l.part) {
		if !l.more {
			return 0, io.EOF
		}
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.part[l.sent:])
	l.sent += n
	return n, nil
}

// next gets the next part. After an error fasthttp closes the connection before the last
// chunk, so that the client notices that something is missing.
func (l *listing) next() error {
	var err error
	l.part, l.more, err = l.rest.Next()
	l.sent = 0
	if err != nil || l.timeout <= 0 {
		return err
	}
	// The write timeout is for one part, so that a listing may be long; the whole has a limit
	// too, for it pins the store.
	return l.ctx.Conn().SetWriteDeadline(earlier(time.Now().Add(l.timeout), l.end))
}

// SupportsBodyWriteTo tells fasthttp that WriteTo may replace Read.
func (l *listing) SupportsBodyWriteTo() bool { return true }

// WriteTo writes whole parts. Through Read they would go in chunks of 4 KiB, with a system
// call for each.
func (l *listing) WriteTo(w io.Writer) (written int64, err error) {
	for {
		if l.sent < len(l.part) {
			n, err := w.Write(l.part[l.sent:])
			l.sent += n
			written += int64(n)
			if err != nil {
				return written, err
			}
		}
		if !l.more {
			return written, nil
		}
		if err := l.next(); err != nil {
			return written, err
		}
	}
}

func (l *listing) Close() error {
	if l.rest != nil {
		l.rest.Close()
		l.rest, l.more, l.part, l.sent = nil, false, nil, 0
	}
	return nil
}

// setListing makes head and all parts of rest the body.
func (s *Server) setListing(ctx *fasthttp.RequestCtx, head []byte, rest tree.Rest, st tree.State) {
	if !ctx.Request.Header.IsHTTP11() {
		s.sendListing(ctx, head, rest, st)
		return
	}
	s.stream(ctx, head, rest, listingTimeouts*s.opts.WriteTimeout)
}

// stream makes head and all parts of rest the body, which the client has to take within
// limit.
func (s *Server) stream(ctx *fasthttp.RequestCtx, head []byte, rest tree.Rest, limit time.Duration) {
	l := &listing{ctx: ctx, timeout: s.opts.WriteTimeout, end: time.Now().Add(limit), part: head, more: true, rest: rest}
	size := rest.Size()
	if size >= 0 {
		size += len(head)
	}
	ctx.Response.SetBodyStream(l, size)
}

// sendListing writes a listing to an HTTP/1.0 client, for which fasthttp would use chunks,
// unknown to that version. The end of the connection ends the body.
func (s *Server) sendListing(ctx *fasthttp.RequestCtx, part []byte, rest tree.Rest, st tree.State) {
	defer rest.Close()
	c := ctx.Conn()
	defer c.Close()
	end := time.Now().Add(listingTimeouts * s.opts.WriteTimeout)
	send := func(b []byte) error {
		if err := c.SetWriteDeadline(earlier(time.Now().Add(s.opts.WriteTimeout), end)); err != nil {
			return err
		}
		_, err := c.Write(b)
		return err
	}
	err := send(s.watchHead(ctx, nil, st).append(nil, st.Index, ctx.Time()))
	for more := !ctx.IsHead(); more && err == nil; {
		if err = send(part); err == nil {
			part, more, err = rest.Next()
		}
	}
	if err == nil && !ctx.IsHead() {
		_ = send(part) // the client sees that the connection ends
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
