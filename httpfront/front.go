package httpfront

import (
	"bytes"
	_ "embed"
	"strings"

	"github.com/valyala/fasthttp"

	"copse/httpfront/ui"
)

// openAPI describes every route. docs/API.md is the same for people.
//
//go:embed openapi.yaml
var openAPI []byte

func (s *Server) serveOpenAPI(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetContentType("application/yaml")
	ctx.Response.SetBodyRaw(openAPI)
}

// front is the page that a browser gets at /. PAGE stands for the link to the web page.
const front = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>copse</title>
<h1>copse</h1>
<p>This server speaks the etcd v2 API.</p>
<ul>
PAGE<li><a href="/v2/keys/">Keys</a></li>
<li><a href="/v2/members">Members</a></li>
<li><a href="/readyz?verbose">Readiness</a>, <a href="/health">health</a>, <a href="/metrics">metrics</a></li>
<li><a href="/v2/stats/self">Statistics: this member</a>, <a href="/v2/stats/leader">the leader</a>, <a href="/v2/stats/store">operations</a></li>
<li><a href="/version">Version of the API</a>, <a href="/v2/copse/openapi.yaml">OpenAPI</a></li>
</ul>
`

const linkToPage = `<li><a href="` + ui.Prefix + `/">Browse and watch</a></li>` + "\n"

// serveFront serves the page of links to browsers, and to all others etcd's answer.
func (s *Server) serveFront(ctx *fasthttp.RequestCtx, x *exchange, _ string) {
	browser := bytes.Contains(ctx.Request.Header.Peek(fasthttp.HeaderAccept), []byte("text/html"))
	if !browser || x.method&(methodGet|methodHead) == 0 {
		notFound(ctx)
		return
	}
	h := &ctx.Response.Header
	h.SetContentType("text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept")
	link := ""
	if s.hasPage() {
		link = linkToPage
	}
	ctx.Response.SetBodyString(strings.Replace(front, "PAGE", link, 1))
}
