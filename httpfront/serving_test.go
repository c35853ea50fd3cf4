package httpfront_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"copse/httpfront"
)

// exchanges are what clients send on a connection of their own.
func exchanges() map[string]string {
	put, read := form("PUT", "/v2/keys/a", "value=1"), get("/v2/keys/a")
	large := form("PUT", "/v2/keys/a", "value="+strings.Repeat("v%01", 50<<10))
	with := func(lines ...string) string {
		return strings.Replace(read, "\r\n\r\n", "\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n", 1)
	}
	return map[string]string{
		"reads and writes":         put + read + form("PUT", "/v2/keys/a", "value=2") + read + form("DELETE", "/v2/keys/a", "") + read,
		"a quorum read in between": put + get("/v2/keys/a?quorum=true") + read + get("/v2/keys/b?quorum=true") + put,
		"HEAD":                     put + strings.Replace(read, "GET", "HEAD", 1) + read,
		"a long listing":           put + get("/v2/keys/parts") + read + get("/v2/keys/parts?quorum=true") + read,
		"many long answers":        form("PUT", "/v2/keys/a", "value="+strings.Repeat("v", 7<<10)) + strings.Repeat(read, 1000) + get("/v2/keys/parts?quorum=true") + put + read,
		"a large value":            large + read + read,
		"a large value goes":       large + form("PUT", "/v2/keys/a", "value=1") + large + form("PUT", "/v2/keys/a?noValueOnSuccess=true", "value=2") + large + form("DELETE", "/v2/keys/a?noValueOnSuccess=true", "") + read,
		"the same in base64":       large + form("PUT", "/v2/keys/a?encoding=base64", "value=1") + large + form("DELETE", "/v2/keys/a?encoding=base64", "") + read,
		"a body in chunks": strings.Replace(put, "Content-Length: 7", "Transfer-Encoding: chunked", 1)[:len(put)-7+len("Transfer-Encoding: chunked")-len("Content-Length: 7")] +
			"7\r\nvalue=1\r\n0\r\n\r\n" + read,
		"HTTP/1.0":                 put + strings.Replace(read, "1.1", "1.0", 1),
		"HTTP/1.0 that goes on":    strings.Replace(with("Connection: keep-alive"), "1.1", "1.0", 1) + read,
		"the last request":         put + with("Connection: close"),
		"an expectation":           with("Expect: 100-continue") + with("Expect: more") + read,
		"tags":                     put + with(`If-None-Match: "000051fe-4"`) + with(`If-None-Match: *`) + with(`If-None-Match: "000051fe-3"`),
		"compression":              put + with("Accept-Encoding: gzip") + read,
		"a page of another origin": with("Origin: http://b") + with("Origin: http://a") + strings.Replace(read, "GET", "OPTIONS", 1),
		"other routes":             get("/version") + get("/health") + get("/v2/members") + get("/nothing") + read,
		"paths":                    get("/v2/keys/a//b") + get("/v2/keys/%61") + get("/v2/keys/../version") + get("/v2/keys/%zz") + read,
		"questions":                get("/v2/keys/a?recursive=maybe") + get("/v2/keys/a?wait=true&waitIndex=1") + form("PUT", "/v2/keys/a?ttl=x", "") + read,
		"line ends":                "\r\n\r\n" + read + "\n" + read + strings.ReplaceAll(read, "\r\n", "\n") + read,
		"no host":                  put + "GET /v2/keys/a HTTP/1.1\r\n\r\n" + read,
		"an invalid host":          put + "GET /v2/keys/a HTTP/1.1\r\nHost: [\r\n\r\n" + read,
		"two lengths":              strings.Replace(put, "Host: h", "Host: h\r\nContent-Length: 7", 1) + read,
		"half a head":              put + read + "GET /v2/ke",
		"half a body":              read + put[:len(put)-3],
		"no request":               "hello\r\n\r\n" + read,
		"a long head":              with("X: "+strings.Repeat("x", 10<<10)) + read,
		"a head that is too long":  with("X: "+strings.Repeat("x", 100<<10)) + read,
		"a body where none is due": strings.Replace(put, "PUT", "GET", 1) + read,
	}
}

