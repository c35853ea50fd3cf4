package httpfront

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// field is one header line.
type field struct {
	name, value []byte
}

// cors has the origins whose web pages may use the server: none by default, where etcd 3.4
// allows all.
type cors struct {
	any     bool
	origins []string
}

func newCORS(origins []string) cors {
	return cors{any: slices.Contains(origins, "*"), origins: origins}
}

// fields returns the header lines for the request, none if its origin isn't allowed.
func (c *cors) fields(ctx *fasthttp.RequestCtx) []field {
	if len(c.origins) == 0 {
		return nil
	}
	origin := "*"
	if !c.any {
		origin = string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
		if !slices.Contains(c.origins, origin) {
			return nil
		}
	}
	return []field{
		{[]byte("Access-Control-Allow-Methods"), []byte("POST, GET, OPTIONS, PUT, DELETE")},
		{[]byte("Access-Control-Allow-Origin"), []byte(origin)},
		{[]byte("Access-Control-Allow-Headers"), []byte("accept, content-type, authorization")},
	}
}

// setCORS sets the header lines of CORS, which come with the answers of etcd, and not with those that
// Go's HTTP library gives in its place.
func (s *Server) setCORS(ctx *fasthttp.RequestCtx) {
	for _, f := range s.cors.fields(ctx) {
		ctx.Response.Header.SetCanonical(f.name, f.value)
	}
}

// own is where copse's own routes are, which v2 doesn't have.
const own = "/v2/copse/"

// admits reports whether a request to path may go on, and answers it if not. A browser sends
// a POST for any web page, without asking first, so a page could change what copse's own
// routes change wherever its reader can reach a member. v2's requests are served in any case,
// as etcd does. The operations port has no route that changes anything.
func (s *Server) admits(ctx *fasthttp.RequestCtx, m method, path string) bool {
	origin := ctx.Request.Header.Peek(fasthttp.HeaderOrigin)
	if m&^(methodGet|methodHead) == 0 || len(origin) == 0 || !strings.HasPrefix(path, own) || s.cors.any || slices.Contains(s.cors.origins, string(origin)) {
		return true
	}
	writeMessage(ctx, fasthttp.StatusForbidden, "a web page of this origin may not do that: --cors doesn't name it")
	return false
}
