package httpfront

import (
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

func (s *Server) serveAuthEnable(ctx *fasthttp.RequestCtx, x *exchange, _ string) {
	switch x.method {
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

func (s *Server) serveUsers(ctx *fasthttp.RequestCtx) {
	writeJSONLine(ctx, fasthttp.StatusOK, struct {
		Users []struct{} `json:"users"`
	}{})
}

func (s *Server) serveUser(ctx *fasthttp.RequestCtx, x *exchange, name string) {
	if x.method != methodGet {
		writeMessage(ctx, fasthttp.StatusInternalServerError, "Internal Server Error")
		return
	}
	writeMessage(ctx, fasthttp.StatusNotFound, "auth: User "+name+" does not exist.")
}

func (s *Server) serveRoles(ctx *fasthttp.RequestCtx) {
	writeJSONLine(ctx, fasthttp.StatusOK, struct {
		Roles []role `json:"roles"`
	}{[]role{rootRole()}})
}

func (s *Server) serveRole(ctx *fasthttp.RequestCtx, x *exchange, name string) {
	switch {
	case x.method != methodGet:
		writeMessage(ctx, fasthttp.StatusInternalServerError, "Internal Server Error")
	case name == "root":
		writeJSONLine(ctx, fasthttp.StatusOK, rootRole())
	default:
		writeMessage(ctx, fasthttp.StatusNotFound, "auth: Role "+name+" does not exist.")
	}
}

// invalidPath answers for a user or role whose name would have a slash.
func (s *Server) invalidPath(ctx *fasthttp.RequestCtx) {
	writeMessage(ctx, fasthttp.StatusBadRequest, "Invalid path")
}
