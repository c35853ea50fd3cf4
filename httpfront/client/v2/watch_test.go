package v2_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"copse/httpfront/client/v2"
)

// serve answers the requests in turn, and returns a client and what was asked.
func serve(t *testing.T, answers ...http.HandlerFunc) (*v2.Client, *[]string) {
	t.Helper()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String()) // one request after another
		if len(asked) > len(answers) {
			t.Errorf("one request too many: %q", asked)
			return
		}
		answers[len(asked)-1](w, r)
	}))
	t.Cleanup(server.Close)
	return connect(t, server.URL), &asked
}

func connect(t *testing.T, endpoints ...string) *v2.Client {
	t.Helper()
	c, err := v2.New(v2.Options{Endpoints: endpoints, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// event answers a watch with a change at an index.
func event(index int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Etcd-Index", fmt.Sprint(index))
		fmt.Fprintf(w, `{"action":"set","node":{"key":"/k","value":"v","modifiedIndex":%d}}`, index)
	}
}

// ends begins an answer, and breaks off.
func ends(index int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Etcd-Index", fmt.Sprint(index))
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func refuses(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

const outdated = `{"errorCode":401,"message":"The event in requested index is outdated and cleared","cause":"x","index":2000}`

func TestAWatchGoesOnBehindWhatItKnows(t *testing.T) {
	c, asked := serve(t, ends(7), refuses(500, `{"errorCode":300,"message":"no leader"}`), event(8),
		func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Etcd-Index", "20") }, // as servers end a watch when they stop
		event(25), refuses(400, outdated))
	w := c.Watch("/k", 0, true)
	var said []bool
	w.Interrupted = func(err error) { said = append(said, err != nil) }
	for _, want := range []uint64{8, 25} {
		if r, err := w.Next(t.Context()); err != nil || r.Node.Modified != want {
			t.Fatalf("%+v, %v, want index %d", r, err, want)
		}
	}
	_, err := w.Next(t.Context())
	gap, ok := errors.AsType[*v2.Gap](err)
	if !ok || gap.Next != 26 || v2.Code(err) != v2.CodeOutdated || !w.Resumed() {
		t.Errorf("a gap: %v", err)
	}
	const path = "GET /v2/keys/k?recursive=true&wait=true"
	want := []string{path, path + "&waitIndex=8", path + "&waitIndex=8", path + "&waitIndex=9", path + "&waitIndex=21", path + "&waitIndex=26"}
	if !slices.Equal(*asked, want) {
		t.Errorf("asked %q\nwant %q", *asked, want)
	}
	if !slices.Equal(said, []bool{true, true, false}) {
		t.Errorf("said %v", said)
	}
}

// An answer that breaks off may have been about an older event than its header's index.
func TestAWatchAsksAgainForAnEventThatWasCut(t *testing.T) {
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Etcd-Index", "20")
		fmt.Fprint(w, `{"action":"set","no`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c, asked := serve(t, cut, ends(30), cut, event(6))
	if r, err := c.Watch("/k", 4, false).Next(t.Context()); err != nil || r.Node.Modified != 6 {
		t.Errorf("%+v, %v", r, err)
	}
	const path = "GET /v2/keys/k?wait=true&waitIndex=5"
	if !slices.Equal(*asked, []string{path, path, path, path}) {
		t.Errorf("asked %q", *asked)
	}
	c, asked = serve(t, cut, event(21)) // from now on, which was index 20
	if _, err := c.Watch("/k", 0, false).Next(t.Context()); err != nil || !strings.HasSuffix((*asked)[1], "waitIndex=21") {
		t.Errorf("%v, asked %q", err, *asked)
	}
}

// A body that comes slowly isn't cut by the renewal, and one that doesn't come is renewed.
func TestTheRenewalWaitsForABodyThatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		renewed := false
		from, to := io.Pipe()
		go func() {
			_, _ = to.Write([]byte("{"))
			time.Sleep(time.Hour)
			_, _ = to.Write([]byte("}"))
			_ = to.Close()
		}()
		if body, err := v2.ReadEvent(from, func() { renewed = true }); string(body) != "{}" || err != nil || renewed {
			t.Errorf("%q, %v, renewed: %v", body, err, renewed)
		}
		from, to = io.Pipe()
		if body, err := v2.ReadEvent(from, func() { _ = to.CloseWithError(io.ErrClosedPipe) }); len(body) != 0 || err == nil {
			t.Errorf("without a body: %q, %v", body, err)
		}
	})
}

func TestAWatchThatIsRefusedEnds(t *testing.T) {
	c, _ := serve(t, refuses(401, `{"errorCode":110,"message":"m","cause":"c","index":3}`))
	if _, err := c.Watch("/k", 5, false).Next(t.Context()); err == nil || err.Error() != "110: m (c) [3]" {
		t.Error(err)
	}
	c, _ = serve(t, ends(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Watch("/k", 0, false).Next(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A write whose answer is lost may have been carried out; one that was never sent was not.
func TestWritesAreNotSentTwice(t *testing.T) {
	second := httptest.NewServer(event(1))
	defer second.Close()
	var reads, writes atomic.Int32
	first := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			reads.Add(1)
		} else {
			writes.Add(1)
		}
		panic(http.ErrAbortHandler)
	}))
	defer first.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}

	text := "v"
	put := v2.Change{Method: http.MethodPut, Key: "k", Value: &text}
	_, err = connect(t, nobody, first.URL, second.URL).Change(t.Context(), put)
	lost, ok := errors.AsType[*v2.Unreachable](err)
	if !ok || writes.Load() != 1 || !slices.Equal(lost.Asked, []string{nobody, first.URL}) || !strings.HasPrefix(err.Error(), first.URL+" did not answer; the write may have been made; error #0: dial tcp") {
		t.Errorf("%d writes, %v", writes.Load(), err)
	}
	if _, err := connect(t, first.URL, second.URL).Get(t.Context(), "k", v2.ReadOptions{}); err != nil || reads.Load() == 0 {
		t.Errorf("%d reads, %v", reads.Load(), err)
	}
	c := connect(t, nobody, second.URL)
	if _, err := c.Change(t.Context(), put); err != nil {
		t.Error(err)
	}
	if _, err := c.First().Change(t.Context(), put); err != nil {
		t.Errorf("who answered isn't asked first: %v", err)
	}
	if _, err := connect(t, nobody).Change(t.Context(), put); err == nil || !strings.Contains(err.Error(), "error #0: dial tcp") {
		t.Error(err)
	}
}

func TestEndpointsAreURLs(t *testing.T) {
	for _, bad := range []string{"", "h:1", "127.0.0.1:2379", "ftp://h", "://", "ftp://root:s3cret@h", "http://root:s3cret@h:port"} {
		if _, err := v2.New(v2.Options{Endpoints: []string{bad}}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPasswordsOfEndpointsAreNotPrinted(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "s3cret" {
			t.Errorf("the password is %q", password)
		}
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	var said strings.Builder
	c, err := v2.New(v2.Options{Endpoints: []string{strings.Replace(server.URL, "//", "//root:s3cret@", 1)}, Timeout: 10 * time.Second, Debug: func(line string) { said.WriteString(line) }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Get(t.Context(), "/k", v2.ReadOptions{})
	if said.Len() == 0 || strings.Contains(said.String()+fmt.Sprintf("%v %+v", err, err), "s3cret") {
		t.Errorf("%s\n%+v", &said, err)
	}
	if lost, ok := errors.AsType[*v2.Unreachable](err); !ok || strings.Contains(lost.Asked[0], "s3cret") {
		t.Errorf("%v", err)
	}
}

// What a client of the first server alone does, in another goroutine, must not change the
// servers of the one that it was made of.
func TestTheFirstServersClientIsApart(t *testing.T) {
	c := connect(t, "http://127.0.0.1:1", "http://127.0.0.1:2")
	first := c.First()
	var other sync.WaitGroup
	other.Go(func() { _, _ = first.Members(t.Context()) })
	_, err := c.Members(t.Context())
	other.Wait()
	if none, ok := errors.AsType[*v2.Unreachable](err); !ok || len(none.Asked) != 2 {
		t.Error(err)
	}
}

func TestAWatchOfSeveralKeys(t *testing.T) {
	c, asked := serve(t, event(8), refuses(http.StatusNotFound, "404 page not found\n"), refuses(http.StatusMethodNotAllowed, "Method Not Allowed\n"), refuses(http.StatusInternalServerError, "{}"))
	if r, err := c.Watch("/a/", 6, true, "b", "/c").Next(t.Context()); err != nil || r.Node.Modified != 8 {
		t.Errorf("%+v, %v", r, err)
	}
	for i, want := range []bool{false, true, false} {
		if own, err := c.WatchesSeveral(t.Context()); own != want || (err != nil) != (i == 2) {
			t.Errorf("answer %d: %v, %v", i, own, err)
		}
	}
	const want = "GET /v2/keys/?prefix=%2Fa%2F&prefix=%2Fb&prefix=%2Fc&recursive=true&wait=true&waitIndex=7"
	if (*asked)[0] != want {
		t.Errorf("asked %s, want %s", (*asked)[0], want)
	}
}
