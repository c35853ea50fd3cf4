package httpfront

import (
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

// methods is what a route takes; header is the Allow line of its 405, in the
// order that etcd writes.
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
	s.serve(ctx, x)
	s.observe(ctx, x)
	*x = exchange{} // a pooled one must not keep the request's bytes alive
	s.exchanges.Put(x)
	if s.conns.closing.Load() {
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
	case ctx.IsOptions(): // answered on any path, before it is looked at
	case !isClean(decoded):
		redirectToClean(ctx, m, decoded, query)
	default:
		x.method, x.query = m, query
		s.route(ctx, x, view(decoded))
	}
}

// route hands a request for a clean path on. path is good until the request
// has been answered.
func (s *Server) route(ctx *fasthttp.RequestCtx, x *exchange, path string) {
	if key, ok := strings.CutPrefix(path, keysPrefix); ok && (key == "" || key[0] == '/') {
		x.route = routeKeys
		s.serveKeys(ctx, x, key)
		return
	}
	x.route = routeOf(path)
	m := x.method
	switch path {
	case "/v2/machines":
		s.serveMachines(ctx, m)
	case "/v2/stats/self":
		s.serveSelfStats(ctx, m)
	case "/v2/stats/store":
		s.serveStoreStats(ctx, m)
	case "/v2/stats/leader":
		s.serveLeaderStats(ctx, m)
	case "/v2/copse/shards":
		s.serveShards(ctx, m)
	case "/version":
		s.serveVersion(ctx, m)
	case "/health":
		s.serveHealth(ctx, m)
	case "/livez":
		s.serveProbe(ctx, x, "livez", s.opts.Live)
	case "/readyz":
		s.serveProbe(ctx, x, "readyz", s.opts.Ready)
	case "/metrics":
		s.serveMetrics(ctx, m)
	case "/debug/vars":
		s.serveDebugVars(ctx, m)
	case "/config/local/log":
		s.serveLogLevel(ctx, m)
	case "/v2/auth/enable":
		s.serveAuthEnable(ctx, m)
	default:
		s.routeBelow(ctx, m, path)
	}
}

// routeBelow serves the routes that go on with a name.
func (s *Server) routeBelow(ctx *fasthttp.RequestCtx, m method, path string) {
	if rest, ok := below(path, "/v2/members"); ok {
		s.serveMembers(ctx, m, rest)
	} else if rest, ok := below(path, "/v2/auth/users"); ok {
		s.serveUsers(ctx, m, rest)
	} else if rest, ok := below(path, "/v2/auth/roles"); ok {
		s.serveRoles(ctx, m, rest)
	} else {
		notFound(ctx)
	}
}

// below returns what follows prefix and a slash in path; nothing for the
// prefix itself.
func below(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, prefix)
	if !ok || rest == "" {
		return "", ok
	}
	return strings.CutPrefix(rest, "/")
}
