package httpfront

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"copse/statemachine/tree"

	"github.com/valyala/fasthttp"
)

// answer serves the request q, the first size bytes of data: it adds the answer
// to w.out, or sees to it that somebody else gives it; the caller is then no
// longer w's.
func (w *worker) answer(c *caller, q *quickRequest, data []byte, size int) progress {
	s := w.server
	rawPath, query := splitTarget(q.target)
	decoded, ok := decodePath(rawPath)
	if !ok || !isClean(decoded) {
		return w.detour(c, data)
	}
	key, ok := strings.CutPrefix(view(decoded), keysPrefix)
	if !ok || key != "" && key[0] != '/' {
		return w.detour(c, data)
	}
	// Parsing works in place, and the request may have to be looked at again.
	w.text = append(append(w.text[:0], query...), q.body...)
	in := input{method: q.method, key: key, contentType: q.contentType, now: w.now}
	in.query, in.body = w.text[:len(query):len(query)], w.text[len(query):]
	r := &w.x.req
	w.x.method = q.method
	if err := s.understand(&w.x, &in); err != nil {
		w.out = s.appendFailure(w.out, err, w.now)
		s.meter.count(routeKeys, q.method, status(err.Code), time.Since(w.began))
		return again
	}
	switch {
	case r.kind == kindWrite, r.kind == kindRead && r.query.Quorum:
		return w.begin(c, r, data, size)
	case r.kind == kindRead:
		return w.read(c, r.query, data, size)
	default:
		return w.watch(c, r.watch, data, size)
	}
}

// read answers a plain read.
func (w *worker) read(c *caller, q tree.Query, data []byte, size int) progress {
	return w.readAs(routeKeys, w.began, c, q, data, size)
}

// readConfirmed answers a quorum read, now that it may be done.
func (w *worker) readConfirmed(c *caller, a *ask) progress {
	return w.readAs(routeQuorum, a.began, c, a.query, c.in, 0)
}

func (w *worker) readAs(route routeID, began time.Time, c *caller, q tree.Query, data []byte, size int) progress {
	s := w.server
	body, st, err, done := s.backend.Peek(w.body[:0], q)
	w.body = body
	code := fasthttp.StatusOK
	switch {
	case !done:
		return w.list(c, q, slowRequest{began: began, method: methodGet, route: route, code: code}, data, size)
	case err != nil:
		code = status(err.Code)
		w.out = s.appendFailure(w.out, err, w.now)
	default:
		w.out = s.appendHead(w.out, code, len(body), st, w.now)
		w.out = append(w.out, body...)
	}
	s.served(slowRequest{began: began, method: methodGet, route: route, code: code, size: len(body)}, q.Key)
	return again
}

// served counts a request whose answer is ready.
func (s *Server) served(r slowRequest, key string) {
	r.ready = time.Since(r.began)
	s.meter.count(r.route, r.method, r.code, r.ready)
	s.slow.look(r, key, r.ready)
}

// begin asks the backend for what takes a while. Whoever brings the outcome
// goes on with the caller.
func (w *worker) begin(c *caller, r *request, data []byte, size int) progress {
	// What came before is answered first. A client that doesn't take its
	// answers can wait with its question.
	if p := w.send(c, data); p != again {
		return p
	}
	c.keep(data[size:])
	s := w.server
	a := s.asks.get()
	a.began, a.method = w.began, w.x.method
	if r.kind == kindRead {
		a.read(s, c, r.query)
		s.backend.Confirm(a)
	} else {
		a.write(s, c, r)
		s.backend.Ask(&a.cmd, a)
	}
	return departed
}

// list answers a read of a directory on a goroutine of its own.
func (w *worker) list(c *caller, q tree.Query, r slowRequest, data []byte, size int) progress {
	if p := w.send(c, data); p != again {
		return p
	}
	c.keep(data[size:])
	q.Key = strings.Clone(q.Key)
	s := w.server
	s.conns.serving.Go(func() {
		err := s.sendList(c, q, &r)
		s.slow.look(r, q.Key, time.Since(r.began))
		if err != nil {
			c.close()
			return
		}
		s.goOn(c)
	})
	return departed
}

// goOn has somebody serve the caller, who is held, further.
func (s *Server) goOn(c *caller) {
	if len(c.in) == 0 && !s.conns.closing.Load() && c.release() {
		return
	}
	c.reactor.answers.add(c)
}

// sendList writes a listing, and notes in r what it was; an error means that the
// connection is of no use any more.
func (s *Server) sendList(c *caller, q tree.Query, r *slowRequest) error {
	buf := s.lists.get()
	defer s.lists.put(buf)
	now := s.now()
	body, rest, st, err := s.backend.Get(buf.body[:0], q)
	buf.body = body
	if rest != nil {
		defer rest.Close()
	}
	if r.size = len(body); err != nil {
		r.code = status(err.Code)
	} else if rest != nil {
		r.size = -1
	}
	r.ready = time.Since(r.began)
	s.meter.count(r.route, r.method, r.code, r.ready)
	if err := c.SetWriteDeadline(time.Now().Add(s.opts.WriteTimeout)); err != nil {
		return err
	}
	switch {
	case err != nil:
		buf.head = s.appendFailure(buf.head[:0], err, now)
		_, err := c.Write(buf.head)
		return err
	case rest == nil:
		buf.head = s.appendHead(buf.head[:0], fasthttp.StatusOK, len(body), st, now)
		return buf.write(c.Conn, body)
	}
	if whole, ok := rest.(tree.Whole); ok {
		text := whole.Whole()
		buf.head = s.appendHead(buf.head[:0], fasthttp.StatusOK, len(text), st, now)
		return buf.write(c.Conn, text)
	}
	buf.head = s.appendHead(buf.head[:0], fasthttp.StatusOK, -1, st, now)
	return s.sendParts(c, buf, rest)
}

