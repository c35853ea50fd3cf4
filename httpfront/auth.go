package httpfront

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/valyala/fasthttp"

	"copse/httpfront/login"
	"copse/statemachine/auth"
)

// Whoever gets here may administer: the table of routes sees to that.

// authStatus maps the kinds of outcomes to HTTP status codes.
var authStatus = [...]int{
	auth.OK: fasthttp.StatusOK, auth.Created: fasthttp.StatusCreated, auth.Invalid: fasthttp.StatusBadRequest,
	auth.Forbidden: fasthttp.StatusForbidden, auth.NotFound: fasthttp.StatusNotFound, auth.Conflict: fasthttp.StatusConflict,
}

func (s *Server) serveAuthEnable(ctx *fasthttp.RequestCtx, x *exchange, _ string) {
	switch x.method {
	case methodPut:
		s.enable(ctx, &auth.Change{Op: auth.Enable})
	case methodDelete:
		s.changeQuietly(ctx, &auth.Change{Op: auth.Disable})
	default:
		writeJSONLine(ctx, fasthttp.StatusOK, struct {
			Enabled bool `json:"enabled"`
		}{s.backend.Auth().Enabled})
	}
}

// serveAuthInit makes root and enables auth in one step; etcd has no such path.
func (s *Server) serveAuthInit(ctx *fasthttp.RequestCtx) {
	var in struct{ Password string }
	if !readJSON(ctx, &in) {
		return
	}
	if in.Password == "" {
		writeMessage(ctx, fasthttp.StatusBadRequest, "auth: Cannot create user root with an empty password")
		return
	}
	if hash, ok := s.hash(ctx, in.Password); ok {
		s.enable(ctx, &auth.Change{Op: auth.Init, Hash: hash})
	}
}

func (s *Server) serveUsers(ctx *fasthttp.RequestCtx, x *exchange, _ string) {
	if !validQuery(ctx, x) {
		return
	}
	st := s.backend.Auth()
	var list struct {
		Users []userJSON `json:"users"` // null, not [], if there are none
	}
	for _, u := range st.ListedUsers() {
		roles, _, _ := st.RolesOf(u)
		list.Users = append(list.Users, userJSON{u.Name, newRolesJSON(roles)})
	}
	writeJSONLine(ctx, fasthttp.StatusOK, &list)
}

func (s *Server) serveUser(ctx *fasthttp.RequestCtx, x *exchange, name string) {
	switch x.method {
	case methodGet:
		s.getUser(ctx, x, name)
	case methodPut:
		s.putUser(ctx, name)
	case methodDelete:
		s.changeQuietly(ctx, &auth.Change{Op: auth.DeleteUser, Name: name})
	}
}

func (s *Server) getUser(ctx *fasthttp.RequestCtx, x *exchange, name string) {
	st := s.backend.Auth()
	u, ok := st.User(name)
	if !ok {
		writeRefusal(ctx, auth.NoUser(name))
		return
	}
	if !validQuery(ctx, x) {
		return
	}
	roles, missing, whole := st.RolesOf(u)
	if !whole {
		writeRefusal(ctx, auth.NoRole(missing))
		return
	}
	writeJSONLine(ctx, fasthttp.StatusOK, userJSON{name, newRolesJSON(roles)})
}

func (s *Server) putUser(ctx *fasthttp.RequestCtx, name string) {
	var in userInput
	switch {
	case !readJSON(ctx, &in):
		return
	case in.User != name:
		writeMessage(ctx, fasthttp.StatusBadRequest, "User JSON name does not match the name in the URL")
		return
	case len(in.Roles) > 0 && len(in.Grant)+len(in.Revoke) > 0:
		writeMessage(ctx, fasthttp.StatusBadRequest, "User JSON contains both roles and grant/revoke")
		return
	}
	c := auth.Change{Op: auth.PutUser, Name: in.User, Roles: in.Roles, Grant: in.Grant, Revoke: in.Revoke}
	if in.Password != "" {
		var ok bool
		if c.Hash, ok = s.hash(ctx, in.Password); !ok {
			return
		}
	}
	if out, ok := s.change(ctx, &c); ok {
		writeJSONLine(ctx, authStatus[out.Kind], struct {
			User  string   `json:"user"`
			Roles []string `json:"roles"`
		}{out.User.Name, out.User.Roles})
	}
}

func (s *Server) serveRoles(ctx *fasthttp.RequestCtx, x *exchange, _ string) {
	if !validQuery(ctx, x) {
		return
	}
	writeJSONLine(ctx, fasthttp.StatusOK, struct {
		Roles []roleJSON `json:"roles"`
	}{newRolesJSON(s.backend.Auth().ListedRoles())})
}

