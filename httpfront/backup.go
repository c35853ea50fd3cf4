package httpfront

import (
	"net/url"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

// backupTime bounds the time of a whole backup, which pins the stores.
const backupTime = 4 * time.Hour

// serveBackup serves the whole tree as a file of package portable. etcd has no such path.
// It shows what a recursive read by root does, and hidden nodes and the hashes of passwords as well.
func (s *Server) serveBackup(ctx *fasthttp.RequestCtx, x *exchange, _ string) {
	under := s.backend.Auth()
	if !under.Enabled && under.HasUsers() && !ctx.RemoteIP().IsLoopback() {
		writeMessage(ctx, fasthttp.StatusForbidden, "While auth is off, a backup with the hashes of users' passwords is for this machine only")
		return
	}
	query, err := url.ParseQuery(string(x.query))
	stale := query.Get("stale")
	if err != nil || stale != "" && stale != "true" && stale != "false" {
		writeMessage(ctx, fasthttp.StatusBadRequest, "stale must be true or false")
		return
	}
	if !ctx.Request.Header.IsHTTP11() {
		writeMessage(ctx, fasthttp.StatusHTTPVersionNotSupported, "a backup needs HTTP/1.1, by which its end can be told from a cut")
		return
	}
	held := &heldRest{budget: s.inFlight, bytes: backupHeld}
	if !s.inFlight.Take(inflight.Answers, held.bytes, bodyPatience) {
		held.bytes = 0
		writeError(ctx, tree.Unavailable(errBusy))
		return
	}
	rest, st, failed := s.backend.Backup(stale == "true")
	if failed != nil {
		held.give()
		writeError(ctx, failed)
		return
	}
	held.Rest = rest
	if under != s.backend.Auth() && !s.administers(ctx) { // not what the permission was taken away for
		held.Close()
		return
	}
	setState(ctx, st)
	ctx.Response.Header.SetContentType("application/gzip")
	s.stream(ctx, nil, held, backupTime)
}

// backupHeld is what a backup takes at least.
const backupHeld = 2 << 20

// heldRest counts what a backup holds in memory until it is closed.
type heldRest struct {
	tree.Rest
	budget *inflight.Budget
	bytes  int64
}

// Next implements tree.Rest. What is needed at once can't be waited for, but makes others
// wait.
func (h *heldRest) Next() (part []byte, more bool, err error) {
	part, more, err = h.Rest.Next()
	if holder, ok := h.Rest.(interface{ Held() int64 }); ok {
		now := max(backupHeld, holder.Held())
		h.budget.Change(inflight.Answers, now-h.bytes)
		h.bytes = now
	}
	return part, more, err
}

// Close implements tree.Rest.
func (h *heldRest) Close() {
	h.Rest.Close()
	h.give()
}

func (h *heldRest) give() {
	h.budget.Give(inflight.Answers, h.bytes)
	h.bytes = 0
}
