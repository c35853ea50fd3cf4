package httpfront

import (
	"context"
	"net/url"
	"slices"

	"github.com/valyala/fasthttp"

	"copse/httpfront/listen"
	"copse/httpfront/ui"
	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// The web page of package ui. On the operations port its requests come over connections that
// ui makes, ui.Visitor: they reach what the page shows and nothing else, and without a user
// they change nothing, unless the settings let them. That is decided here, where permissions
// are, and not by the page.

// shown lists the routes that a visitor may read beside the keys.
var shown = []string{
	"/v2/members", "/v2/stats/self", "/v2/stats/leader", "/v2/copse/shards", "/v2/copse/recent", "/v2/copse/access", "/version",
}

// ServePage is ServeWhen for the page's own requests.
func (s *Server) ServePage(ctx context.Context, ready func() error) error {
	return s.ServeWhen(ctx, ready, listen.Listener{Listener: s.opts.Page.Door(), Plain: true}, nil)
}

// visitor returns the request's connection if it is the page's, else nil.
func visitor(ctx *fasthttp.RequestCtx) *ui.Visitor {
	v, _ := ctx.Conn().(*conn).Conn.(*ui.Visitor)
	return v
}

// shows reports whether the request may go on, and answers it if not. Only the page's requests are
// restricted.
func (s *Server) shows(ctx *fasthttp.RequestCtx, m method, path string) bool {
	if visitor(ctx) == nil || m&^(methodGet|methodHead) == 0 && m != 0 && slices.Contains(shown, path) {
		return true
	}
	writeMessage(ctx, fasthttp.StatusForbidden, "the operations port serves the keys and what its page shows; the client port serves this")
	return false
}

// mayWriteUnnamed reports whether the request may change keys though no user has sent it, and
// answers it if not.
func mayWriteUnnamed(ctx *fasthttp.RequestCtx) bool {
	if v := visitor(ctx); v == nil || v.Writes {
		return true
	}
	writeMessage(ctx, fasthttp.StatusForbidden, "the operations port is read-only: --ui=write, or a user, may change keys there")
	return false
}

// accessJSON is the body of /v2/copse/access: what the client may do with a key.
type accessJSON struct {
	Auth  bool   `json:"auth"`
	User  string `json:"user"` // empty: the guest, or wrong credentials
	Read  bool   `json:"read"`
	Write bool   `json:"write"`
	Root  bool   `json:"root"` // may see and change members, users and roles
}

// serveAccess tells a client who it is and what it may do with the key in its query. etcd has
// no such path.
func (s *Server) serveAccess(ctx *fasthttp.RequestCtx, x *exchange, _ string) {
	query, err := url.ParseQuery(string(x.query))
	key := query.Get("key")
	if err != nil || key == "" || key[0] != '/' {
		writeMessage(ctx, fasthttp.StatusBadRequest, "key must be a key, which begins with a slash")
		return
	}
	who, now, ok := s.client(ctx)
	if !ok {
		return
	}
	out := accessJSON{
		Auth: now.Enabled, User: who.Name(), Root: now.MayAdminister(who),
		Read: now.May(who, auth.Read, key, false), Write: now.May(who, auth.Write, key, false),
	}
	if v := visitor(ctx); v != nil && !v.Writes && out.User == "" {
		out.Write = false
	}
	writeJSON(ctx, fasthttp.StatusOK, &out)
}

// client returns who sends the request, and the state of users and roles, by which it may be anything while auth
// is off. It answers the request if that can't be told.
func (s *Server) client(ctx *fasthttp.RequestCtx) (who auth.Who, now *auth.State, ok bool) {
	who = auth.TheGuest
	if s.backend.Auth().Enabled {
		var err error
		if who, err = s.identify(ctx); err != nil {
			writeError(ctx, &tree.Error{Code: tree.CodeRaftInternal, Cause: err.Error()})
			return who, nil, false
		}
	}
	return who, s.backend.Auth(), true
}

// hasPage reports whether clients get the web page.
func (s *Server) hasPage() bool { return s.opts.Page != nil && s.opts.Page.OnClients() }

// servePage serves the web page to clients, if the settings want that.
func (s *Server) servePage(ctx *fasthttp.RequestCtx, _ *exchange, name string) {
	if !s.hasPage() {
		notFound(ctx)
		return
	}
	path := string(ctx.Path())
	if path == ui.Prefix {
		ctx.Response.Header.Set(fasthttp.HeaderLocation, ui.Prefix+"/")
		ctx.Response.Header.SetStatusCode(fasthttp.StatusMovedPermanently)
		return
	}
	f, ok := s.opts.Page.File(name)
	if !ok {
		notFound(ctx)
		return
	}
	for _, h := range ui.Headers {
		ctx.Response.Header.Set(h[0], h[1])
	}
	ctx.Response.Header.SetContentType(f.Type)
	ctx.Response.SetBodyRaw(f.Body)
}