func (s *Server) serveRole(ctx *fasthttp.RequestCtx, x *exchange, name string) {
	switch x.method {
	case methodGet:
		r, ok := s.backend.Auth().Role(name)
		if !ok {
			writeRefusal(ctx, auth.NoRole(name))
			return
		}
		writeJSONLine(ctx, fasthttp.StatusOK, newRoleJSON(r))
	case methodPut:
		s.putRole(ctx, name)
	case methodDelete:
		s.changeQuietly(ctx, &auth.Change{Op: auth.DeleteRole, Name: name})
	}
}

func (s *Server) putRole(ctx *fasthttp.RequestCtx, name string) {
	var in roleJSON
	switch {
	case !readJSON(ctx, &in):
		return
	case in.Role != name:
		writeMessage(ctx, fasthttp.StatusBadRequest, "Role JSON name does not match the name in the URL")
		return
	}
	c := auth.Change{Op: auth.PutRole, Name: in.Role, Permissions: *in.Permissions.patterns(), GrantKeys: in.Grant.patterns(), RevokeKeys: in.Revoke.patterns()}
	if !c.Permissions.Empty() && !(c.GrantKeys.Empty() && c.RevokeKeys.Empty()) {
		writeMessage(ctx, fasthttp.StatusBadRequest, "Role JSON contains both permissions and grant/revoke")
		return
	}
	if out, ok := s.change(ctx, &c); ok {
		writeJSONLine(ctx, authStatus[out.Kind], newRoleJSON(out.Role))
	}
}

// invalidPath answers for a user or role whose name would have a slash.
func (s *Server) invalidPath(ctx *fasthttp.RequestCtx) {
	writeMessage(ctx, fasthttp.StatusBadRequest, "Invalid path")
}

// change has the cluster carry out c, or answers the request. A failure says why, where
// etcd says Internal Server Error: to its clients that is a cluster without a leader.
func (s *Server) change(ctx *fasthttp.RequestCtx, c *auth.Change) (out auth.Outcome, ok bool) {
	out, err := s.backend.ChangeAuth(c)
	switch {
	case err != nil:
		writeMessage(ctx, fasthttp.StatusInternalServerError, err.Cause)
	case out.Refused():
		writeRefusal(ctx, out)
	default:
		return out, true
	}
	return out, false
}

func writeRefusal(ctx *fasthttp.RequestCtx, out auth.Outcome) {
	writeMessage(ctx, authStatus[out.Kind], out.Message)
}

// changeQuietly is change for what is answered without a body.
func (s *Server) changeQuietly(ctx *fasthttp.RequestCtx, c *auth.Change) (ok bool) {
	if _, ok = s.change(ctx, c); ok {
		ctx.Response.Header.SetContentTypeBytes(typeJSON)
	}
	return ok
}

// enable makes a change from which on clients send passwords.
func (s *Server) enable(ctx *fasthttp.RequestCtx, c *auth.Change) {
	if s.changeQuietly(ctx, c) {
		s.warnOfPasswords(s.conns.unencrypted())
	}
}

// hash hashes a new password, or answers the request. That takes time, in which the client
// may lose the right to set one, so it is asked for again. A password that is too long is
// answered with 400; etcd 3.5 says 500, 3.4 takes its beginning.
func (s *Server) hash(ctx *fasthttp.RequestCtx, password string) (hash string, ok bool) {
	hash, err := s.logins.Hash(password, &ctx.Conn().(*conn).client)
	switch {
	case errors.Is(err, login.ErrTooLong):
		writeMessage(ctx, fasthttp.StatusBadRequest, "auth: "+err.Error())
	case err != nil:
		writeMessage(ctx, fasthttp.StatusInternalServerError, err.Error())
	}
	return hash, err == nil && s.administers(ctx)
}

// validQuery answers a request whose query can't be parsed. As in etcd, only some requests
// care.
func validQuery(ctx *fasthttp.RequestCtx, x *exchange) bool {
	var ignored params
	if ignored.scan(x.query) == nil {
		return true
	}
	writeMessage(ctx, fasthttp.StatusInternalServerError, "Internal Server Error")
	return false
}

// readJSON decodes the body, or answers the request. The standard library's decoder takes
// keys in any case, ignores those that it doesn't know and what follows the first value,
// and takes null for an empty object, as etcd's does.
func readJSON(ctx *fasthttp.RequestCtx, into any) bool {
	if err := json.NewDecoder(bytes.NewReader(ctx.Request.Body())).Decode(into); err != nil {
		writeMessage(ctx, fasthttp.StatusBadRequest, "Invalid JSON in request body.")
		return false
	}
	return true
}
