package httpfront

import (
	"slices"

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

// fields returns the header lines for the request, none if its origin isn't allowed. The
// request itself is served in any case, as in v2.
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
