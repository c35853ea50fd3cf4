package v2

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// A write has an id of its own, so that it can be sent again if nobody knows whether it was made. etcd,
// and older versions of copse, ignore the id: so only what says that it knows ids is sent it again.

const idParam = "requestId"

// repeatable gives a write an id.
func repeatable(r Request) Request {
	query := maps.Clone(r.Query)
	if query == nil {
		query = url.Values{}
	}
	query.Set(idParam, rand.Text())
	r.Query, r.Repeatable = query, true
	return r
}

// once is the same without its id.
func (r Request) once() Request {
	r.Query, r.Repeatable = maps.Clone(r.Query), false
	r.Query.Del(idParam)
	return r
}

// needless reports whether a server refused a write only because it can't keep the answer: a mirror,
// say, or a cluster that is being upgraded. It has not been made then.
func needless(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && strings.HasPrefix(e.Cause, idParam+" can't be used: ")
}

// repeats asks a server whether it knows ids. Those that do have transactions too, which are for POST.
func (c *Client) repeats(ctx context.Context, u *url.URL) bool {
	_, err := c.send(ctx, u, Request{Method: http.MethodGet, Path: txnPath})
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusMethodNotAllowed
}
