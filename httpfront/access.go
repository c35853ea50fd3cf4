package httpfront

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"copse/httpfront/login"
	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// grant is the permission to do what a key request asks for. Only permit gives one, and all
// that reaches the Backend's keys asks for it: serveRead, serveWrite and serveWatch.
//
// A watch keeps its grant, and with each event it is the grant that is checked again, if
// users or roles have changed, and not the event's key. That is enough: a watch is shown
// changes of its own key, the removal of a directory around it, and if it is recursive
// changes of what is below; and a permission that covers the path of a recursive request
// covers all that is below, for its pattern is a prefix.
type grant struct {
	need
	who   auth.Who
	under *auth.State // the last one that the grant was checked under
}

// need is what a request needs a permission for.
type need struct {
	what      auth.Access
	path      string // behind /v2/keys as it was sent, which may end in a slash
	recursive bool
}

func (n need) met(by *auth.State, who auth.Who) bool { return by.May(who, n.what, n.path, n.recursive) }

// insufficient is what v2 says to whoever may not do what was asked.
const insufficient = "Insufficient credentials"

// permit decides whether a key request may be made, and answers it if not. What needs several
// permissions has a grant of the first; a watch asks for the others again by itself.
func (s *Server) permit(ctx *fasthttp.RequestCtx, first need, more ...need) (g grant, ok bool) {
	// While auth is off nobody is asked. When it is turned on, a watch from before goes on
	// if the guest may watch, whoever began it.
	g = grant{need: first, who: auth.TheGuest, under: s.backend.Auth()}
	if !g.under.Enabled {
		return g, first.what == auth.Read || mayWriteUnnamed(ctx)
	}
	who, err := s.identify(ctx)
	if err != nil {
		writeError(ctx, &tree.Error{Code: tree.CodeRaftInternal, Cause: err.Error()})
		return grant{}, false
	}
	// The state may have changed while the password was checked.
	g.who, g.under = who, s.backend.Auth()
	if !first.met(g.under, who) || slices.ContainsFunc(more, func(n need) bool { return !n.met(g.under, who) }) {
		writeError(ctx, &tree.Error{Code: tree.CodeUnauthorized, Cause: insufficient})
		return grant{}, false
	}
	if first.what == auth.Write && who.Name() == "" && !mayWriteUnnamed(ctx) {
		return grant{}, false
	}
	g.who = who.Lasting()
	return g, true
}

// permitted decides again about what was read under g, and answers the request if the
// permission is gone: while a quorum was asked, it may have been taken away, and then the
// value may have been written that it was taken away for.
func (s *Server) permitted(ctx *fasthttp.RequestCtx, g *grant) (ok bool) {
	if g.under == s.backend.Auth() {
		return true
	}
	_, ok = s.permit(ctx, g.need)
	return ok
}

// stands reports whether a watch, which may have further paths, may go on in the state now.
func (g *grant) stands(now *auth.State, t *terms) bool {
	if g.under == now {
		return true
	}
	g.under = now
	lacks := func(n need) bool { return !n.met(now, g.who) }
	return !lacks(g.need) && (t == nil || !slices.ContainsFunc(t.also, lacks))
}

// administers decides whether a request may be made that needs the role root, and answers
// it if not.
func (s *Server) administers(ctx *fasthttp.RequestCtx) bool {
	if !s.backend.Auth().Enabled {
		return true
	}
	who, err := s.identify(ctx)
	switch {
	case err != nil:
		writeMessage(ctx, fasthttp.StatusInternalServerError, err.Error())
	case !s.backend.Auth().MayAdminister(who):
		writeMessage(ctx, fasthttp.StatusUnauthorized, insufficient)
	default:
		return true
	}
	return false
}

// identify returns who sends the request, nobody if the credentials are wrong. The error
// says why they can't be checked now.
func (s *Server) identify(ctx *fasthttp.RequestCtx) (auth.Who, error) {
	c, certificate := ctx.Conn().(*conn), ""
	if s.opts.CertificateNames {
		certificate = c.certificateName()
	}
	if t := c.turn; t != nil {
		who, ok := s.logins.Recall(&c.client, ctx.Request.Header.Peek(fasthttp.HeaderAuthorization), certificate)
		if !ok {
			t.outcome = mayBlock
			return auth.Who{}, errLeft
		}
		return who, nil
	}
	who, err := s.logins.Identify(&c.client, ctx.Request.Header.Peek(fasthttp.HeaderAuthorization), certificate)
	if refused, ok := err.(*login.Refused); ok {
		s.logRefused(refused, c.client.From().String())
		return auth.Who{}, nil
	}
	return who, err
}

const (
	// userLimit bounds what a log line shows of a name that anybody may have made up.
	userLimit = 64
	// refusalKinds is how many users and hosts are logged beside each other: whatever one of
	// them floods the server with, others' refusals are seen.
	refusalKinds = 32
)

func (s *Server) logRefused(r *login.Refused, host string) {
	user := r.User
	if len(user) > userLimit {
		user = user[:userLimit] + "..."
	}
	kind := fnv.New32()
	_, _ = kind.Write([]byte(user + " " + host))
	s.refusals.Warn("credentials "+strconv.Itoa(int(kind.Sum32()%refusalKinds)), "refused a client's credentials",
		"user", strings.ToValidUTF8(user, "?"), "from", host, "reason", r.Why)
}
