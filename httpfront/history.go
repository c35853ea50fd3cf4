package httpfront

import (
	"net/url"
	"strconv"

	"github.com/valyala/fasthttp"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// How many names /v2/copse/history tells of, unless it is asked for another number, and at most.
const (
	historyNames     = 1000
	historyNamesMost = 10_000
)

// serveHistory serves what the windows of events reach back to: of the names, those below which the client may read.
// etcd has no such path.
func (s *Server) serveHistory(ctx *fasthttp.RequestCtx, x *exchange, _ string) {
	query, err := url.ParseQuery(string(x.query))
	limit, after := historyNames, query.Get("after")
	if err == nil && query.Has("limit") {
		limit, err = strconv.Atoi(query.Get("limit"))
	}
	if err != nil || limit < 1 || limit > historyNamesMost {
		writeError(ctx, invalid(tree.CodeInvalidField, `invalid value for "limit"`))
		return
	}
	if query.Has("after") && (after == "/" || tree.Clean(after) != after || tree.Parent(after) != "/") {
		writeError(ctx, invalid(tree.CodeInvalidField, `"after" must be a key in the root`))
		return
	}
	who, now, ok := s.client(ctx)
	if !ok {
		return
	}
	sees := func(key string) bool { return now.May(who, auth.Read, key+"/", true) }
	if !now.MayReadSome(who) {
		sees = nil // there may be many names to ask about
	}
	body, failed := s.backend.Histories(after, limit, sees)
	if failed != nil {
		writeError(ctx, failed)
		return
	}
	ctx.Response.Header.SetContentTypeBytes(typeJSON)
	ctx.Response.SetBodyRaw(body)
}
