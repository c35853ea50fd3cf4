package httpfront_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/httpfront"
	"copse/statemachine/tree"
)

// patience is how long a test waits for what must come; it says nothing about
// how fast that is.
const patience = 30 * time.Second

// site is a running server.
type site struct {
	t       *testing.T
	backend *treeBackend
	server  *httpfront.Server
	addr    string
	served  chan error
}

func serve(t *testing.T, o httpfront.Options) *site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newTreeBackend()
	s := &site{t: t, backend: b, server: httpfront.NewTestServer(b, o), addr: ln.Addr().String(), served: make(chan error, 1)}
	s.server.SetClock(b.now)
	go func() { s.served <- s.server.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.server.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := <-s.served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// stop stops the server, whose log is whole then.
func (s *site) stop() {
	s.t.Helper()
	if err := s.server.Stop(context.Background()); err != nil {
		s.t.Errorf("stop: %v", err)
	}
}

func (s *site) dial() *net.TCPConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// send sends raw bytes on a connection of their own, and no more, and returns
// all that comes back until the server closes. A date becomes DATE.
func (s *site) send(request string) string {
	s.t.Helper()
	c := s.dial()
	if _, err := io.WriteString(c, request); err != nil {
		s.t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		s.t.Fatal(err)
	}
	return readAll(s.t, c)
}

var date = regexp.MustCompile(`\r\nDate: [A-Z][a-z]{2}, [^\r]* GMT\r\n`)

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	answer, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read: %v, after %.500q", err, answer)
	}
	return date.ReplaceAllString(string(answer), "\r\nDate: DATE\r\n")
}

// lines turns a test's text into bytes of HTTP up to the blank line.
func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n\r\n" }

func get(target string) string { return lines("GET "+target+" HTTP/1.1", "Host: h") }

func form(method, target, body string) string {
	return lines(method+" "+target+" HTTP/1.1", "Host: h", "Content-Type: application/x-www-form-urlencoded",
		"Content-Length: "+itoa(len(body))) + body
}

// idLine is what every answer carries.
const idLine = "X-Etcd-Cluster-Id: 8b4b1c05fdb811e"

