package httpfront_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"copse/httpfront"
	"copse/httpfront/ops"
	"copse/httpfront/ui"
	"copse/statemachine/auth"
)

// serveOperations serves a page's requests on an operations port of this machine, and returns
// its address.
func serveOperations(t *testing.T, b *treeBackend, o ui.Options, hosts ...string) string {
	t.Helper()
	o.Log, o.Operations = slog.New(slog.DiscardHandler), true
	page := ui.New(o)
	s := httpfront.NewTestServer(b, httpfront.Options{Requests: httpfront.Requests{CORS: []string{"*"}}, Page: page})
	served := make(chan error, 1)
	go func() { served <- s.Serve(page.Door()) }()
	port := httptest.NewServer(ops.Named(hosts, page.Operations()))
	t.Cleanup(func() {
		_ = s.Stop(context.Background()) // parked watches end before the port does
		port.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return strings.TrimPrefix(port.URL, "http://")
}

// visit sends a request to the operations port; header is "Name: value" or "".
func visit(t *testing.T, address, method, path, header string) (*http.Response, string) {
	t.Helper()
	var body io.Reader
	if method == "PUT" || method == "POST" {
		body = strings.NewReader("value=x")
	}
	req, err := http.NewRequest(method, "http://"+address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if name, value, ok := strings.Cut(header, ": "); ok {
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := new(http.Transport).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// What decides who may do what on the operations port: the settings, users, and where a
// request comes from.
func TestTheOperationsPortIsNoHole(t *testing.T) {
	const alice = "Authorization: Basic YWxpY2U6c2VjcmV0"
	for name, c := range map[string]struct {
		write, auth          bool
		method, path, header string
		want                 int
	}{
		"a key is read":                          {false, false, "GET", "/v2/keys/", "", 200},
		"a key is not written":                   {false, false, "PUT", "/v2/keys/a", "", 403},
		"nor made in order":                      {false, false, "POST", "/v2/keys/a", "", 403},
		"nor deleted":                            {false, false, "DELETE", "/v2/keys/a", "", 403},
		"nor by a name that means nothing":       {false, false, "PUT", "/v2/keys/a", alice, 403},
		"nor by a disguised method":              {false, false, "PUT", "/v2/keys/a", "X-HTTP-Method-Override: GET", 403},
		"nor over a path that isn't clean":       {false, false, "PUT", "/v2/../v2/keys/a", "", 403},
		"nor by a method in the query":           {false, false, "GET", "/v2/keys/a?_method=PUT&value=x", "", 404},
		"nor by a method in the form":            {false, false, "POST", "/v2/keys/a?_method=GET&method=GET", "", 403},
		"nor by a method that isn't one":         {false, false, "PATCH", "/v2/keys/a", "", 405},
		"nor by one in small letters":            {false, false, "put", "/v2/keys/a", "", 405},
		"nor by a path that is shown":            {false, false, "PUT", "/v2/stats/self/%2e%2e/%2e%2e/keys/a", "", 403},
		"nor with its path in a header":          {false, false, "PUT", "/version", "X-Original-URL: /v2/keys/a", 403},
		"it is written where that is wanted":     {true, false, "PUT", "/v2/keys/a", "", 201},
		"with auth, the guest doesn't write":     {false, true, "PUT", "/v2/keys/a", "", 403},
		"unless that is wanted":                  {true, true, "PUT", "/v2/keys/a", "", 201},
		"who gives a wrong password doesn't":     {true, true, "PUT", "/v2/keys/a", "Authorization: Basic YWxpY2U6d3Jvbmc=", 401},
		"members are shown":                      {false, false, "GET", "/v2/members", "", 200},
		"members are not added":                  {true, false, "POST", "/v2/members", "", 403},
		"nor removed":                            {true, false, "DELETE", "/v2/members/1", "", 403},
		"nor changed":                            {true, false, "PUT", "/v2/members/1", "", 403},
		"there is no backup":                     {true, false, "GET", "/v2/copse/backup", "", 403},
		"nor users":                              {true, false, "GET", "/v2/auth/users", "", 403},
		"nor are they made":                      {true, false, "PUT", "/v2/auth/users/root", "", 403},
		"nor roles":                              {true, false, "PUT", "/v2/auth/roles/guest", "", 403},
		"auth isn't enabled":                     {true, false, "PUT", "/v2/auth/enable", "", 403},
		"nor in one step":                        {true, false, "POST", "/v2/copse/auth/init", "", 403},
		"nor disabled":                           {true, false, "DELETE", "/v2/auth/enable", "", 403},
		"the log's level isn't set":              {true, false, "PUT", "/v2/../config/local/log", "", 403},
		"shards are shown":                       {false, false, "GET", "/v2/copse/shards", "", 200},
		"and what happened of late":              {false, false, "GET", "/v2/copse/recent", "", 200},
		"to root alone, with auth":               {false, true, "GET", "/v2/copse/recent", "", 401},
		"another site's page reads nothing":      {false, false, "GET", "/v2/keys/", "Origin: http://evil.example", 403},
		"nor where browsers say so otherwise":    {false, false, "GET", "/v2/keys/", "Sec-Fetch-Site: cross-site", 403},
		"nor one of a sandbox":                   {false, false, "GET", "/v2/keys/", "Origin: null", 403},
		"nor does it write":                      {true, false, "PUT", "/v2/keys/a", "Origin: http://evil.example", 403},
		"nor with a POST, which isn't asked for": {true, false, "POST", "/v2/keys/a", "Origin: http://evil.example", 403},
		"nor may it ask":                         {true, false, "OPTIONS", "/v2/keys/a", "Origin: http://evil.example", 403},
		"a strange name isn't this server":       {true, false, "GET", "/v2/keys/", "Host: evil.example", 421},
		"nor one that begins as an address":      {true, false, "GET", "/v2/keys/", "Host: 127.0.0.1.evil.example", 421},
		"nor one that only browsers shorten":     {true, false, "GET", "/v2/keys/", "Host: 0x7f.1", 421},
		"nor is none":                            {true, false, "PUT", "/v2/keys/a", "Host: :2381", 421},
		"nor does its own page write":            {true, false, "PUT", "/v2/keys/a", "Host: evil.example", 421},
		"nor does it get the page":               {true, false, "GET", "/ui/", "Host: evil.example:2381", 421},
		"a name of the settings is":              {true, false, "GET", "/ui/", "Host: M1.example.com:2381", 200},
		"localhost is":                           {true, false, "GET", "/ui/", "Host: localhost:2381", 200},
		"an address is":                          {true, false, "GET", "/ui/", "Host: [::1]:2381", 200},
		"the page has no other method":           {true, false, "POST", "/ui/", "", 405},
		"nor other files":                        {true, false, "GET", "/ui/../page.go", "", 404},
		"nor folders":                            {true, false, "GET", "/ui/%2e%2e/files.go", "", 404},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTreeBackend()
			guest := &auth.Role{Name: auth.Guest, Permissions: auth.Permissions{Read: []string{"/*"}, Write: []string{"/*"}}}
			b.auth.Store(auth.NewState(c.auth, nil, []*auth.Role{guest}))
			address := serveOperations(t, b, ui.Options{Writes: c.write}, "m1.example.com")
			resp, body := visit(t, address, c.method, c.path, c.header)
			if resp.StatusCode == 301 || resp.StatusCode == 307 {
				resp, body = visit(t, address, c.method, resp.Header.Get("Location"), c.header)
			}
			if resp.StatusCode != c.want {
				t.Errorf("got %s %s", resp.Status, body)
			}
			if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("pages of %s may read the answer", got)
			}
			if wrote := b.last > 3; wrote != (c.want == 201) {
				t.Errorf("index %d, and the answer is %d", b.last, c.want)
			}
		})
	}
}

// Requests that Go's client wouldn't send: what a write is disguised as, or hidden in.
func TestNoWriteSlipsThrough(t *testing.T) {
	const (
		form  = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nvalue=x"
		write = "PUT /v2/keys/a HTTP/1.1\r\nHost: evil.example\r\n" + form
	)
	b := newTreeBackend()
	address := serveOperations(t, b, ui.Options{})
	before := b.last
	for name, raw := range map[string]string{
		"HTTP/1.0":                "PUT /v2/keys/a HTTP/1.0\r\nHost: 127.0.0.1\r\n" + form,
		"HTTP/1.0 without a host": "PUT /v2/keys/a HTTP/1.0\r\n" + form,
		"HTTP/0.9":                "PUT /v2/keys/a\r\n\r\nvalue=x",
		"a whole URL":             "PUT http://127.0.0.1/v2/keys/a HTTP/1.1\r\nHost: evil.example\r\n" + form,
		"another's URL":           "PUT http://evil.example/v2/keys/a HTTP/1.1\r\nHost: 127.0.0.1\r\n" + form,
		"two lengths":             "GET /v2/keys/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nContent-Length: 90\r\n\r\n" + write,
		"a body that is one":      "GET /v2/keys/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 130\r\n\r\n" + write,
		"behind an empty chunk":   "GET /v2/keys/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + write,
		"an odd encoding":         "GET /v2/keys/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: xchunked\r\n\r\n" + write,
		"a line end in the path":  "GET /v2/keys/a%0d%0aContent-Length:%200%0d%0a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + write,
		"a line end in the host":  "PUT /v2/keys/a HTTP/1.1\r\nHost: 127.0.0.1%0d%0aX: y\r\n" + form,
		"an upgrade":              "PUT /v2/keys/a HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + form,
		"a header that goes":      "PUT /v2/keys/a HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Host, Content-Type\r\n" + form,
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, raw); err == nil {
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c) // until it has answered all that it takes for requests
		}
		_ = c.Close()
		if b.last != before {
			t.Errorf("%s: index %d, was %d", name, b.last, before)
			before = b.last
		}
	}
}

