package httpfront

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestQuickRequest(t *testing.T) {
	const put = "PUT /v2/keys/a HTTP/1.1\r\nHost: h\r\n"
	const headLimit = 150
	const get = "GET /v2/keys/a HTTP/1.1\r\nHost: h\r\n"
	for name, c := range map[string]struct {
		text    string
		verdict quickVerdict
		body    string
	}{
		"a read":                         {get + "\r\n", quickWhole, ""},
		"a read with the next behind it": {get + "\r\nGET", quickWhole, ""},
		"a read of a client with much to tell": {
			get + "User-Agent: curl/8\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nConnection: Keep-Alive\r\nX-Trace: 1\r\n\r\n", quickWhole, ""},
		"a write":                          {put + "Content-Length: 7\r\n\r\nvalue=1", quickWhole, "value=1"},
		"a write with a short body so far": {put + "Content-Length: 7\r\n\r\nvalue=", quickPartial, ""},
		"an empty write":                   {put + "Content-Length: 0\r\n\r\n", quickWhole, ""},
		"half a line":                      {"GET /v2/ke", quickPartial, ""},
		"half a head":                      {get, quickPartial, ""},
		"a lot of nothing":                 {strings.Repeat("x", 200), quickOther, ""},
		"a long head":                      {get + "X: " + strings.Repeat("x", 200) + "\r\n\r\n", quickOther, ""},
		"another path":                     {"GET /version HTTP/1.1\r\nHost: h\r\n\r\n", quickOther, ""},
		"another method":                   {"HEAD /v2/keys/a HTTP/1.1\r\nHost: h\r\n\r\n", quickOther, ""},
		"another version":                  {"GET /v2/keys/a HTTP/1.0\r\nHost: h\r\n\r\n", quickOther, ""},
		"a bare newline":                   {"GET /v2/keys/a HTTP/1.1\nHost: h\n\n", quickOther, ""},
		"a space too many":                 {"GET /v2/keys/a  HTTP/1.1\r\nHost: h\r\n\r\n", quickOther, ""},
		"no host":                          {"GET /v2/keys/a HTTP/1.1\r\n\r\n", quickOther, ""},
		"two hosts":                        {get + "Host: g\r\n\r\n", quickOther, ""},
		"a folded line":                    {get + "X: 1\r\n 2\r\n\r\n", quickOther, ""},
		"a name with a space":              {get + "X : 1\r\n\r\n", quickOther, ""},
		"no colon":                         {get + "X\r\n\r\n", quickOther, ""},
		"a control character":              {get + "X: \x01\r\n\r\n", quickOther, ""},
		"the end of the connection":        {get + "Connection: close\r\n\r\n", quickOther, ""},
		"an expectation":                   {put + "expect: 100-continue\r\nContent-Length: 7\r\n\r\n", quickOther, ""},
		"an origin":                        {get + "Origin: http://x\r\n\r\n", quickOther, ""},
		"a password":                       {get + "Authorization: Basic eDp5\r\n\r\n", quickOther, ""},
		"chunks":                           {put + "Transfer-Encoding: chunked\r\n\r\n", quickOther, ""},
		"another protocol":                 {get + "Upgrade: h2c\r\n\r\n", quickOther, ""},
		"a read with a body":               {get + "Content-Length: 1\r\n\r\nx", quickOther, ""},
		"a write without a length":         {put + "\r\n", quickOther, ""},
		"two lengths":                      {put + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", quickOther, ""},
		"no length at all":                 {put + "Content-Length: x\r\n\r\n", quickOther, ""},
		"two types":                        {put + "Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 0\r\n\r\n", quickOther, ""},
		"a large body":                     {put + "Content-Length: 1000000\r\n\r\n", quickOther, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var q quickRequest
			size, verdict := q.read([]byte(c.text), headLimit)
			if verdict != c.verdict || string(q.body) != c.body {
				t.Errorf("got verdict %d, body %q; want %d, %q", verdict, q.body, c.verdict, c.body)
			}
			if rest := strings.TrimSuffix(c.text, "GET"); verdict == quickWhole && size != len(rest) {
				t.Errorf("got size %d of %d", size, len(rest))
			}
		})
	}
}

// Whatever the reactor takes for a whole request, Go's HTTP library must take
// for the same one.
func FuzzQuickRequest(f *testing.F) {
	f.Add([]byte("GET /v2/keys/a?quorum=true HTTP/1.1\r\nHost: h\r\n\r\n"))
	f.Add([]byte("PUT /v2/keys/a HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nvalue=1GET"))
	f.Add([]byte("DELETE /v2/keys/%41 HTTP/1.1\r\nhost:h\r\nX-y:\t z \r\nConnection: keep-alive\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		var q quickRequest
		size, verdict := q.read(text, quickLimit)
		if !bytes.Equal(before, text) {
			t.Fatal("the bytes were changed")
		}
		if verdict != quickWhole {
			return
		}
		path, _ := splitTarget(q.target)
		if _, ok := decodePath(path); !ok {
			return // looked at later
		}
		in := bufio.NewReader(bytes.NewReader(text[:size]))
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("Go refuses %q: %v", text[:size], err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatalf("Go can't read the body of %q: %v", text[:size], err)
		}
		if methodOf([]byte(r.Method)) != q.method || r.RequestURI != string(q.target) || r.Close || len(r.TransferEncoding) > 0 || len(r.Header["Expect"]) > 0 {
			t.Errorf("%q is something else to Go: %+v", text[:size], r)
		}
		if writes := q.method == methodPut || q.method == methodPost; writes && !bytes.Equal(body, q.body) || !writes && len(body) > 0 {
			t.Errorf("body: got %q, Go has %q", q.body, body)
		}
		if got := r.Header.Get("Content-Type"); got != string(q.contentType) {
			t.Errorf("type: got %q, Go has %q", q.contentType, got)
		}
		if in.Buffered() > 0 {
			t.Errorf("Go leaves bytes behind of %q", text[:size])
		}
	})
}