func TestAnswersOnTheWire(t *testing.T) {
	badRequest := func(reason string) string {
		text := "400 Bad Request" + reason
		return lines("HTTP/1.1 "+text, "Date: DATE", "Content-Type: text/plain; charset=utf-8",
			"Content-Length: "+itoa(len(text)), "Connection: close") + text
	}
	keyHead := []string{"Content-Type: application/json", "Content-Length: 37", idLine, `ETag: W/"000051fe-3"`,
		"X-Etcd-Index: 3", "X-Raft-Index: 5", "X-Raft-Term: 2"}
	head := func(first string, rest ...string) string {
		return lines(append([]string{first, "Date: DATE"}, rest...)...)
	}
	const root = `{"action":"get","node":{"dir":true}}` + "\n"
	for name, c := range map[string]struct{ request, want string }{
		"a key answer": {
			get("/v2/keys"),
			head("HTTP/1.1 200 OK", keyHead...) + root,
		},
		"HEAD has the length of what GET sends": {
			lines("HEAD /v2/keys/ HTTP/1.1", "Host: h"),
			head("HTTP/1.1 200 OK", keyHead...),
		},
		"HTTP/1.0": {
			lines("GET /v2/keys/ HTTP/1.0"),
			head("HTTP/1.0 200 OK", append(keyHead, "Connection: close")...) + root,
		},
		"absolute form": {
			get("http://elsewhere:1/v2/keys/"),
			head("HTTP/1.1 200 OK", keyHead...) + root,
		},
		"a key error has no raft headers": {
			get("/v2/keys/a%2Fb"),
			head("HTTP/1.1 404 Not Found", "Content-Type: application/json", "Content-Length: 67",
				idLine, "X-Etcd-Index: 3") +
				`{"errorCode":100,"message":"Key not found","cause":"/a","index":3}` + "\n",
		},
		"what a client has": {
			lines("GET /v2/keys/ HTTP/1.1", "Host: h", `If-None-Match: "x", "000051fe-3"`),
			head("HTTP/1.1 304 Not Modified", idLine, `ETag: W/"000051fe-3"`, "X-Etcd-Index: 3", "X-Raft-Index: 5", "X-Raft-Term: 2"),
		},
		"whatever there is": {
			lines("HEAD /v2/keys/ HTTP/1.1", "Host: h", `If-None-Match: *`),
			head("HTTP/1.1 304 Not Modified", idLine, `ETag: W/"000051fe-3"`, "X-Etcd-Index: 3", "X-Raft-Index: 5", "X-Raft-Term: 2"),
		},
		"whatever there is not": {
			lines("GET /v2/keys/a HTTP/1.1", "Host: h", `If-None-Match: *`),
			head("HTTP/1.1 404 Not Found", "Content-Type: application/json", "Content-Length: 67",
				idLine, "X-Etcd-Index: 3") +
				`{"errorCode":100,"message":"Key not found","cause":"/a","index":3}` + "\n",
		},
		"what a client has had": {
			lines("GET /v2/keys/ HTTP/1.1", "Host: h", `If-None-Match: W/"000051fe-2", W/"000051fe-4"`, `If-None-Match: "000051ff-3"`),
			head("HTTP/1.1 200 OK", keyHead...) + root,
		},
		"a condition of a write means nothing": {
			lines("PUT /v2/keys/n?value=v HTTP/1.1", "Host: h", `If-None-Match: *`, "Content-Length: 0"),
			head("HTTP/1.1 201 Created", "Content-Type: application/json", "Content-Length: 84",
				idLine, "X-Etcd-Index: 4", "X-Raft-Index: 6", "X-Raft-Term: 2") +
				`{"action":"set","node":{"key":"/n","value":"v","modifiedIndex":4,"createdIndex":4}}` + "\n",
		},
		"a file's tag": {
			lines("PUT /v2/keys/n?value=v HTTP/1.1", "Host: h", "Content-Length: 0") + get("/v2/keys/n") +
				lines("GET /v2/keys/n HTTP/1.1", "Host: h", `If-None-Match: "000051fe-4"`),
			head("HTTP/1.1 201 Created", "Content-Type: application/json", "Content-Length: 84",
				idLine, "X-Etcd-Index: 4", "X-Raft-Index: 6", "X-Raft-Term: 2") +
				`{"action":"set","node":{"key":"/n","value":"v","modifiedIndex":4,"createdIndex":4}}` + "\n" +
				head("HTTP/1.1 200 OK", "Content-Type: application/json", "Content-Length: 84",
					idLine, `ETag: "000051fe-4"`, "X-Etcd-Index: 4", "X-Raft-Index: 6", "X-Raft-Term: 2") +
				`{"action":"get","node":{"key":"/n","value":"v","modifiedIndex":4,"createdIndex":4}}` + "\n" +
				head("HTTP/1.1 304 Not Modified",
					idLine, `ETag: "000051fe-4"`, "X-Etcd-Index: 4", "X-Raft-Index: 6", "X-Raft-Term: 2"),
		},
		"unknown path": {
			get("/v2/keysfoo"),
			head("HTTP/1.1 404 Not Found", "Content-Type: text/plain; charset=utf-8", "Content-Length: 19", idLine,
				"X-Content-Type-Options: nosniff") + "404 page not found\n",
		},
		"unknown method": {
			lines("PATCH /v2/keys/a HTTP/1.1", "Host: h"),
			head("HTTP/1.1 405 Method Not Allowed", "Content-Type: text/plain; charset=utf-8", "Content-Length: 19", idLine,
				"Allow: HEAD,GET,PUT,POST,DELETE", "X-Content-Type-Options: nosniff") + "Method Not Allowed\n",
		},
		"OPTIONS anywhere": {
			lines("OPTIONS /no/where HTTP/1.1", "Host: h"),
			head("HTTP/1.1 200 OK", "Content-Length: 0", idLine),
		},
		"unclean path": {
			get("/v2/keys//a%20b/%2e?x=1&y=%20"),
			head("HTTP/1.1 301 Moved Permanently", "Content-Type: text/html; charset=utf-8", "Content-Length: 63", idLine,
				"Location: /v2/keys/a%20b?x=1&y=%20") +
				"<a href=\"/v2/keys/a%20b?x=1&amp;y=%20\">Moved Permanently</a>.\n\n",
		},
		"unclean path of a write": {
			lines("DELETE /v2/keys/../../v2/keys/a/ HTTP/1.1", "Host: h"),
			head("HTTP/1.1 301 Moved Permanently", "Content-Length: 0", idLine, "Location: /v2/keys/a/"),
		},
		"dots don't climb out of the tree": {
			get("/v2/keys/%2e%2e/%2e%2e/%2e%2e/version"),
			head("HTTP/1.1 301 Moved Permanently", "Content-Type: text/html; charset=utf-8", "Content-Length: 43", idLine,
				"Location: /version") + "<a href=\"/version\">Moved Permanently</a>.\n\n",
		},
		"bad escape in the path": {get("/v2/keys/%zz"), badRequest("")},
		"no host":                {lines("GET /v2/keys/ HTTP/1.1"), badRequest(": missing required Host header")},
		"nonsense":               {"nonsense\r\n\r\n", badRequest("")},
		"length that is none":    {lines("PUT /v2/keys/a HTTP/1.1", "Host: h", "Content-Length: x"), badRequest("")},
		"two hosts":              {lines("GET /v2/keys/ HTTP/1.1", "Host: a", "Host: b"), badRequest("")},
		"unknown transfer coding": {
			lines("PUT /v2/keys/a HTTP/1.1", "Host: h", "Transfer-Encoding: gzip"),
			head("HTTP/1.1 501 Not Implemented", "Content-Type: text/plain; charset=utf-8", "Content-Length: 29",
				"Connection: close") + "Unsupported transfer encoding",
		},
		"unknown version":        {lines("GET /v2/keys/ HTTP/3.7", "Host: h"), badRequest("")},
		"a header's name in two": {lines("GET /v2/keys/ HTTP/1.1", "Host: h", "Sp ace: x"), badRequest(": invalid header name")},
		"folded header":          {lines("GET /v2/keys/ HTTP/1.1", "Host: h", "X: a", " b c: d"), badRequest("")},
		"the first of two types counts": {
			lines("PUT /v2/keys/two HTTP/1.1", "Host: h", "content-TYPE:  application/x-www-form-urlencoded ",
				"Content-Type: text/plain", "Content-Length: 7") + "value=v",
			head("HTTP/1.1 201 Created", "Content-Type: application/json", "Content-Length: 86",
				idLine, "X-Etcd-Index: 4", "X-Raft-Index: 6", "X-Raft-Term: 2") +
				`{"action":"set","node":{"key":"/two","value":"v","modifiedIndex":4,"createdIndex":4}}` + "\n",
		},
		"unknown expectation": {
			lines("GET /v2/keys/ HTTP/1.1", "Host: h", "Expect: wonders"),
			head("HTTP/1.1 417 Expectation Failed", "Content-Length: 0", idLine, "Connection: close"),
		},
		"headers too large": {
			lines("GET /v2/keys/ HTTP/1.1", "Host: h", "X: "+strings.Repeat("x", 40<<10)),
			head("HTTP/1.1 431 Request Header Fields Too Large", "Content-Type: text/plain; charset=utf-8",
				"Content-Length: 35", "Connection: close") + "431 Request Header Fields Too Large",
		},
		"pipelined": {
			get("/v2/keys") + form("PUT", "/v2/keys/p", "value=1") + lines("DELETE /v2/keys/p?prevValue=2 HTTP/1.1", "Host: h"),
			head("HTTP/1.1 200 OK", keyHead...) + root +
				head("HTTP/1.1 201 Created", "Content-Type: application/json", "Content-Length: 84",
					idLine, "X-Etcd-Index: 4", "X-Raft-Index: 6", "X-Raft-Term: 2") +
				`{"action":"set","node":{"key":"/p","value":"1","modifiedIndex":4,"createdIndex":4}}` + "\n" +
				head("HTTP/1.1 412 Precondition Failed", "Content-Type: application/json", "Content-Length: 74",
					idLine, "X-Etcd-Index: 4") +
				`{"errorCode":101,"message":"Compare failed","cause":"[2 != 1]","index":4}` + "\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, httpfront.Options{})
			if got := s.send(c.request); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestOversizedBodies(t *testing.T) {
	const refused = `{"errorCode":210,"message":"Invalid POST form","cause":"http: POST too large","index":0}` + "\n"
	chunked := func(body string) string {
		return lines("PUT /v2/keys/a HTTP/1.1", "Host: h", "Content-Type: application/x-www-form-urlencoded",
			"Transfer-Encoding: chunked") + itoa16(len(body)) + "\r\n" + body + "\r\n0\r\n\r\n"
	}
	value := func(n int) string { return "value=" + strings.Repeat("x", n-len("value=")) }
	for name, c := range map[string]struct {
		request string
		want    []string
	}{
		"as large as may be": {
			form("PUT", "/v2/keys/a?noValueOnSuccess=true", value(1000)) + get("/version"),
			[]string{"201 Created", `{"action":"set"}` + "\n", "200 OK"},
		},
		"a byte too large leaves the connection usable": {
			form("PUT", "/v2/keys/a", value(1001)) + get("/version"),
			[]string{"400 Bad Request", "X-Etcd-Index: 0", refused, "200 OK"},
		},
		"much too large":           {form("PUT", "/v2/keys/a", value(1<<20)), []string{"400 Bad Request", "Connection: close", refused}},
		"much too large, chunked":  {chunked(value(1 << 20)), []string{"400 Bad Request", "Connection: close", refused}},
		"too large, chunked":       {chunked(value(1001)), []string{"400 Bad Request", refused}},
		"a chunk without a length": {lines("PUT /v2/keys/a HTTP/1.1", "Host: h", "Transfer-Encoding: chunked") + "zz\r\n", []string{"400 Bad Request", "Connection: close", "400 Bad Request"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, httpfront.Options{Requests: httpfront.Requests{MaxRequestBytes: 1000}})
			got := s.send(c.request)
			rest := got
			for _, want := range c.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("no %q in order in\n%s", want, got)
				}
				rest = after
			}
		})
	}
}

