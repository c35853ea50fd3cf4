package httpfront

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// copse has no users and roles yet: /v2/auth answers reads like an etcd without auth, and
// refuses writes.

// permissions are the patterns of keys that a role may read and write.
type permissions struct {
	Read  []string `json:"read"`
	Write []string `json:"write"`
}

type role struct {
	Role        string `json:"role"`
	Permissions struct {
		KV permissions `json:"kv"`
	} `json:"permissions"`
}

// rootRole is built in: it is listed without ever being created.
func rootRole() role {
	r := role{Role: "root"}
	r.Permissions.KV = permissions{Read: []string{"/*"}, Write: []string{"/*"}}
	return r
}

func (s *Server) serveAuthEnable(ctx *fasthttp.RequestCtx, m method) {
	if !allow(ctx, m, allowAuth) {
		return
	}
	switch m {
	case methodPut:
		writeMessage(ctx, fasthttp.StatusConflict, "auth: No root user available, please create one")
	case methodDelete:
		writeMessage(ctx, fasthttp.StatusConflict, "auth: already disabled")
	default:
		writeJSONLine(ctx, fasthttp.StatusOK, struct {
			Enabled bool `json:"enabled"`
		}{})
	}
}

// serveUsers serves /v2/auth/users and below; rest is the part behind that.
func (s *Server) serveUsers(ctx *fasthttp.RequestCtx, m method, rest string) {
	name, ok := s.authName(ctx, m, rest)
	switch {
	case !ok:
	case name == "":
		writeJSONLine(ctx, fasthttp.StatusOK, struct {
			Users []struct{} `json:"users"`
		}{})
	default:
		writeMessage(ctx, fasthttp.StatusNotFound, "auth: User "+name+" does not exist.")
	}
}

// serveRoles serves /v2/auth/roles and below; rest is the part behind that.
func (s *Server) serveRoles(ctx *fasthttp.RequestCtx, m method, rest string) {
	name, ok := s.authName(ctx, m, rest)
	switch {
	case !ok:
	case name == "":
		writeJSONLine(ctx, fasthttp.StatusOK, struct {
			Roles []role `json:"roles"`
		}{[]role{rootRole()}})
	case name == "root":
		writeJSONLine(ctx, fasthttp.StatusOK, rootRole())
	default:
		writeMessage(ctx, fasthttp.StatusNotFound, "auth: Role "+name+" does not exist.")
	}
}

// authName returns the user or role of a request, or "" for the list of all. It returns
// false if it has answered the request itself.
func (s *Server) authName(ctx *fasthttp.RequestCtx, m method, rest string) (name string, ok bool) {
	name = strings.TrimSuffix(rest, "/")
	switch {
	case strings.Contains(name, "/"):
		writeMessage(ctx, fasthttp.StatusBadRequest, "Invalid path")
		return "", false
	case name == "":
		if !allow(ctx, m, allowGet) {
			return "", false
		}
		return "", true
	default:
		return name, s.allowAuth(ctx, m)
	}
}

// allowAuth lets reads of a user or a role through.
func (s *Server) allowAuth(ctx *fasthttp.RequestCtx, m method) bool {
	if !allow(ctx, m, allowAuth) {
		return false
	}
	if m == methodGet {
		return true
	}
	writeMessage(ctx, fasthttp.StatusInternalServerError, "Internal Server Error")
	return false
}
