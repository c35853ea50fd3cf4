package httpfront

import (
	"net/url"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// Limits of what a promotion may be asked for.
const (
	holdLimit   = time.Minute
	marginLimit = 1 << 40
)

// serveMirror serves the status of a mirror. etcd has no such path.
func (s *Server) serveMirror(ctx *fasthttp.RequestCtx) {
	body, err := s.backend.MirrorStatus()
	if err != nil {
		writeError(ctx, err)
		return
	}
	ctx.Response.Header.SetContentTypeBytes(typeJSON)
	ctx.Response.SetBodyRaw(body)
}

// servePromote makes a mirror a cluster of its own. While auth is off, so that nobody is root, only
// this machine's processes may do it.
func (s *Server) servePromote(ctx *fasthttp.RequestCtx, x *exchange, _ string) {
	if !s.backend.Auth().Enabled && !ctx.RemoteIP().IsLoopback() {
		writeMessage(ctx, fasthttp.StatusForbidden, "While auth is off, a mirror is promoted from a member's machine only")
		return
	}
	query, err := url.ParseQuery(string(x.query))
	hold, holdErr := time.ParseDuration(query.Get("hold"))
	margin, marginErr := strconv.ParseUint(query.Get("margin"), 10, 64)
	if err != nil || holdErr != nil || hold <= 0 || hold > holdLimit || marginErr != nil || margin > marginLimit {
		writeMessage(ctx, fasthttp.StatusBadRequest, "hold must be a duration up to a minute, and margin a number")
		return
	}
	done, refused, failed := s.backend.Promote(query.Get("force") == "true", hold, margin)
	switch {
	case failed != nil:
		writeError(ctx, failed)
	case refused != "":
		writeMessage(ctx, fasthttp.StatusConflict, refused)
	default:
		ctx.Response.Header.SetContentTypeBytes(typeJSON)
		ctx.Response.SetBodyRaw(done)
	}
}