func TestHalfSentRequestsEndSilently(t *testing.T) {
	for name, request := range map[string]string{
		"nothing":      "",
		"half a line":  "GET /v2/ke",
		"half a head":  "PUT /v2/keys/a HTTP/1.1\r\nHost: h\r\nContent-Le",
		"half a body":  lines("PUT /v2/keys/a HTTP/1.1", "Host: h", "Content-Length: 100") + "value=",
		"half a chunk": lines("PUT /v2/keys/a HTTP/1.1", "Host: h", "Transfer-Encoding: chunked") + "64\r\nvalue=",
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, httpfront.Options{Requests: httpfront.Requests{ReadTimeout: 20 * time.Millisecond}})
			c := s.dial()
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, c); strings.HasPrefix(got, "HTTP/1.1 2") {
				t.Errorf("got %q", got)
			}
			if s.backend.State().Index != 3 {
				t.Error("half a request changed the tree")
			}
		})
	}
}

func TestLongListingsAreStreamed(t *testing.T) {
	t.Run("whole", func(t *testing.T) {
		s := serve(t, httpfront.Options{})
		s.backend.parts = []string{"head,", strings.Repeat("x", 100_000), ",tail\n"}
		got := s.send(lines("GET /v2/keys/parts HTTP/1.1", "Host: h") + get("/version"))
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.Contains(head, "\r\nTransfer-Encoding: chunked") || !strings.Contains(head, "\r\nX-Etcd-Index: 3") {
			t.Errorf("head: got %s", head)
		}
		if n := strings.Count(body, "x"); n < 100_000 || !strings.Contains(body, "0\r\n\r\nHTTP/1.1 200 OK") {
			t.Errorf("body: got %d x, and %.200q", n, body[len(body)-200:])
		}
		s.wantClosedListings(1)
	})
	t.Run("whose length is known", func(t *testing.T) {
		s := serve(t, httpfront.Options{})
		text := strings.Repeat("x", 100_000)
		s.backend.parts, s.backend.sized = []string{"", text, text, "tail\n"}, true
		for _, method := range []string{"GET", "HEAD"} {
			got := s.send(lines(method+" /v2/keys/parts HTTP/1.1", "Host: h") + get("/version"))
			head, body, _ := strings.Cut(got, "\r\n\r\n")
			if strings.Contains(head, "chunked") || !strings.Contains(head, "\r\nContent-Length: 200005") {
				t.Errorf("%s: head: got %s", method, head)
			}
			if body, ok := strings.CutPrefix(body, text+text+"tail\n"); ok != (method == "GET") || !strings.HasPrefix(body, "HTTP/1.1 200 OK") {
				t.Errorf("%s: body: %t, then %.200q", method, ok, body)
			}
		}
		s.wantClosedListings(2)
	})
	t.Run("for HTTP/1.0", func(t *testing.T) {
		s := serve(t, httpfront.Options{})
		s.backend.parts = []string{"a", "b", "c\n"}
		got := s.send(lines("GET /v2/keys/parts HTTP/1.0"))
		if strings.Count(got, "ETag: W/\"000051fe-3\"\r\n") != 1 || strings.Contains(got, "Content-Length") || strings.Contains(got, "chunked") || !strings.HasSuffix(got, "\r\n\r\nabc\n") {
			t.Errorf("got %s", got)
		}
		if got := s.send(lines("HEAD /v2/keys/parts HTTP/1.0")); !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\n") {
			t.Errorf("HEAD: got %s", got)
		}
		s.wantClosedListings(2)
	})
	t.Run("HEAD", func(t *testing.T) {
		s := serve(t, httpfront.Options{})
		s.backend.parts = []string{"a", "b"}
		got := s.send(lines("HEAD /v2/keys/parts HTTP/1.1", "Host: h") + get("/version"))
		if !strings.Contains(got, "\r\n\r\nHTTP/1.1 200 OK") {
			t.Errorf("got %s", got)
		}
		s.wantClosedListings(1)
	})
	t.Run("that fail are cut off", func(t *testing.T) {
		s := serve(t, httpfront.Options{})
		s.backend.parts, s.backend.partErr = []string{"a", "b"}, errors.New("disk on fire")
		got := s.send(get("/v2/keys/parts") + get("/version"))
		if strings.Contains(got, "0\r\n\r\n") || strings.Contains(got, "fire") {
			t.Errorf("got a complete answer: %s", got)
		}
		s.wantClosedListings(1)
	})
	t.Run("to a client that leaves", func(t *testing.T) {
		s := serve(t, httpfront.Options{})
		s.backend.parts = []string{"a"}
		for range 1000 {
			s.backend.parts = append(s.backend.parts, strings.Repeat("x", 100_000))
		}
		c := s.dial()
		if _, err := io.WriteString(c, get("/v2/keys/parts")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetLinger(0)
		_ = c.Close()
		s.wantClosedListings(1)
	})
	t.Run("to a client that never reads", func(t *testing.T) {
		s := serve(t, httpfront.Options{Requests: httpfront.Requests{WriteTimeout: 20 * time.Millisecond}})
		s.backend.parts = []string{"a"}
		for range 1000 {
			s.backend.parts = append(s.backend.parts, strings.Repeat("x", 100_000))
		}
		c := s.dial()
		if _, err := io.WriteString(c, get("/v2/keys/parts")); err != nil {
			t.Fatal(err)
		}
		s.wantClosedListings(1)
	})
}

