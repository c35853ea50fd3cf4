package httpfront

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/auth"
	"copse/statemachine/inflight"
)

// asked is a request as a server understood it.
type asked struct{ method, target, body string }

// script is a client that sends its text in pieces of so many bytes, and then waits for
// answers until the server gives up.
type script struct {
	patientConn
	text  []byte
	piece int
	out   bytes.Buffer

	waits   func() // called when the server wants more than there is
	patient bool   // it won't wait for long, and answers then
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.text) == 0 {
		if !s.patient {
			s.waits()
		}
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), s.piece)], s.text)
	s.text = s.text[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error)     { return s.out.Write(b) }
func (s *script) Close() error                    { return nil }
func (s *script) SetReadDeadline(time.Time) error { s.patient = true; return nil }

// understood has a server read what a client sends. It returns the requests that are served,
// the status of each answer that was there when the client had no more to send, and whether the
// connection had been closed by then.
func understood(text []byte, piece int) (served []asked, answers []int, closed bool) {
	s := NewTestServer(&slowBackend{stillBackend{auth: new(auth.State)}}, Options{Requests: Requests{MaxHeaderBytes: 16 << 10}})
	for _, h := range s.http {
		h.Handler = func(ctx *fasthttp.RequestCtx) {
			x := new(exchange)
			if checkHead(ctx) && s.readBody(ctx, x) {
				served = append(served, asked{string(ctx.Method()), string(ctx.RequestURI()), string(ctx.Request.Body())})
				ctx.SetStatusCode(fasthttp.StatusOK)
			}
		}
	}
	loop := &pollLoop{options: pollLoopOptions{heads: headOptions{limit: 16<<10 + headSlack}}}
	c := &script{text: text, piece: max(piece, 1)}
	closed = true
	c.waits = func() {
		if closed {
			closed = false
			answers = statuses(c.out.Bytes())
		}
	}
	_ = s.serveConn(newConn(loop, c, nil, nil))
	if closed {
		answers = statuses(c.out.Bytes())
	}
	return served, answers, closed
}

// statuses lists those of the answers in text, other than 100 Continue.
func statuses(text []byte) (list []int) {
	r := bufio.NewReader(bytes.NewReader(text))
	for {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			return list
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if answer.StatusCode != http.StatusContinue {
			list = append(list, answer.StatusCode)
		}
	}
}

// atEnd notes that its end has been seen.
type atEnd struct {
	io.Reader
	seen bool
}

func (r *atEnd) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.seen = r.seen || err != nil
	return n, err
}

// expected reads the same as Go's library does. refused says that it refuses what follows
// those requests, without having seen the end, and that a head is whole there.
func expected(text []byte) (list []asked, refused bool) {
	from := &atEnd{Reader: bytes.NewReader(text)}
	r := bufio.NewReaderSize(from, len(text)+16)
	for {
		for { // empty lines before a request are skipped, which the library doesn't do
			if next, _ := r.Peek(2); bytes.HasPrefix(next, []byte("\n")) {
				_, _ = r.Discard(1)
			} else if string(next) == "\r\n" {
				_, _ = r.Discard(2)
			} else {
				break
			}
		}
		if _, err := r.Peek(1); err != nil {
			return list, false
		}
		left := text[len(text)-r.Buffered():]
		whole := bytes.Contains(left, []byte("\n\n")) || bytes.Contains(left, []byte("\n\r\n"))
		req, err := http.ReadRequest(r)
		if err != nil || req.ProtoAtLeast(1, 1) && !hostLine.MatchString(endOfHead.Split(string(left), 2)[0]) {
			return list, !from.seen && whole
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return list, !from.seen && whole
		}
		list = append(list, asked{req.Method, req.RequestURI, string(body)})
		if req.Close {
			return list, false
		}
	}
}

var (
	endOfHead = regexp.MustCompile(`\n\r?\n`)
	hostLine  = regexp.MustCompile(`(?im)^host:`)
)

