package httpfront

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"copse/httpfront/ui"
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
	allowPut      = methods{methodPut, "PUT"}
	allowPost     = methods{methodPost, "POST"}
)

const keysPrefix = "/v2/keys"

// handle serves one request.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	x := s.exchanges.Get().(*exchange)
	if s.readBody(ctx, x) {
		s.serve(ctx, x)
	}
	s.observe(ctx, x)
	x.reset(s.dropBody(ctx, x)) // the pool must not keep the request's bytes alive
	s.exchanges.Put(x)
	if r := &ctx.Response; !r.IsBodyStream() && !ctx.IsHead() {
		ctx.Conn().(*conn).inParts(len(r.Body()))
	}
	if s.conns.closing.Load() {
		ctx.SetConnectionClose()
	}
}

func (s *Server) serve(ctx *fasthttp.RequestCtx, x *exchange) {
	target, ok := targetOf(ctx)
	rawPath, query := splitTarget(target)
	decoded, decodes := decodePath(rawPath)
	if !ok || !decodes {
		refuse(ctx, fasthttp.StatusBadRequest, "")
		return
	}
	s.setHead(ctx)
	if !checkHead(ctx) || string(target) == "*" { // which only OPTIONS may ask
		return
	}
	s.setCORS(ctx)
	m := methodOf(ctx.Method())
	switch {
	case ctx.IsOptions(): // answered for any path, even an invalid one
	case !isClean(decoded) && !ctx.IsConnect():
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
	if path != "/version" && leave(ctx) || !s.admits(ctx, x.method, path) || !s.shows(ctx, x.method, path) {
		return
	}
	for i := range routes {
		r := &routes[i]
		if rest, ok := r.match(path); ok {
			x.route = r.id
			if (r.methods.set == 0 || allow(ctx, x.method, r.methods)) && (r.root&x.method == 0 || s.administers(ctx)) {
				r.serve(s, ctx, x, rest)
			}
			return
		}
	}
	notFound(ctx)
}

// route is a path, or a tree of them, that is served in one way.
type route struct {
	id       routeID // the place of its template
	path     string
	template string  // as metrics and logs show it, "" for the path; several routes may share one
	below    shape   // what may follow the path
	methods  methods // others are answered with 405; the zero value takes them all
	root     method  // those that need the role root while auth is on; the others are open to all
	serve    func(s *Server, ctx *fasthttp.RequestCtx, x *exchange, rest string)
}

// shape is what may follow the path of a route.
type shape uint8

const (
	nothing  shape = iota
	slash          // perhaps a slash: the path of a list
	oneName        // a slash and one name, which serve gets as rest, perhaps with a slash behind it
	anything       // perhaps a slash and more, which serve gets as rest
)

// routes are all but those of keys, which come first and have no fixed number of names
// behind them. The first that matches counts.
var routes = withIDs([]route{
	{path: "/v2/machines", methods: allowMachines, serve: plain((*Server).serveMachines)},
	{path: "/v2/members", below: anything, methods: allowMembers, root: methodPost | methodPut | methodDelete, serve: (*Server).serveMembers},
	{path: "/v2/stats/self", template: "/v2/stats", methods: allowGet, serve: plain((*Server).serveSelfStats)},
	{path: "/v2/stats/store", template: "/v2/stats", methods: allowGet, serve: plain((*Server).serveStoreStats)},
	{path: "/v2/stats/leader", template: "/v2/stats", methods: allowGet, serve: plain((*Server).serveLeaderStats)},
	{path: "/v2/copse/shards", template: "/v2/stats", methods: allowGet, root: methodGet, serve: plain((*Server).serveShards)},
	{path: "/v2/copse/recent", template: "/v2/stats", methods: allowGet, root: methodGet, serve: plain((*Server).serveRecent)},
	{path: "/v2/copse/history", template: "/v2/stats", methods: allowGet, serve: (*Server).serveHistory},
	{path: "/v2/copse/access", template: "/v2/auth", methods: allowGet, serve: (*Server).serveAccess},
	{path: ui.Prefix, below: anything, methods: allowMachines, serve: (*Server).servePage},
	{path: "/v2/copse/backup", methods: allowGet, root: methodGet, serve: (*Server).serveBackup},
	{path: "/v2/copse/mirror", methods: allowGet, root: methodGet, serve: plain((*Server).serveMirror)},
	{path: "/v2/copse/mirror/promote", template: "/v2/copse/mirror", methods: allowPost, root: methodPost, serve: (*Server).servePromote},
	{path: "/v2/copse/txn", methods: allowPost, serve: (*Server).serveTxn},
	{path: "/v2/copse/openapi.yaml", template: "/version", methods: allowGet, serve: plain((*Server).serveOpenAPI)},
	{path: "/v2/copse/auth/init", template: "/v2/auth", methods: allowPost, root: methodPost, serve: plain((*Server).serveAuthInit)},
	{path: "/", template: "other", serve: (*Server).serveFront}, // etcd has no page, and answers 404 to every method
	{path: "/version", methods: allowGet, serve: plain((*Server).serveVersion)},
	{path: "/health", methods: allowGet, serve: plain((*Server).serveHealth)},
	{path: "/livez", template: "/health", methods: allowMachines, serve: func(s *Server, ctx *fasthttp.RequestCtx, x *exchange, _ string) {
		s.serveProbe(ctx, x, "livez", s.opts.Live)
	}},
	{path: "/readyz", template: "/health", methods: allowMachines, serve: func(s *Server, ctx *fasthttp.RequestCtx, x *exchange, _ string) {
		s.serveProbe(ctx, x, "readyz", s.opts.Ready)
	}},
	{path: "/metrics", methods: allowMachines, serve: plain((*Server).serveMetrics)},
	{path: "/debug/vars", methods: allowGet, serve: plain((*Server).serveDebugVars)},
	{path: "/config/local/log", methods: allowPut, root: methodPut, serve: plain((*Server).serveLogLevel)},
	{path: "/v2/auth/enable", template: "/v2/auth", methods: allowAuth, root: methodPut | methodDelete, serve: (*Server).serveAuthEnable},
	{path: "/v2/auth/users", template: "/v2/auth", below: slash, methods: allowGet, root: methodGet, serve: (*Server).serveUsers},
	{path: "/v2/auth/users", template: "/v2/auth", below: oneName, methods: allowAuth, root: allowAuth.set, serve: (*Server).serveUser},
	{path: "/v2/auth/users", template: "/v2/auth", below: anything, serve: plain((*Server).invalidPath)},
	{path: "/v2/auth/roles", template: "/v2/auth", below: slash, methods: allowGet, root: methodGet, serve: (*Server).serveRoles},
	{path: "/v2/auth/roles", template: "/v2/auth", below: oneName, methods: allowAuth, root: allowAuth.set, serve: (*Server).serveRole},
	{path: "/v2/auth/roles", template: "/v2/auth", below: anything, serve: plain((*Server).invalidPath)},
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

// plain adapts a method that needs nothing of the request.
func plain(serve func(*Server, *fasthttp.RequestCtx)) func(*Server, *fasthttp.RequestCtx, *exchange, string) {
	return func(s *Server, ctx *fasthttp.RequestCtx, _ *exchange, _ string) { serve(s, ctx) }
}

// match returns what serve gets as rest.
func (r *route) match(path string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, r.path)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	switch r.below {
	case nothing:
		return "", rest == ""
	case slash:
		return "", rest == "" || rest == "/"
	case oneName:
		name := strings.TrimSuffix(strings.TrimPrefix(rest, "/"), "/")
		return name, name != "" && !strings.Contains(name, "/")
	}
	return strings.TrimPrefix(rest, "/"), true
}