func TestBytesAsTheyAre(t *testing.T) {
	s := serve(t, httpfront.Options{Requests: httpfront.Requests{MaxRequestBytes: 100}})
	put := func(target, kind, body string) string {
		return s.send(lines("PUT /v2/keys"+target+" HTTP/1.1", "Host: h", "Content-Type: "+kind, "Content-Length: "+itoa(len(body))) + body)
	}
	const binary = "\x00value=%zz&\xff;"
	for _, kind := range []string{"application/x-www-form-urlencoded", "application/octet-stream", "multipart/form-data", "!"} {
		if got := put("/bin?raw=true&noValueOnSuccess=1", kind, binary); !strings.HasSuffix(got, `{"action":"set"}`+"\n") {
			t.Errorf("PUT of %s: %s", kind, got)
		}
	}
	put("/text?raw=1", "text/html", "<p>grüezi")
	put("/none?raw=t&ttl=60", "", "")
	for _, c := range []struct {
		target, fields string
		status, kind   string
		more, body     string
	}{
		{"/bin?raw=true", "", "200 OK", "application/octet-stream", `ETag: "000051fe-7"`, binary},
		{"/text?raw=true", "", "200 OK", "text/plain; charset=utf-8", `ETag: "000051fe-8"`, "<p>grüezi"},
		{"/none?raw=true", "", "200 OK", "text/plain; charset=utf-8", `ETag: "000051fe-9"`, ""},
		{"/text?raw=true", "Range: bytes=3-4", "206 Partial Content", "text/plain; charset=utf-8", "Content-Range: bytes 3-4/10", "gr"},
		{"/text?raw=true", "Range: bytes=-2", "206 Partial Content", "text/plain; charset=utf-8", "Content-Range: bytes 8-9/10", "zi"},
		{"/text?raw=true", "Range: bytes=10-", "416 Requested Range Not Satisfiable", "text/plain; charset=utf-8", "Content-Range: bytes */10", ""},
		{"/text?raw=true", "Range: bytes=0-1,3-4", "200 OK", "text/plain; charset=utf-8", "", "<p>grüezi"},
		{"/text?raw=true", "Range: bytes=3-4\r\nIf-Range: \"000051fe-8\"", "206 Partial Content", "text/plain; charset=utf-8", "", "gr"},
		{"/text?raw=true", "Range: bytes=3-4\r\nIf-Range: \"000051fe-7\"", "200 OK", "text/plain; charset=utf-8", "", "<p>grüezi"},
		{"/text?raw=true", "Range: bytes=3-4\r\nIf-Range: W/\"000051fe-8\"", "200 OK", "text/plain; charset=utf-8", "", "<p>grüezi"},
		{"/text?raw=true", "If-None-Match: \"000051fe-8\"\r\nRange: bytes=3-4", "304 Not Modified", "", "X-Copse-Modified-Index: 8", ""},
	} {
		got := s.send(lines("GET /v2/keys"+c.target+" HTTP/1.1", "Host: h", "Accept-Encoding: gzip", "X: x\r\n"+c.fields))
		if c.fields == "" {
			got = s.send(lines("GET /v2/keys"+c.target+" HTTP/1.1", "Host: h", "Accept-Encoding: gzip"))
		}
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 "+c.status) || body != c.body || !strings.Contains(head, c.more) ||
			c.kind != "" && !strings.Contains(head, "\r\nContent-Type: "+c.kind+"\r\n") || c.kind != "" && !strings.Contains(head, "\r\nX-Content-Type-Options: nosniff\r\n") {
			t.Errorf("%s %s: got %q", c.target, c.fields, got)
		}
	}
	if got := s.send(lines("HEAD /v2/keys/text?raw=true HTTP/1.1", "Host: h", "Range: bytes=0-1")); !strings.Contains(got, "\r\nContent-Length: 10\r\n") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("HEAD: %s", got)
	}
	before := s.backend.State().Index
	for request, want := range map[string]string{
		lines("GET /v2/keys/?raw=true HTTP/1.1", "Host: h"):                                                       `"errorCode":102`,
		lines("GET /v2/keys/text?raw=maybe HTTP/1.1", "Host: h"):                                                  `"errorCode":209`,
		lines("GET /v2/keys/text?raw=true&wait=true HTTP/1.1", "Host: h"):                                         `"errorCode":209`,
		lines("GET /v2/keys/text?raw=true&depth=2 HTTP/1.1", "Host: h"):                                           `"errorCode":209`,
		lines("DELETE /v2/keys/text?raw=true HTTP/1.1", "Host: h"):                                                `"errorCode":209`,
		lines("PUT /v2/keys/text?raw=true&value=x HTTP/1.1", "Host: h", "Content-Length: 1") + "y":                `"errorCode":209`,
		lines("PUT /v2/keys/text?raw=true&prevIndex=x HTTP/1.1", "Host: h", "Content-Length: 1") + "y":            `"errorCode":203`,
		lines("PUT /v2/keys/text?raw=true&x=%zz HTTP/1.1", "Host: h", "Content-Length: 1") + "y":                  `"errorCode":210`,
		lines("PUT /v2/keys/text?raw=true HTTP/1.1", "Host: h", "Content-Length: 101") + strings.Repeat("y", 101): `"errorCode":210`,
		lines("PUT /v2/keys/text?raw=true&refresh=true&ttl=5 HTTP/1.1", "Host: h", "Content-Length: 1") + "y":     `"errorCode":211`,
		form("PUT", "/v2/keys/text", "value=x&raw=true"):                                                          `"errorCode":209`,
		lines("PUT /v2/keys/text?r%61w=true HTTP/1.1", "Host: h", "Content-Length: 1") + "y":                      `"errorCode":209`,
	} {
		if got := s.send(request); !strings.Contains(got, want) {
			t.Errorf("%.60q: got %s", request, got)
		}
	}
	if after := s.backend.State().Index; after != before {
		t.Errorf("%d changes by what was refused", after-before)
	}
	if got := form("PUT", "/v2/keys/a", "value=%72aw&x=raw%3D1"); !strings.Contains(s.send(got), `"value":"raw"`) {
		t.Error("an ordinary form")
	}
	if got := put("/q?raw=false&value=q", "text/plain", "ignored"); !strings.Contains(got, `"value":"q"`) {
		t.Errorf("raw=false: %s", got)
	}
	if got := s.send(lines("POST /v2/keys/queue?raw=true HTTP/1.1", "Host: h", "Transfer-Encoding: chunked") + "3\r\na&b\r\n0\r\n\r\n"); !strings.Contains(got, `"value":"a\u0026b"`) {
		t.Errorf("POST in chunks: %s", got)
	}
}