// TestThePollLoopAnswersAsGoroutinesDo compares, byte by byte, what is served in the poll loop with
// the same from goroutines, and what comes at once with what comes in pieces.
func TestThePollLoopAnswersAsGoroutinesDo(t *testing.T) {
	for name, text := range exchanges() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := ""
			for i, way := range []struct {
				slow  bool
				piece int
			}{{true, len(text)}, {false, len(text)}, {false, max(1, len(text)/30)}, {true, max(1, len(text)/7)}} {
				s := serve(t, httpfront.Options{Requests: httpfront.Requests{CORS: []string{"http://a"}}})
				s.backend.slow, s.backend.parts = way.slow, []string{strings.Repeat("a", 300<<10), "b\n"}
				c := s.dial()
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for rest := text; rest != ""; {
						n := min(way.piece, len(rest))
						if _, err := io.WriteString(c, rest[:n]); err != nil {
							return // it has been refused
						}
						rest = rest[n:]
					}
					_ = c.CloseWrite()
				}()
				got := readAll(t, c)
				<-sent
				if i == 0 {
					want = got
				}
				if got != want || got == "" {
					t.Errorf("%+v: got\n%.2000s\nwant\n%.2000s", way, got, want)
				}
			}
		})
	}
}

// wantAnswers reads n answers, and wants them to be good.
func wantAnswers(t *testing.T, r *bufio.Reader, n int) {
	t.Helper()
	for range n {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode >= 400 {
			t.Fatalf("status %d, %v", answer.StatusCode, err)
		}
	}
}

// TestNobodyWaitsForAnotherClient has clients that take nothing of a listing of 100 MiB, or of many
// answers, and clients that send half of something, and asks on other connections.
func TestNobodyWaitsForAnotherClient(t *testing.T) {
	s := serve(t, httpfront.Options{})
	for range 1600 {
		s.backend.parts = append(s.backend.parts, strings.Repeat("a", 64<<10))
	}
	put, read := form("PUT", "/v2/keys/a", "value="+strings.Repeat("v", 4<<10)), get("/v2/keys/a")
	s.send(put)
	long := s.dial()
	for _, text := range []string{get("/v2/keys/parts"), strings.Repeat(read, 5000), strings.Repeat(put+read, 1000)} {
		c := long
		if !strings.Contains(text, "/parts") {
			c = s.dial()
		}
		go func() { _, _ = io.WriteString(c, text) }() // until the connection is closed
		if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	halves := []string{"G", "GET /v2/keys/a HTTP/1.1\r\nHost:", put[:len(put)-1], "PUT /v2/keys/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nv"}
	for i := range 64 {
		if _, err := io.WriteString(s.dial(), read+halves[i%len(halves)]); err != nil {
			t.Fatal(err)
		}
	}
	for range 64 {
		c := s.dial()
		if _, err := io.WriteString(c, read+put+get("/v2/keys/a?quorum=true")+read); err != nil {
			t.Fatal(err)
		}
		wantAnswers(t, bufio.NewReader(c), 4)
	}
}

// TestAClientMayLeaveBeforeItsAnswer has clients leave in all ways while a write is under way.
func TestAClientMayLeaveBeforeItsAnswer(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.backend.hold, s.backend.held = make(chan struct{}), make(chan struct{})
	put := form("PUT", "/v2/keys/a", "value=1")
	const clients = 30
	for i := range clients {
		c := s.dial()
		if _, err := io.WriteString(c, get("/v2/keys/")+put+get("/version")); err != nil {
			t.Fatal(err)
		}
		<-s.backend.held
		switch i % 3 {
		case 0:
			_ = c.SetLinger(0)
			_ = c.Close()
		case 1:
			_ = c.Close()
		case 2:
			defer func() { // it waits for its answers
				_ = c.CloseWrite()
				if got := readAll(t, c); strings.Count(got, "HTTP/1.1 20") != 3 {
					t.Errorf("got %s", got)
				}
			}()
		}
	}
	close(s.backend.hold)
	s.eventually(func() bool {
		scrape, counted := s.scrape(), 0.0
		for _, code := range []string{"200", "201"} {
			n, _ := scrape.Value("copse_http_requests_total", "method", "PUT", "code", code)
			counted += n
		}
		return counted == clients
	})
}