func TestTheMemberSaysThatItDoesNotServeYet(t *testing.T) {
	page := ui.New(ui.Options{Log: slog.New(slog.DiscardHandler), Operations: true})
	port := httptest.NewServer(page.Operations())
	defer port.Close()
	_ = page.Door().Close()
	if resp, body := visit(t, strings.TrimPrefix(port.URL, "http://"), "GET", "/v2/keys/", ""); resp.StatusCode != 500 || !strings.Contains(body, `"errorCode":300`) {
		t.Errorf("got %s %s", resp.Status, body)
	}
}

func TestAClientIsToldWhatItMayDo(t *testing.T) {
	s := serve(t, httpfront.Options{})
	for target, want := range map[string]answer{
		"/v2/copse/access?key=/a": {200, "", jsonT, `{"auth":false,"user":"","read":true,"write":true,"root":true}`},
		"/v2/copse/access":        {400, "", jsonT, message("key must be a key, which begins with a slash")},
		"/ui/":                    {404, "", text, "404 page not found\n"}, // without the setting
	} {
		if got := parse(t, s.send(lines("GET "+target+" HTTP/1.1", "Host: h"))); got != want {
			t.Errorf("%s: got %+v want %+v", target, got, want)
		}
	}
}

func TestThePageOnTheClientPort(t *testing.T) {
	s := serve(t, httpfront.Options{Page: ui.New(ui.Options{Log: slog.New(slog.DiscardHandler), Clients: true})})
	raw := s.send(lines("GET /ui/ HTTP/1.1", "Host: h"))
	for _, want := range []string{"200 OK", "Content-Security-Policy: default-src 'none'", "text/html", "<!doctype html>"} {
		if !strings.Contains(raw, want) {
			t.Errorf("%s is missing in %.600s", want, raw)
		}
	}
	if raw := s.send(lines("GET /ui HTTP/1.1", "Host: h")); !strings.Contains(raw, "301 Moved Permanently") {
		t.Errorf("got %s", raw)
	}
}