func TestListingsAreCompressedForWhoeverWants(t *testing.T) {
	s := serve(t, httpfront.Options{Requests: httpfront.Requests{WriteTimeout: 20 * time.Millisecond}})
	long := strings.Repeat("x", 100_000)
	for i, c := range []struct {
		name, first, accepts string
		want                 bool
	}{
		{"GET of one that accepts", "GET /v2/keys/parts HTTP/1.1", "gzip", true},
		{"GET of one that doesn't", "GET /v2/keys/parts HTTP/1.1", "gzip;q=0", false},
		{"HEAD", "HEAD /v2/keys/parts HTTP/1.1", "gzip", false},
		{"HTTP/1.0", "GET /v2/keys/parts HTTP/1.0", "gzip", false},
	} {
		s.backend.parts = []string{"head,", long, ",tail\n"}
		got := s.send(lines(c.first, "Host: h", "Accept-Encoding: "+c.accepts) + get("/version"))
		head, rest, _ := strings.Cut(got, "\r\n\r\n")
		if zipped := strings.Contains(head, "\r\nContent-Encoding: gzip") && strings.Contains(head, "\r\nVary: Accept-Encoding"); zipped != c.want {
			t.Errorf("%s: got %s", c.name, head)
		}
		if plain := strings.Contains(rest, long); plain != (!c.want && !strings.HasPrefix(c.first, "HEAD")) {
			t.Errorf("%s: plain: %v", c.name, plain)
		}
		if strings.Contains(c.first, "1.1") && !strings.Contains(rest, "HTTP/1.1 200 OK") {
			t.Errorf("%s: no answer to what follows", c.name)
		}
		s.wantClosedListings(i + 1)
	}
	// A file isn't compressed, whatever is accepted.
	value := strings.Repeat("v", 10_000)
	if got := s.send(form("PUT", "/v2/keys/file", "value="+value) + lines("GET /v2/keys/file HTTP/1.1", "Host: h", "Accept-Encoding: gzip")); strings.Count(got, value) != 2 || strings.Contains(got, "Vary") {
		t.Errorf("a file: got %.300s", got)
	}
	// Clients that leave or don't read give back what compresses for them.
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for i := range 40 {
		s.backend.parts = slices.Repeat([]string{string(noise)}, 100)
		if _, err := io.WriteString(s.dial(), lines("GET /v2/keys/parts HTTP/1.1", "Host: h", "Accept-Encoding: gzip")); err != nil {
			t.Fatal(err)
		}
		s.wantClosedListings(5 + i)
	}
	s.backend.parts = []string{"a", "b"}
	if got := s.send(lines("GET /v2/keys/parts HTTP/1.1", "Host: h", "Accept-Encoding: gzip")); !strings.Contains(got, "\r\nContent-Encoding: gzip") {
		t.Errorf("after them nothing is compressed: %s", got)
	}
	s.backend.parts, s.backend.partErr = []string{"a", "b"}, errors.New("disk on fire")
	if got := s.send(lines("GET /v2/keys/parts HTTP/1.1", "Host: h", "Accept-Encoding: gzip") + get("/version")); strings.Contains(got, "0\r\n\r\n") {
		t.Errorf("what fails is complete: %s", got)
	}
}