// sendParts writes what is in buf, and all that follows it, as chunks.
func (s *Server) sendParts(c *caller, buf *listBuffer, rest tree.Rest) error {
	end := time.Now().Add(listingTimeouts * s.opts.WriteTimeout)
	for more := true; ; {
		buf.head = strconv.AppendInt(buf.head, int64(len(buf.body)), 16)
		buf.head = append(buf.head, "\r\n"...)
		buf.body = append(buf.body, "\r\n"...)
		if !more {
			buf.body = append(buf.body, lastChunk...)
		}
		// The write time-out is for one part, so that a listing may be as long as
		// it is; all of it has some more, for it pins the store.
		if err := c.SetWriteDeadline(earlier(time.Now().Add(s.opts.WriteTimeout), end)); err != nil {
			return err
		}
		if err := buf.write(c.Conn, buf.body); err != nil || !more {
			return err
		}
		buf.head = buf.head[:0]
		// After an error the client sees that the last chunk is missing.
		var err error
		if buf.body, more, err = rest.Append(buf.body[:0]); err != nil {
			return err
		}
	}
}

// appendReply appends the answer to a write.
func (s *Server) appendReply(dst []byte, reply *tree.Reply, noValue bool, now time.Time) []byte {
	if reply.Err != nil {
		return s.appendFailure(dst, reply.Err, now)
	}
	code := fasthttp.StatusOK
	if reply.Created {
		code = fasthttp.StatusCreated
	}
	if noValue && !reply.Action.Removes() {
		action := reply.Action.String()
		dst = s.appendHead(dst, code, len(action)+len(`{"action":""}`+"\n"), reply.State, now)
		dst = append(dst, `{"action":"`...)
		dst = append(dst, action...)
		return append(dst, "\"}\n"...)
	}
	dst = s.appendHead(dst, code, len(reply.JSON), reply.State, now)
	return append(dst, reply.JSON...)
}

// appendFailure appends the answer to a key request that failed. v2 leaves the
// raft headers out.
func (s *Server) appendFailure(dst []byte, err *tree.Error, now time.Time) []byte {
	var room [256]byte
	body := tree.AppendError(room[:0], err)
	dst = s.appendStart(dst, status(err.Code), len(body), now)
	dst = appendField(dst, headerEtcdIndex)
	dst = strconv.AppendUint(dst, uint64(err.Index), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

// appendHead appends the head of a key answer that is no error. A size below 0
// stands for chunks.
func (s *Server) appendHead(dst []byte, code, size int, st tree.State, now time.Time) []byte {
	dst = s.appendStart(dst, code, size, now)
	dst = appendField(dst, headerEtcdIndex)
	dst = strconv.AppendUint(dst, uint64(st.Index), 10)
	dst = appendField(dst, headerRaftIndex)
	dst = strconv.AppendUint(dst, st.RaftIndex, 10)
	dst = appendField(dst, headerRaftTerm)
	dst = strconv.AppendUint(dst, st.RaftTerm, 10)
	return append(dst, "\r\n\r\n"...)
}

// appendStart appends what the heads of all key answers have in common.
func (s *Server) appendStart(dst []byte, code, size int, now time.Time) []byte {
	switch code {
	case fasthttp.StatusOK:
		dst = append(dst, "HTTP/1.1 200 OK\r\nDate: "...)
	case fasthttp.StatusCreated:
		dst = append(dst, "HTTP/1.1 201 Created\r\nDate: "...)
	default:
		dst = append(dst, "HTTP/1.1 "...)
		dst = strconv.AppendInt(dst, int64(code), 10)
		dst = append(dst, ' ')
		dst = append(dst, fasthttp.StatusMessage(code)...)
		dst = append(dst, "\r\nDate: "...)
	}
	dst = append(dst, s.dates.text(now)...)
	dst = append(dst, "\r\nContent-Type: application/json"...)
	if size >= 0 {
		dst = append(dst, "\r\nContent-Length: "...)
		dst = strconv.AppendInt(dst, int64(size), 10)
	}
	dst = appendField(dst, headerClusterID)
	dst = append(dst, s.clusterID()...)
	if size < 0 {
		dst = append(dst, "\r\nTransfer-Encoding: chunked"...)
	}
	if s.conns.closing.Load() {
		dst = append(dst, "\r\nConnection: close"...)
	}
	return dst
}

// dates keeps the current Date line.
type dates struct{ now atomic.Pointer[dateText] }

type dateText struct {
	second int64
	text   []byte
}

func (d *dates) text(now time.Time) []byte {
	second := now.Unix()
	if known := d.now.Load(); known != nil && known.second == second {
		return known.text
	}
	t := &dateText{second: second, text: fasthttp.AppendHTTPDate(nil, now)}
	d.now.Store(t)
	return t.text
}

// listBuffer is what one listing needs while it is under way.
type listBuffer struct {
	head, body []byte
	pieces     [2][]byte
}

// listBuffers is a pool of them.
type listBuffers struct{ pool sync.Pool }

func (p *listBuffers) get() *listBuffer {
	if b, ok := p.pool.Get().(*listBuffer); ok {
		return b
	}
	return new(listBuffer)
}

// listSlack is how large a buffer may be to be used again.
const listSlack = 1 << 20

func (p *listBuffers) put(b *listBuffer) {
	if cap(b.body) <= listSlack {
		p.pool.Put(b)
	}
}

// write writes the head and body with one system call if it can.
func (b *listBuffer) write(c net.Conn, body []byte) error {
	b.pieces = [2][]byte{b.head, body}
	pieces := net.Buffers(b.pieces[:])
	_, err := pieces.WriteTo(c)
	b.pieces = [2][]byte{}
	return err
}
