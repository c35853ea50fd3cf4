package httpfront

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

var (
	transferEncoding = []byte("Transfer-Encoding")
	chunked          = []byte("chunked")
)

// checkHead refuses requests that fasthttp accepts and Go's HTTP library doesn't: unknown
// versions, spaces in header names, transfer encodings other than chunked, unknown
// expectations. It reports whether to serve the request.
func checkHead(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	if !h.IsHTTP11() && string(h.Protocol()) != "HTTP/1.0" {
		refuse(ctx, fasthttp.StatusBadRequest, "")
		return false
	}
	for raw := h.RawHeaders(); len(raw) > 0; {
		var name, value []byte
		name, value, raw = cutHeader(raw)
		if bytes.IndexByte(name, ' ') >= 0 {
			refuse(ctx, fasthttp.StatusBadRequest, "invalid header name")
			return false
		}
		if bytes.EqualFold(name, transferEncoding) && !bytes.EqualFold(bytes.TrimSpace(value), chunked) {
			refuse(ctx, fasthttp.StatusNotImplemented, "")
			return false
		}
	}
	expect := h.Peek(fasthttp.HeaderExpect)
	if len(expect) == 0 || bytes.EqualFold(expect, []byte("100-continue")) {
		return true
	}
	ctx.Response.Header.SetStatusCode(fasthttp.StatusExpectationFailed)
	ctx.SetConnectionClose()
	ctx.Conn().(*conn).torn.Store(true)
	return false
}

// contentType returns the first Content-Type, as Go's library does; fasthttp returns the
// last.
func contentType(ctx *fasthttp.RequestCtx) []byte {
	const want = "Content-Type"
	for raw := ctx.Request.Header.RawHeaders(); len(raw) > 0; {
		var name, value []byte
		name, value, raw = cutHeader(raw)
		if len(name) == len(want) && bytes.EqualFold(name, []byte(want)) {
			return bytes.TrimSpace(value)
		}
	}
	return ctx.Request.Header.ContentType()
}

// cutHeader splits off the first line of a request's header block.
func cutHeader(raw []byte) (name, value, rest []byte) {
	line, rest, _ := bytes.Cut(raw, []byte{'\n'})
	name, value, _ = bytes.Cut(line, []byte{':'})
	return name, value, rest
}