func (s *site) wantClosedListings(n int) {
	s.t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.backend.closedListings() != n {
		select {
		case <-tick.C:
		case <-limit:
			s.t.Fatalf("closed listings: got %d want %d", s.backend.closedListings(), n)
		}
	}
}

func TestTroubleWithRaftIsAnAnswer(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.backend.err = &tree.Error{Code: tree.CodeRaftInternal, Cause: "etcdserver: request timed out"}
	for _, request := range []string{get("/v2/keys/a?quorum=true"), form("PUT", "/v2/keys/a", "value=v")} {
		got := s.send(request)
		const body = `{"errorCode":300,"message":"Raft Internal Error","cause":"etcdserver: request timed out","index":0}` + "\n"
		if !strings.HasPrefix(got, "HTTP/1.1 500 ") || !strings.HasSuffix(got, "\r\n\r\n"+body) {
			t.Errorf("got %s", got)
		}
	}
}

func TestStopLetsRequestsInFlightBeAnswered(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.backend.hold, s.backend.held = make(chan struct{}), make(chan struct{})
	idle, fresh, busy := s.dial(), s.dial(), s.dial()
	if _, err := io.WriteString(idle, get("/version")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAtLeast(idle, make([]byte, 4096), 100); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(busy, form("PUT", "/v2/keys/a", "value=v")); err != nil {
		t.Fatal(err)
	}
	<-s.backend.held
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Stop(context.Background()) }()
	for name, c := range map[string]io.Reader{"idle": idle, "fresh": fresh} {
		if rest, err := io.ReadAll(c); err != nil || len(rest) != 0 {
			t.Errorf("%s connection: got %q, %v want its end", name, rest, err)
		}
	}
	close(s.backend.hold)
	if got := readAll(t, busy); !strings.HasPrefix(got, "HTTP/1.1 201 ") || !strings.Contains(got, "\r\nConnection: close\r\n") {
		t.Errorf("request in flight: got %s", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("a stopped server takes connections")
	}
}

func TestStopGivesUpOnClientsWhenItsContextEnds(t *testing.T) {
	s := serve(t, httpfront.Options{})
	half := s.dial()
	if _, err := io.WriteString(half, get("/version")+"GET /v2/"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAtLeast(half, make([]byte, 4096), 100); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.server.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v want %v", err, context.Canceled)
	}
}

func TestStopBeforeServe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httpfront.NewTestServer(newTreeBackend(), httpfront.Options{})
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ln); err != nil {
		t.Fatal(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener: got %v want %v", err, net.ErrClosed)
	}
}

