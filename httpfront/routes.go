package httpfront

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// method is a set of one, or no, HTTP method.
type method uint8

const (
	methodGet method = 1 << iota
	methodHead
	methodPut
	methodPost
	methodDelete
)

func methodOf(name []byte) method {
	switch string(name) {
	case "GET":
		return methodGet
	case "HEAD":
		return methodHead
	case "PUT":
		return methodPut
	case "POST":
		return methodPost
	case "DELETE":
		return methodDelete
	}
	return 0
}

// methods are the methods of a route; header is the Allow header of its 405, in etcd's
// order.
type methods struct {
	set    method
	header string
}

var (
	allowKeys     = methods{methodHead | methodGet | methodPut | methodPost | methodDelete, "HEAD,GET,PUT,POST,DELETE"}
	allowMachines = methods{methodGet | methodHead, "GET,HEAD"}
	allowMembers  = methods{methodGet | methodPost | methodDelete | methodPut, "GET,POST,DELETE,PUT"}
	allowAuth     = methods{methodGet | methodPut | methodDelete, "GET,PUT,DELETE"}
	allowGet      = methods{methodGet, "GET"}
)

const keysPrefix = "/v2/keys"

// handle serves one request.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	x := s.exchanges.Get().(*exchange)
	if s.readBody(ctx, x) {
		s.serve(ctx, x)
	}
	s.observe(ctx, x)
	*x = exchange{body: s.dropBody(ctx, x)} // the pool must not keep the request's bytes alive
	s.exchanges.Put(x)
	if s.conns.active.closing.Load() {
		ctx.SetConnectionClose()
	}
}

func (s *Server) serve(ctx *fasthttp.RequestCtx, x *exchange) {
	rawPath, query := splitTarget(ctx.RequestURI())
	decoded, ok := decodePath(rawPath)
	if !ok {
		refuse(ctx, fasthttp.StatusBadRequest, "")
		return
	}
	s.setCommonHead(ctx)
	if !checkHead(ctx) {
		return
	}
	m := methodOf(ctx.Method())
	switch {
	case ctx.IsOptions(): // answered for any path, even an invalid one
	case !isClean(decoded):
		redirectToClean(ctx, m, decoded, query)
	default:
		x.method, x.query = m, query
		s.route(ctx, x, view(decoded))
	}
}

// route passes a request on by its clean path, which is valid until the request is
// answered.
func (s *Server) route(ctx *fasthttp.RequestCtx, x *exchange, path string) {
	if key, ok := strings.CutPrefix(path, keysPrefix); ok && (key == "" || key[0] == '/') {
		x.route = routeKeys
		s.serveKeys(ctx, x, key)
		return
	}
	for i := range routes {
		r := &routes[i]
		if rest, ok := r.match(path); ok {
			x.route = r.id
			r.serve(s, ctx, x, rest)
			return
		}
	}
	notFound(ctx)
}

// route is a path, or a tree of them, that is served in one way.
type route struct {
	id       routeID // the place of its template
	path     string
	template string // as metrics and logs show it, "" for the path; several routes may share one
	named    bool   // a slash and more may follow, which serve gets as rest
	serve    func(s *Server, ctx *fasthttp.RequestCtx, x *exchange, rest string)
}

// routes are all but those of keys, which come first and have no fixed number of names
// behind them.
var routes = withIDs([]route{
	{path: "/v2/machines", serve: plain((*Server).serveMachines)},
	{path: "/v2/members", named: true, serve: func(s *Server, ctx *fasthttp.RequestCtx, x *exchange, rest string) {
		s.serveMembers(ctx, x.method, rest)
	}},
	{path: "/v2/stats/self", template: "/v2/stats", serve: plain((*Server).serveSelfStats)},
	{path: "/v2/stats/store", template: "/v2/stats", serve: plain((*Server).serveStoreStats)},
	{path: "/v2/stats/leader", template: "/v2/stats", serve: plain((*Server).serveLeaderStats)},
	{path: "/v2/copse/shards", template: "/v2/stats", serve: plain((*Server).serveShards)},
	{path: "/version", serve: plain((*Server).serveVersion)},
	{path: "/health", serve: plain((*Server).serveHealth)},
	{path: "/livez", template: "/health", serve: func(s *Server, ctx *fasthttp.RequestCtx, x *exchange, _ string) {
		s.serveProbe(ctx, x, "livez", s.opts.Live)
	}},
	{path: "/readyz", template: "/health", serve: func(s *Server, ctx *fasthttp.RequestCtx, x *exchange, _ string) {
		s.serveProbe(ctx, x, "readyz", s.opts.Ready)
	}},
	{path: "/metrics", serve: plain((*Server).serveMetrics)},
	{path: "/debug/vars", serve: plain((*Server).serveDebugVars)},
	{path: "/config/local/log", serve: plain((*Server).serveLogLevel)},
	{path: "/v2/auth/enable", template: "/v2/auth", serve: plain((*Server).serveAuthEnable)},
	{path: "/v2/auth/users", template: "/v2/auth", named: true, serve: func(s *Server, ctx *fasthttp.RequestCtx, x *exchange, rest string) { s.serveUsers(ctx, x.method, rest) }},
	{path: "/v2/auth/roles", template: "/v2/auth", named: true, serve: func(s *Server, ctx *fasthttp.RequestCtx, x *exchange, rest string) { s.serveRoles(ctx, x.method, rest) }},
})

// routeID is the place of a route's template in routeNames.
type routeID uint8

// Requests that aren't in the table of routes. Quorum reads and watches have templates
// of their own, for their times have nothing to do with a plain read's.
const (
	routeOther routeID = iota // no route, or not even a request
	routeKeys
	routeQuorum
	routeWatch
)

// routeNames are the templates as metrics and logs show them: never a key, a user or
// an address. withIDs adds those of the table.
var routeNames = []string{"other", keysPrefix, keysPrefix + "?quorum=true", keysPrefix + "?wait=true"}

func withIDs(table []route) []route {
	for i := range table {
		r := &table[i]
		name := r.template
		if name == "" {
			name = r.path
		}
		at := slices.Index(routeNames, name)
		if at < 0 {
			at = len(routeNames)
			routeNames = append(routeNames, name)
		}
		r.id = routeID(at)
	}
	return table
}

// plain adapts a method that needs no more than the HTTP method.
func plain(serve func(*Server, *fasthttp.RequestCtx, method)) func(*Server, *fasthttp.RequestCtx, *exchange, string) {
	return func(s *Server, ctx *fasthttp.RequestCtx, x *exchange, _ string) { serve(s, ctx, x.method) }
}

// match returns what follows the route's path and a slash.
func (r *route) match(path string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, r.path)
	if !ok || rest == "" {
		return "", ok
	}
	if !r.named {
		return "", false
	}
	return strings.CutPrefix(rest, "/")
}
