package httpfront

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

var (
	headerModifiedIndex = []byte("X-Copse-Modified-Index")
	headerNoSniff       = []byte("X-Content-Type-Options")
	headerAcceptRanges  = []byte("Accept-Ranges")
	headerContentRange  = []byte("Content-Range")
	unitBytes           = []byte("bytes")
	typeBytes           = []byte("application/octet-stream")
)

// sendRaw answers a read of raw bytes, of value. A browser shows them as text or saves them, whatever they are: none of
// them may be a page or a script of this origin.
func (s *Server) sendRaw(ctx *fasthttp.RequestCtx, x *exchange, value []byte, st tree.State) {
	h := &ctx.Response.Header
	setPosition(ctx, st)
	setNumber(h, headerModifiedIndex, uint64(x.req.modified))
	h.SetCanonical(headerNoSniff, []byte("nosniff"))
	h.SetCanonical(headerAcceptRanges, unitBytes)
	if utf8.Valid(value) {
		h.SetContentTypeBytes(typePlain)
	} else {
		h.SetContentTypeBytes(typeBytes)
	}
	if field := ctx.Request.Header.Peek(fasthttp.HeaderRange); len(field) > 0 && x.method == methodGet && s.rangeHolds(ctx) {
		switch first, end, form := readRange(field, len(value)); form {
		case rangeIn:
			setContentRange(h, strconv.Itoa(first)+"-"+strconv.Itoa(end-1), len(value))
			h.SetStatusCode(fasthttp.StatusPartialContent)
			value = append(value[:0], value[first:end]...)
		case rangeOut:
			setContentRange(h, "*", len(value))
			h.SetStatusCode(fasthttp.StatusRequestedRangeNotSatisfiable)
			value = value[:0]
		}
	}
	ctx.Response.SwapBody(value)
}

func setContentRange(h *fasthttp.ResponseHeader, which string, of int) {
	h.SetCanonical(headerContentRange, []byte("bytes "+which+"/"+strconv.Itoa(of)))
}

// rangeHolds reports whether the request's If-Range, if it has one, is the answer's tag. A weak one is none, even if
// the answer has the same: its bytes may differ (RFC 9110, 13.1.5).
func (s *Server) rangeHolds(ctx *fasthttp.RequestCtx) bool {
	condition := ctx.Request.Header.Peek(fasthttp.HeaderIfRange)
	return len(condition) == 0 || condition[0] == '"' && bytes.Equal(condition, tagOf(ctx))
}

// rangeForm is what a Range field comes to.
type rangeForm uint8

const (
	rangeNone rangeForm = iota // it asks for the whole, or for what is not served: several ranges
	rangeIn
	rangeOut // what it asks for isn't there
)

// readRange reads the Range field of a request for something of so many bytes: those from first on, up to end.
func readRange(field []byte, size int) (first, end int, form rangeForm) {
	set, found := bytes.CutPrefix(field, []byte("bytes="))
	from, to, dash := bytes.Cut(bytes.Trim(set, " \t"), []byte{'-'})
	if !found || !dash || len(from) == 0 && len(to) == 0 {
		return 0, 0, rangeNone
	}
	a, aOK := parseDecimal(from)
	b, bOK := parseDecimal(to)
	if !aOK && len(from) > 0 || !bOK && len(to) > 0 || aOK && bOK && a > b {
		return 0, 0, rangeNone
	}
	n := uint64(size)
	switch {
	case !aOK: // the last b bytes
		a, b = n-min(b, n), n
	case !bOK || b >= n:
		b = n
	default:
		b++
	}
	if a >= b {
		return 0, 0, rangeOut
	}
	return int(a), int(b), rangeIn
}