func TestSeveralListeners(t *testing.T) {
	s := serve(t, httpfront.Options{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() { second <- s.server.Serve(ln) }()
	other := *s
	other.addr = ln.Addr().String()
	for _, s := range []*site{s, &other} {
		if got := s.send(get("/version")); !strings.HasSuffix(got, `{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}`) {
			t.Errorf("got %s", got)
		}
	}
	if err := s.server.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// A connection keeps no large buffer while it waits for the next request, and
// what one request left in a buffer must not show in the next answer.
func TestAnswersDontMix(t *testing.T) {
	s := serve(t, httpfront.Options{})
	c := s.dial()
	large := strings.Repeat("y", 200_000)
	var want bytes.Buffer
	for _, step := range []struct{ request, body string }{
		{form("PUT", "/v2/keys/a", "value="+large), large},
		{get("/v2/keys/a"), large},
		{get("/v2/keys/b"), `"cause":"/b"`},
		{form("PUT", "/v2/keys/%62?noValueOnSuccess=1", "value=%41"), `{"action":"set"}`},
		{get("/v2/keys/b"), `"value":"A"`},
	} {
		if _, err := io.WriteString(c, step.request); err != nil {
			t.Fatal(err)
		}
		want.Reset()
		buf := make([]byte, 64<<10)
		for !strings.Contains(want.String(), step.body) || want.Bytes()[want.Len()-1] != '\n' {
			n, err := c.Read(buf)
			if err != nil {
				t.Fatalf("%v, after %.300q", err, want.String())
			}
			want.Write(buf[:n])
		}
		if step.body != large && strings.Contains(want.String(), "yyy") {
			t.Errorf("an old answer shows in %.300q", want.String())
		}
	}
}

// lineChannel is a log whose lines are waited for.
type lineChannel chan string

func (c lineChannel) Write(p []byte) (int, error) {
	select {
	case c <- string(p):
	default:
	}
	return len(p), nil
}

func TestClientsCantTakeEveryFile(t *testing.T) {
	told := make(lineChannel, 10)
	s := serve(t, httpfront.Options{MaxConnections: 2, Log: slog.New(slog.NewTextHandler(told, nil))})
	one, two := s.dial(), s.dial()
	ask := func(c net.Conn) {
		t.Helper()
		if _, err := io.WriteString(c, get("/version")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	ask(one)
	ask(two)
	three := s.dial() // the kernel takes it, the server doesn't
	if _, err := io.WriteString(three, get("/version")); err != nil {
		t.Fatal(err)
	}
	select {
	case line := <-told:
		if !strings.Contains(line, "new clients wait until others leave") || !strings.Contains(line, "raise the limit of open files (LimitNOFILE, ulimit -n; now ") {
			t.Errorf("the log says %s", line)
		}
	case <-time.After(patience):
		t.Fatal("a third client doesn't wait")
	}
	_ = two.Close()
	_ = three.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(three, make([]byte, 100)); err != nil {
		t.Fatalf("the third client isn't served when another has left: %v", err)
	}
	for range 5 { // each waits for the one before, and they are one line together
		four := s.dial()
		_ = three.Close()
		ask(four)
		three = four
	}
	select {
	case line := <-told:
		t.Errorf("the log says too %s", line)
	default:
	}
}

// TestPipelinedAnswersOfAllSizes asks for keys of sizes around that of fasthttp's buffer, three
// in one packet, in every order: what one request gets alone it gets in the row.
func TestPipelinedAnswersOfAllSizes(t *testing.T) {
	s := serve(t, httpfront.Options{})
	sizes := []int{1, 7_900, 8_100, 9_000, 16_300, 30_000}
	alone := make([]string, len(sizes))
	for _, size := range sizes {
		if got := s.send(form("PUT", "/v2/keys/"+itoa(size), "value="+strings.Repeat("v", size))); !strings.HasPrefix(got, "HTTP/1.1 201 ") {
			t.Fatal(got)
		}
	}
	for i, size := range sizes {
		alone[i] = s.send(get("/v2/keys/" + itoa(size)))
	}
	for i := range sizes {
		for j := range sizes {
			for k := range sizes {
				row := []int{i, j, k}
				requests, want := "", ""
				for _, n := range row {
					requests += get("/v2/keys/" + itoa(sizes[n]))
					want += alone[n]
				}
				if got := s.send(requests); got != want {
					t.Fatalf("%v: got %d bytes, want %d", row, len(got), len(want))
				}
			}
		}
	}
}

// TestARefusalArrivesWhole refuses a client in the middle of what it sends, as one that
// begins with HTTP/2: a reset must not overtake the answer.
func TestARefusalArrivesWhole(t *testing.T) {
	s := serve(t, httpfront.Options{})
	for range 20 {
		c := s.dial()
		if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+strings.Repeat("\x00\x00\x00\x04\x00\x00\x00\x00\x00", 10_000)); err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, c); !strings.HasPrefix(got, "HTTP/1.1 400 Bad Request\r\n") || !strings.HasSuffix(got, "400 Bad Request") {
			t.Fatalf("got %q", got)
		}
		_ = c.Close()
	}
}

func TestAnAnswerDoesntWaitForWhatFollows(t *testing.T) {
	s := serve(t, httpfront.Options{})
	c := s.dial()
	second := form("PUT", "/v2/keys/b", "value=2")
	if _, err := io.WriteString(c, form("PUT", "/v2/keys/a", "value=1")+second[:len(second)-1]); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("HTTP/1.1 201 Created"))
	if _, err := io.ReadFull(c, first); err != nil || string(first) != "HTTP/1.1 201 Created" {
		t.Fatalf("got %q, %v", first, err)
	}
}

func TestOddHeadsAreRefused(t *testing.T) {
	s := serve(t, httpfront.Options{})
	deep := "/v2/keys" + strings.Repeat("/a", 3000)
	for request, want := range map[string]string{
		lines("PUT /v2/keys/a HTTP/1.1", "Host: h", "Transfer-Encoding: identity", "Content-Length: 0"): "HTTP/1.1 501 ",
		lines("GET /v2/keys/ HTTP/1.1", "Host: h", "X-A: 1", "\tb c: d"):                                "HTTP/1.1 400 ",
		get(deep): "HTTP/1.1 400 ",
	} {
		if got := s.send(request); !strings.HasPrefix(got, want) {
			t.Errorf("%.80q: got %.200s", request, got)
		}
	}
	if got := s.send(get(deep)); !strings.Contains(got, `{"errorCode":209,"message":"Invalid field","cause":"the key is too deep","index":0}`) {
		t.Errorf("got %s", got)
	}
}

// TestABodyThatIsNoFormIsWarnedOfOnce sends what etcd stores an empty value for.
func TestABodyThatIsNoFormIsWarnedOfOnce(t *testing.T) {
	told := make(lineChannel, 10)
	s := serve(t, httpfront.Options{Log: slog.New(slog.NewTextHandler(told, nil))})
	body := func(kind, text string) string {
		return lines("PUT /v2/keys/a HTTP/1.1", "Host: h", "Content-Type: "+kind, "Content-Length: "+itoa(len(text))) + text
	}
	for _, request := range []string{
		form("PUT", "/v2/keys/a", "value=1"), form("PUT", "/v2/keys/a", ""), // nothing to say
		body("application/json", `{"value":"1"}`), body("multipart/form-data; boundary=x", "--x--"),
	} {
		if got := s.send(request); !strings.HasPrefix(got, "HTTP/1.1 20") {
			t.Errorf("%q: got %.100s", request, got)
		}
	}
	s.stop()
	close(told)
	var got []string
	for line := range told {
		got = append(got, line)
	}
	if len(got) != 1 || !strings.Contains(got[0], "from=127.0.0.1 type=application/json size_b=13") {
		t.Errorf("logged %q", got)
	}
}
