package httpfront

import (
	"errors"
	"net"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

// status maps v2's error codes to HTTP status codes.
func status(c tree.Code) int {
	switch c {
	case tree.CodeKeyNotFound:
		return fasthttp.StatusNotFound
	case tree.CodeNotFile, tree.CodeDirNotEmpty:
		return fasthttp.StatusForbidden
	case tree.CodeCompareFailed, tree.CodeNodeExist:
		return fasthttp.StatusPreconditionFailed
	case tree.CodeUnauthorized:
		return fasthttp.StatusUnauthorized
	case tree.CodeRaftInternal:
		return fasthttp.StatusInternalServerError
	}
	return fasthttp.StatusBadRequest
}

// writeError answers a key request with err. v2 leaves the raft headers out.
func writeError(ctx *fasthttp.RequestCtx, err *tree.Error) {
	h := &ctx.Response.Header
	h.SetStatusCode(status(err.Code))
	h.SetContentTypeBytes(typeJSON)
	setNumber(h, headerEtcdIndex, uint64(err.Index))
	ctx.Response.SwapBody(tree.AppendError(takeBody(ctx), err))
}

// writeMessage answers a request outside the key space with an error.
func writeMessage(ctx *fasthttp.RequestCtx, code int, message string) {
	h := &ctx.Response.Header
	h.SetStatusCode(code)
	h.SetContentTypeBytes(typeJSON)
	body := append(takeBody(ctx), `{"message":`...)
	body = tree.AppendString(body, message)
	ctx.Response.SwapBody(append(body, '}'))
}

// writeText answers with a line of text, in the words of Go's HTTP library.
func writeText(ctx *fasthttp.RequestCtx, code int, text string) {
	h := &ctx.Response.Header
	h.SetStatusCode(code)
	h.SetContentTypeBytes(typePlain)
	h.Set("X-Content-Type-Options", "nosniff")
	ctx.Response.SetBodyString(text + "\n")
}

func notFound(ctx *fasthttp.RequestCtx) {
	writeText(ctx, fasthttp.StatusNotFound, "404 page not found")
}

// allow reports whether m is among allowed, v2's list for the route, and
// answers the request if not.
func allow(ctx *fasthttp.RequestCtx, m method, allowed methods) bool {
	if allowed.set&m != 0 {
		return true
	}
	ctx.Response.Header.Set("Allow", allowed.header)
	methodNotAllowed(ctx)
	return false
}

func methodNotAllowed(ctx *fasthttp.RequestCtx) {
	writeText(ctx, fasthttp.StatusMethodNotAllowed, "Method Not Allowed")
}

// refuse answers an invalid HTTP request as Go's HTTP library does, and so etcd, and closes
// the connection. The reason, if any, is in the status line too.
func refuse(ctx *fasthttp.RequestCtx, code int, reason string) {
	text := fasthttp.StatusMessage(code)
	if reason != "" {
		text += ": " + reason
	}
	ctx.Response.Reset()
	ctx.Conn().(*conn).torn.Store(true)
	h := &ctx.Response.Header
	h.SetStatusCode(code)
	h.SetStatusMessage([]byte(text))
	h.SetContentTypeBytes(typePlain)
	h.SetConnectionClose()
	body := append(takeBody(ctx), byte('0'+code/100), byte('0'+code/10%10), byte('0'+code%10), ' ')
	ctx.Response.SwapBody(append(body, text...))
}

// handleBroken answers a request that fasthttp couldn't read. fasthttp closes
// the connection afterwards.
func (s *Server) handleBroken(ctx *fasthttp.RequestCtx, err error) {
	if s.answerBroken(ctx, err) {
		s.meter.count(routeOther, 0, ctx.Response.StatusCode(), 0)
	}
}

func (s *Server) answerBroken(ctx *fasthttp.RequestCtx, err error) (answered bool) {
	var netErr net.Error
	switch c := ctx.Conn().(*conn); {
	case c.verdict == headTooLarge:
		s.skim(ctx, c.Conn, drainHeadLimit)
		refuse(ctx, fasthttp.StatusRequestHeaderFieldsTooLarge, "")
	case c.verdict == headUnaffordable:
		s.skim(ctx, c.Conn, drainHeadLimit)
		s.setCommonHead(ctx)
		writeError(ctx, tree.Unavailable(errBusy))
		c.torn.Store(true)
		ctx.SetConnectionClose()
	case errors.As(err, &netErr) && netErr.Timeout():
		// No request, or only a part of one, has arrived. An answer could be taken for that of
		// the next request, so there is none.
		_ = ctx.Conn().Close()
		return false
	case errors.Is(err, fasthttp.ErrUnsupportedTransferEncoding):
		refuse(ctx, fasthttp.StatusNotImplemented, "")
		ctx.Response.SetBodyString("Unsupported transfer encoding")
	case c.verdict == hostMalformed:
		refuse(ctx, fasthttp.StatusBadRequest, "malformed Host header")
	case strings.Contains(err.Error(), "missing required host header"):
		refuse(ctx, fasthttp.StatusBadRequest, "missing required Host header")
	default:
		refuse(ctx, fasthttp.StatusBadRequest, "")
	}
	return true
}

const (
	// drainBodyLimit and drainHeadLimit bound how much of an oversized request is read before
	// it is answered: closing a connection with unread data may lose the answer.
	drainBodyLimit = 32 << 20
	drainHeadLimit = 1 << 20
	// drainPause is the longest pause of the client meanwhile; after an answer it is the whole
	// time.
	drainPause = 200 * time.Millisecond
)