// forms are requests in all kinds of spelling, and how many of them are served.
var forms = map[string]struct {
	text   string
	served int
}{
	"LF, HTTP/1.0":             {"GET /health HTTP/1.0\n\n", 1},
	"LF":                       {"GET /health HTTP/1.1\nHost: h\n\n", 1},
	"LF in the last header":    {"GET /health HTTP/1.1\r\nHost: h\n\r\n", 1},
	"LF at the end":            {"GET /health HTTP/1.1\r\nHost: h\r\n\n", 1},
	"CRLF at the end":          {"GET /health HTTP/1.1\nHost: h\r\n\r\n", 1},
	"LF before it":             {"\n\nGET /health HTTP/1.1\nHost: h\n\n", 1},
	"LF and a body":            {"PUT /a HTTP/1.1\nHost: h\nContent-Length: 9\n\nvalue=a\nbGET /b HTTP/1.1\nHost: h\n\n", 2},
	"LF and chunks":            {"PUT /a HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n3;x=y\r\na\nb\r\n0\r\nT: 1\r\n\r\nGET /b HTTP/1.1\nHost: h\n\n", 2},
	"LF after CRLF, pipelined": {"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\nHost: h\n\nGET /c HTTP/1.1\r\nHost: h\r\n\r\n", 3},
	"no last chunk":            {"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", 0},
	"no end of the trailers":   {"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", 0},
	"LF around chunks":         {"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n", 0},
	"LF after a chunk":         {"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n", 0},
	"LF in a trailer":          {"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: 1\n\n", 0},
	"CR alone":                 {"GET /a HTTP/1.1\r\nHost: h\r\nA: b\rContent-Length: 1\r\n\r\n", 0},
	"CR for an end":            {"GET /a HTTP/1.1\rHost: h\r\r\n\r\n", 0},
	"CR in an empty line":      {"GET /a HTTP/1.1\r\nHost: h\r\n\r\r\n", 0},
	"a line that is none":      {"hello\r\n", 0},
	"an old version":           {"GET /a\n", 0},
	"a header without a colon": {"GET /a HTTP/1.1\nHost h\n", 0},
	"CR before CRLF":           {"GET /a HTTP/1.1\r\nHost: h\r\n\r\r\n\r\n", 0},
	"folded":                   {"GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n Content-Length: 1\r\n\r\n", 0},
	"folded, LF":               {"GET /a HTTP/1.1\nHost: h\nA: b\n\tc\n\n", 0},
	"two lengths":              {"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 0},
	"two lengths, the same":    {"PUT /a HTTP/1.1\nHost: h\nContent-Length: 1\nContent-Length: 1\n\na", 0},
	"length and chunks":        {"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
	"chunks and length":        {"PUT /a HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\nContent-Length: 5\n\n0\r\n\r\n", 0},
	"a length with a sign":     {"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na", 0},
	"a space before the colon": {"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\na", 0},
	"large":                    {"GET /a HTTP/1.1\nHost: h\n\nGET /" + strings.Repeat("b", 9<<10) + " HTTP/1.1\nHost: h\n\nGET /c HTTP/1.1\r\nHost: h\r\n\r\n", 3},
	"HTTP/1.2 and HTTP/1.9":    {"PUT /a HTTP/1.2\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET /b HTTP/1.9\nHost: h\n\n", 2},
	"HTTP/1.2 without a host":  {"GET /a HTTP/1.2\r\n\r\n", 0},
	"HTTP/2.1":                 {"GET /a HTTP/2.1\r\nHost: h\r\n\r\n", 0},
	"an empty host":            {"GET /a HTTP/1.1\r\nHost:\r\n\r\nGET /b HTTP/1.1\nHost: \t\n\n", 2},
	"two empty hosts":          {"GET /a HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n", 0},
	"no host":                  {"GET /a HTTP/1.1\r\nA: Host:\r\n\r\n", 0},
	"a host that can't be one": {"GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n", 0},
	"HTTP/1.0 and chunks":      {"PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 0},
	"CONNECT":                  {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", 2},
	"as large as may be":       {"GET /" + strings.Repeat("b", 20<<10-len("GET / HTTP/1.1\r\nHost: h\r\n\r\n")) + " HTTP/1.1\r\nHost: h\r\n\r\n", 1},
	"too large by a byte":      {"GET /" + strings.Repeat("b", 20<<10+1-len("GET / HTTP/1.1\r\nHost: h\r\n\r\n")) + " HTTP/1.1\r\nHost: h\r\n\r\n", 0},
	"a large body":             {"PUT /a HTTP/1.1\nHost: h\nContent-Length: 9000\n\n" + strings.Repeat("\n", 9000) + "GET /b HTTP/1.1\nHost: h\n\n", 2},
}

func TestEveryFormIsAnsweredAtOnce(t *testing.T) {
	for name, form := range forms {
		for _, piece := range []int{1, 7, 1 << 20} {
			served, answers, closed := understood([]byte(form.text), piece)
			if len(served) != form.served {
				t.Errorf("%s, %d bytes at a time: served %.200q want %d", name, piece, served, form.served)
			}
			want := form.served
			if form.served == 0 {
				want++ // a refusal
			}
			if name == "no last chunk" || name == "no end of the trailers" {
				continue // the server waits for them
			}
			if len(answers) != want || closed != (form.served == 0 || strings.Contains(form.text, "HTTP/1.0")) {
				t.Errorf("%s, %d bytes at a time: answers %v, closed: %v", name, piece, answers, closed)
			}
		}
	}
}

// FuzzFraming compares how bytes are read as requests with Go's library, which etcd uses. Each
// request that the library sees is served as the same one, or refused; what follows a refusal is
// nobody's. And nothing is served that the library doesn't see.
func FuzzFraming(f *testing.F) {
	for _, form := range forms {
		f.Add([]byte(form.text), 1<<20)
		f.Add([]byte(form.text), 3)
	}
	f.Add([]byte("CONNECT A:A HTTP/1.0\r\n0000:\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		served, answers, closed := understood(bytes.Clone(text), piece)
		want, refused := expected(text)
		for i, got := range served {
			target := got.target
			if got.method == http.MethodConnect && !strings.HasPrefix(target, "/") {
				target = "http://" + target
			}
			if _, err := url.ParseRequestURI(target); err != nil {
				return // refused where paths are (targetOf)
			}
			switch {
			case i >= len(want):
				t.Fatalf("request %d isn't one, but was served as %q", i, got)
			case got != want[i]:
				t.Fatalf("request %d is\n%q, not\n%q", i, want[i], got)
			}
		}
		if refusals := len(answers) - len(served); !closed && (len(answers) < len(want) || refused && refusals == 0) {
			t.Fatalf("silence: answers %v to %d requests and a refusal: %v", answers, len(want), refused)
		}
	})
}

var _ net.Conn = (*script)(nil)

// heads serves what a client sends in pieces, and returns what the budget held for heads whenever a
// request was served, and in the end.
func heads(t *testing.T, served func(held int64), text string, inFlight int64) (answers []int, left int64) {
	t.Helper()
	s := NewTestServer(&slowBackend{stillBackend{auth: new(auth.State)}}, Options{Requests: Requests{MaxHeaderBytes: 1 << 20}, InFlight: inflight.New(inFlight)})
	for _, h := range s.http {
		h.Handler = func(*fasthttp.RequestCtx) { served(s.inFlight.Held(inflight.Heads)) }
	}
	loop := &pollLoop{options: pollLoopOptions{heads: headOptions{limit: 1<<20 + headSlack, inFlight: s.inFlight}}}
	c := &script{text: []byte(text), piece: 3000, waits: func() {}}
	_ = s.serveConn(newConn(loop, c, nil, nil)) // why it ended is in the answers
	return statuses(c.out.Bytes()), s.inFlight.Held(inflight.Heads)
}

// TestALargeHeadIsCounted looks at the budget while a large head is being served and after
// it, with small requests on both sides.
func TestALargeHeadIsCounted(t *testing.T) {
	const size = 100 << 10
	large := "GET /" + strings.Repeat("b", size) + " HTTP/1.1\r\nHost: h\r\n\r\n"
	var held []int64
	_, left := heads(t, func(n int64) { held = append(held, n) }, getLine("/a")+large+getLine("/c")+large+large, 64<<20)
	if len(held) != 5 || held[0] != 0 || held[2] != 0 || left != 0 {
		t.Fatalf("held %d while each of five requests was served, and %d then", held, left)
	}
	for _, i := range []int{1, 3, 4} {
		if held[i] < size*headCopies || held[i] > 2*size*headCopies+1000 {
			t.Errorf("held %d while each request was served", held)
		}
	}
}

// TestTheShortLinesOfAHeadAreCounted compares with the memory that is in use while it is served.
func TestTheShortLinesOfAHeadAreCounted(t *testing.T) {
	const begin = "GET / HTTP/1.1\r\nHost: h\r\n"
	var names strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&names, ",%x", i)
	}
	for name, c := range map[string]struct {
		block string
		parts int
	}{
		"a large head":            {strings.Repeat("a:\r\n", 250_000), 250_000},
		"a small one":             {strings.Repeat("a:\r\n", 1000), 1000},
		"LF, and longer by CRLFs": {strings.Repeat("a:\n", 340_000), 340_000},
		"names of trailers":       {"Trailer: x" + names.String() + "\r\n", 100_000},
	} {
		var before, during runtime.MemStats
		var held []int64
		text := begin + c.block + "\r\n"
		text += text // the second one is no cheaper
		runtime.GC()
		runtime.ReadMemStats(&before)
		answers, left := heads(t, func(n int64) {
			if held = append(held, n); len(held) == 1 {
				runtime.GC()
				runtime.ReadMemStats(&during)
			}
		}, text, 256<<20)
		if len(held) != 2 || len(answers) != 2 || left != 0 {
			t.Fatalf("%s: held %d, answers %d, and %d is left", name, held, answers, left)
		}
		least, counted := min(held[0], held[1]), int64(len(c.block))*headCopies+int64(c.parts)*partCost
		if least < counted {
			t.Errorf("%s: held %d, want %d at least", name, held, counted)
		}
		// What is garbage soon has to be counted, too; and some of what is in use is the server.
		if used := int64(during.HeapAlloc) - int64(before.HeapAlloc) - int64(len(text)); used > 1<<20 && least < used*3/2 {
			t.Errorf("%s: held %d for %d bytes in use", name, held, used)
		}
	}
}

func TestWhatIsHeldForAHeadIsGivenBack(t *testing.T) {
	const begin = "GET / HTTP/1.1\r\nHost: h\r\n"
	lines := strings.Repeat("a:\r\n", 100_000)
	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"too large":                {begin + strings.Repeat("a:\r\n", 270_000) + "\r\n", fasthttp.StatusRequestHeaderFieldsTooLarge},
		"it never ends":            {begin + lines, fasthttp.StatusBadRequest},
		"no header in the end":     {begin + lines + "a\r\n\r\n", fasthttp.StatusBadRequest},
		"fasthttp refuses it":      {begin + lines + "a\x00b: c\r\n\r\n", fasthttp.StatusBadRequest},
		"the body never comes":     {begin + lines + "Content-Length: 9\r\n\r\n", fasthttp.StatusBadRequest},
		"a bad one right after":    {begin + lines + "\r\nnonsense\r\n\r\n", fasthttp.StatusOK},
		"the connection then ends": {begin + lines + "Connection: close\r\n\r\n", fasthttp.StatusOK},
	} {
		answers, left := heads(t, func(int64) {}, c.text, 64<<20)
		if left != 0 || len(answers) == 0 || answers[0] != c.status {
			t.Errorf("%s: %d is left, answers %d", name, left, answers)
		}
	}
}

// TestAHeadMayTakeAllButNotMore serves one that costs more than there is to hold, which waits for
// others, but not for itself.
func TestAHeadMayTakeAllButNotMore(t *testing.T) {
	text := "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a:\r\n", 100_000) + "\r\n"
	const all = 8 << 20
	synctest.Test(t, func(t *testing.T) {
		if answers, left := heads(t, func(int64) {}, text, all); left != 0 || !slices.Equal(answers, []int{fasthttp.StatusOK}) {
			t.Errorf("alone: answers %d, and %d is left", answers, left)
		}
		budget := inflight.New(all)
		budget.Take(inflight.Bodies, all/4, 0)
		loop := &pollLoop{options: pollLoopOptions{heads: headOptions{limit: 1 << 20, inFlight: budget}}}
		s := NewTestServer(&slowBackend{stillBackend{auth: new(auth.State)}}, Options{Requests: Requests{MaxHeaderBytes: 1 << 20}})
		s.inFlight = budget
		c := &script{text: []byte(text), piece: 3000, waits: func() {}}
		_ = s.serveConn(newConn(loop, c, nil, nil)) // why it ended is in the answer
		if left, answers := budget.Held(inflight.Heads), statuses(c.out.Bytes()); left != 0 || !slices.Equal(answers, []int{fasthttp.StatusInternalServerError}) {
			t.Errorf("with others: answers %d, and %d is left", answers, left)
		}
	})
}
