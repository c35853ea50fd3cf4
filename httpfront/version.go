package httpfront

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

// EtcdVersion is the version of etcd that the answers are modelled on. Clients branch
// on what /version says, on the version of the cluster too.
const (
	EtcdVersion        = "3.4.23"
	etcdClusterVersion = "3.4.0"
)

func (s *Server) serveVersion(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetContentTypeBytes(typeJSON)
	body := append(takeBody(ctx), `{"etcdserver":`...)
	body = tree.AppendString(body, EtcdVersion)
	body = append(body, `,"etcdcluster":`...)
	body = tree.AppendString(body, etcdClusterVersion)
	ctx.Response.SwapBody(append(body, '}'))
}

// serveHealth is for load balancers. The type is text although the body is JSON, as in
// etcd.
func (s *Server) serveHealth(ctx *fasthttp.RequestCtx) {
	if !s.backend.Healthy() {
		writeText(ctx, fasthttp.StatusServiceUnavailable, `{"health":"false"}`)
		return
	}
	ctx.Response.Header.SetContentTypeBytes(typePlain)
	ctx.Response.SetBodyString(`{"health":"true"}`)
}

// serveMachines lists the client URLs of all members that have started, for clients from
// the time of v1.
func (s *Server) serveMachines(ctx *fasthttp.RequestCtx) {
	var urls []string
	for _, member := range s.backend.Cluster().Members {
		urls = append(urls, member.ClientURLs...)
	}
	slices.Sort(urls)
	ctx.Response.Header.SetContentTypeBytes(typePlain)
	ctx.Response.SetBodyString(strings.Join(urls, ", "))
}
