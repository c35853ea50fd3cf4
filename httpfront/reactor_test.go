package httpfront_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"copse/httpfront"
	"copse/statemachine/tree"
)

// The reactor and fasthttp must give the same answer to the same request. A
// header line that the reactor leaves alone takes the detour.
func TestReactorAnswersAsFasthttpDoes(t *testing.T) {
	s := serve(t, httpfront.Options{})
	for name, r := range map[string]struct{ method, target, body string }{
		"a file":                {"GET", "/v2/keys/dir/file", ""},
		"a file, linearizable":  {"GET", "/v2/keys/dir/file?quorum=true", ""},
		"a directory":           {"GET", "/v2/keys/dir", ""},
		"a directory, quorum":   {"GET", "/v2/keys/dir?quorum=true&recursive=true", ""},
		"the root":              {"GET", "/v2/keys/?recursive=true", ""},
		"a listing in parts":    {"GET", "/v2/keys/parts", ""},
		"nothing":               {"GET", "/v2/keys/nothing", ""},
		"a wrong parameter":     {"GET", "/v2/keys/dir/file?recursive=x", ""},
		"a name in other words": {"GET", "/v2/keys/%64ir/file", ""},
		"no key":                {"GET", "/v2/keysx", ""},
		"an unclean path":       {"GET", "/v2/keys//dir/../dir/file", ""},
		"a write":               {"PUT", "/v2/keys/dir/file", "value=a%20b+c"},
		"a write of no news":    {"PUT", "/v2/keys/dir/file?noValueOnSuccess=true", "value=2"},
		"a failed write":        {"PUT", "/v2/keys/dir/file?prevValue=x", "value=3"},
		"a swap":                {"PUT", "/v2/keys/dir/swap?prevExist=true", "value=3"},
		"a removal":             {"DELETE", "/v2/keys/nothing", ""},
		"another type":          {"PUT", "/v2/keys/dir/file?value=4", "value=5"},
	} {
		t.Run(name, func(t *testing.T) {
			s.backend.reset(t)
			contentType := "application/x-www-form-urlencoded"
			if name == "another type" {
				contentType = "text/plain"
			}
			head := []string{r.method + " " + r.target + " HTTP/1.1", "Host: h"}
			if r.method == "PUT" {
				head = append(head, "Content-Type: "+contentType, "Content-Length: "+itoa(len(r.body)))
			}
			quick := s.send(lines(head...) + r.body)
			s.backend.reset(t)
			slow := s.send(lines(append(head, "Upgrade: nothing")...) + r.body)
			if unchunked(t, quick) != unchunked(t, slow) {
				t.Errorf("the reactor answers\n%s\nfasthttp answers\n%s", quick, slow)
			}
		})
	}
}

// unchunked is an answer whose body, if it came in chunks, is in one piece, and
// whose header lines are in one order.
func unchunked(t *testing.T, answer string) string {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	defer r.Body.Close()
	var b strings.Builder
	b.WriteString(r.Status + "\n")
	if err := r.Header.Write(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(&b, r.Body); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	return b.String()
}

// reset makes the tree anew.
func (b *treeBackend) reset(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	b.store, b.last, b.parts = tree.MemStore{}, 3, []string{`{"action":"get",`, `"node":`, `{}}`}
	b.mu.Unlock()
	for _, key := range []string{"/dir/file", "/dir/swap"} {
		if r := b.Do(&tree.Command{Op: tree.OpSet, Key: key, Value: []byte("1")}); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// Requests that come together are answered in their order, each after the one
// before it has taken effect, however they are cut.
func TestPipelinedReadsSeeTheWritesBefore(t *testing.T) {
	s := serve(t, httpfront.Options{})
	const rounds = 50
	var requests strings.Builder
	for i := range rounds {
		requests.WriteString(form("PUT", "/v2/keys/a", "value="+itoa(i)))
		requests.WriteString(get("/v2/keys/a"))
		requests.WriteString(get("/v2/keys/a?quorum=true"))
		if i%10 == 0 {
			requests.WriteString(get("/v2/keys"))
			requests.WriteString(get("/version"))
		}
	}
	text := requests.String()
	for _, step := range []int{len(text), 1000, 33, 7} {
		c := s.dial()
		go func() {
			for rest := text; rest != ""; rest = rest[min(step, len(rest)):] {
				if _, err := io.WriteString(c, rest[:min(step, len(rest))]); err != nil {
					return // the reader notices
				}
			}
		}()
		in := bufio.NewReader(c)
		next := func() string {
			r, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("in steps of %d: %v", step, err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatalf("in steps of %d: %v", step, err)
			}
			return string(body)
		}
		for i := range rounds {
			for range 3 {
				if got, want := next(), `"value":"`+itoa(i)+`"`; !strings.Contains(got, want) {
					t.Fatalf("in steps of %d: got %s want %s", step, got, want)
				}
			}
			if i%10 == 0 {
				next()
				next()
			}
		}
		_ = c.Close()
	}
}

// A client that asks and doesn't take the answers holds up nobody else, gets
// them all when it does, and is dropped when it never does.
func TestClientThatDoesNotRead(t *testing.T) {
	s := serve(t, httpfront.Options{})
	big := strings.Repeat("x", 20_000)
	s.send(form("PUT", "/v2/keys/big", "value="+big))
	const n = 1000
	c := s.dial()
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, strings.Repeat(get("/v2/keys/big"), n))
		sent <- err
	}()
	for range 20 {
		if got := s.send(get("/v2/keys/big")); !strings.Contains(got, big) {
			t.Fatalf("another client got %.200q", got)
		}
	}
	in := bufio.NewReader(c)
	for i := range n {
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(body), big) {
			t.Fatalf("answer %d: %.200q, %v", i, body, err)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestClientThatNeverReadsIsDropped(t *testing.T) {
	s := serve(t, httpfront.Options{WriteTimeout: 50 * time.Millisecond})
	s.send(form("PUT", "/v2/keys/big", "value="+strings.Repeat("x", 20_000)))
	c := s.dial()
	for {
		// The server reads no more, and in the end it closes.
		if _, err := io.WriteString(c, strings.Repeat(get("/v2/keys/big"), 100)); err != nil {
			return
		}
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	s := serve(t, httpfront.Options{IdleTimeout: 20 * time.Millisecond})
	c := s.dial()
	if _, err := io.WriteString(c, get("/v2/keys/a")); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, c); !strings.HasPrefix(got, "HTTP/1.1 404") {
		t.Errorf("got %q", got)
	}
}

// Stop cuts off who neither reads nor goes, once its context is over.
func TestStopEndsStuckClients(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.send(form("PUT", "/v2/keys/big", "value="+strings.Repeat("x", 20_000)))
	var clients []net.Conn
	for range 3 {
		c := s.dial()
		clients = append(clients, c)
		go func() { _, _ = io.WriteString(c, strings.Repeat(get("/v2/keys/big"), 1000)) }()
	}
	for _, c := range clients {
		if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.server.Stop(ctx); err == nil {
		t.Error("stopped in good order although clients were stuck")
	}
}
