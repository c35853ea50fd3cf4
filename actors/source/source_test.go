package source_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"copse/actors/source"
	"copse/statemachine/tree"
)

func serve(t *testing.T, h http.HandlerFunc) *source.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	// The first URL answers nothing: the second one is found.
	c, err := source.New([]string{"http://127.0.0.1:1", s.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	_, _ = c.At(t.Context(), "/") // moves on to the second
	return c
}

func head(w http.ResponseWriter, code int, index string) {
	w.Header().Set("X-Etcd-Cluster-Id", "7e27652122e8b2ae")
	w.Header().Set("X-Etcd-Index", index)
	w.Header().Set("X-Raft-Term", "4")
	w.WriteHeader(code)
}

func TestReadGivesAllNodesAndThePosition(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "recursive=true&sorted=true&quorum=true&encoding=base64" && r.Method == http.MethodGet {
			t.Errorf("asked for %s", r.URL)
		}
		head(w, 200, "12")
		_, _ = w.Write([]byte(`{"action":"get","node":{"dir":true,"nodes":[{"key":"/d","dir":true,"nodes":[{"key":"/d/f","value64":"/wA=","expiration":"2030-01-02T03:04:05.000000006Z","ttl":9,"modifiedIndex":8,"createdIndex":7}],"modifiedIndex":5,"createdIndex":5},{"key":"/e","dir":true,"modifiedIndex":6,"createdIndex":6}]}}`))
	})
	nodes, at, err := c.Read(t.Context(), "/")
	if err != nil || at != (source.Position{ClusterID: 0x7e27652122e8b2ae, Index: 12, Term: 4}) {
		t.Fatal(at, err)
	}
	if len(nodes) != 3 || nodes[0].Key != "/d" || !nodes[2].Dir {
		t.Fatalf("%+v", nodes)
	}
	want := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC).UnixNano()
	if f := nodes[1]; f.Key != "/d/f" || string(f.Value) != "\xff\x00" || f.Modified != 8 || f.Created != 7 || f.Expires != want {
		t.Fatalf("%+v", f)
	}
}

// A member of the source that has no leader answers, but can't read.
func TestAMemberThatFailsIsNotAskedAgain(t *testing.T) {
	member := func(code int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			head(w, code, "12")
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	c, err := source.New([]string{
		member(500, `{"errorCode":300,"message":"Raft Internal Error","cause":"etcdserver: no leader","index":0}`),
		member(200, `{"action":"get","node":{"dir":true}}`),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if _, _, err := c.Read(t.Context(), "/"); err == nil {
		t.Error("the answer of one without a leader is taken")
	}
	if _, _, err := c.Read(t.Context(), "/"); err != nil {
		t.Error(err)
	}
}

func TestNextTellsAnEventFromAWaitAndFromAHole(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("waitIndex") {
		case "3":
			head(w, 200, "9")
			_, _ = w.Write([]byte(`{"action":"expire","node":{"key":"/k","modifiedIndex":5,"createdIndex":4},"prevNode":{"key":"/k","value64":"/g==","expiration":"2030-01-01T00:00:00Z","ttl":3,"modifiedIndex":4,"createdIndex":4}}` + "\n"))
		case "6":
			head(w, 200, "9")
			w.(http.Flusher).Flush()
			<-block
		case "7": // ends without an event: the server stops
			head(w, 200, "9")
		default:
			head(w, 400, "9")
			_, _ = w.Write([]byte(`{"errorCode":401,"message":"The event in requested index is outdated and cleared","cause":"x","index":9}`))
		}
	})
	ev, at, err := c.Next(t.Context(), 3, time.Minute)
	if err != nil || at.Index != 9 || ev.Action != tree.ActionExpire || ev.Index() != 5 || !ev.HasPrev || string(ev.Prev.Value) != "\xfe" {
		t.Fatal(ev, at, err)
	}
	if ttl := ev.Prev.TTL(ev.Now); ttl != 3 {
		t.Errorf("the ttl of the node before is %d", ttl)
	}
	if ev, at, err := c.Next(t.Context(), 6, 20*time.Millisecond); ev != nil || err != nil || at.Index != 9 {
		t.Error("with nothing to tell:", ev, at, err)
	}
	if ev, _, err := c.Next(t.Context(), 7, time.Minute); ev != nil || err == nil {
		t.Error("with a watch that ends early:", ev, err)
	}
	if _, _, err := c.Next(t.Context(), 1, time.Minute); !errors.Is(err, source.ErrCleared) {
		t.Error("with a hole:", err)
	}
}

func TestRequestsArriveAsTheyWereMade(t *testing.T) {
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got = r.Method + " " + r.URL.EscapedPath() + " " + r.URL.RawQuery + " " + r.PostForm.Encode() + " " + r.Header.Get("Authorization")
		if r.Method == http.MethodDelete {
			head(w, 404, "20")
			_, _ = w.Write([]byte(`{"errorCode":100,"message":"Key not found","cause":"/a b","index":20}`))
			return
		}
		head(w, 201, "20")
		_, _ = w.Write([]byte(`{"action":"set"}`))
	})
	const second = int64(time.Second)
	for _, tt := range []struct {
		c    tree.Command
		want string
	}{
		{tree.Command{Op: tree.OpSet, Key: "/a b/ü", Value: []byte("x&y")}, "PUT /v2/keys/a%20b/%C3%BC  value=x%26y me"},
		{tree.Command{Op: tree.OpSet, Key: "/a", Dir: true, Now: 5, Expires: 5 + 7*second}, "PUT /v2/keys/a  dir=true&ttl=7 me"},
		{tree.Command{Op: tree.OpCreate, Key: "/a"}, "PUT /v2/keys/a  prevExist=false&value= me"},
		{tree.Command{Op: tree.OpUpdate, Key: "/a", Refresh: true, Now: 5, Expires: 5}, "PUT /v2/keys/a  prevExist=true&refresh=true me"},
		{tree.Command{Op: tree.OpCreateInOrder, Key: "/q", Value: []byte("v")}, "POST /v2/keys/q  value=v me"},
		{tree.Command{Op: tree.OpCompareAndSwap, Key: "/a", Value: []byte("v"), PrevValue: "u", PrevIndex: 9}, "PUT /v2/keys/a  prevIndex=9&prevValue=u&value=v me"},
		{tree.Command{Op: tree.OpSet, Key: "/a", Value: []byte("\xff")}, "PUT /v2/keys/a  encoding=base64&value=%FF me"},
	} {
		tt.c.Asked.Base64 = strings.Contains(tt.want, "base64")
		if tt.c.Refresh {
			tt.c.Expires += 3 * second
			tt.want = "PUT /v2/keys/a  prevExist=true&refresh=true&ttl=3 me"
		}
		a, err := c.Do(t.Context(), &tt.c, "me")
		if err != nil || got != tt.want || !a.Created || a.Index != 20 || string(a.Body) != `{"action":"set"}` {
			t.Errorf("%q, want %q; %+v %v", got, tt.want, a, err)
		}
	}
	a, err := c.Do(t.Context(), &tree.Command{Op: tree.OpDelete, Key: "/a b", Recursive: true, Dir: true}, "")
	if err != nil || got != "DELETE /v2/keys/a%20b dir=true&recursive=true  " || a.Err == nil || a.Err.Code != tree.CodeKeyNotFound || a.Err.Cause != "/a b" || a.Err.Index != 20 {
		t.Errorf("%q %+v %v", got, a, err)
	}
}

func TestALongAnswerComesInParts(t *testing.T) {
	long := make([]byte, 300<<10)
	for i := range long {
		long[i] = byte('a' + i%17)
	}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { head(w, 200, "20"); _, _ = w.Write(long) })
	a, rest, err := c.Get(&tree.Query{Key: "/", Recursive: true}, time.Minute, "")
	if err != nil || rest == nil || a.Index != 20 {
		t.Fatal(err, rest)
	}
	defer rest.Close()
	all := append([]byte(nil), a.Body...)
	for more := true; more; {
		var part []byte
		if part, more, err = rest.Next(); err != nil {
			t.Fatal(err)
		}
		all = append(all, part...)
	}
	if string(all) != string(long) {
		t.Fatalf("%d bytes came, of %d", len(all), len(long))
	}
}

func TestWhatCanNotBeReachedWasNotSent(t *testing.T) {
	c, err := source.New([]string{"http://127.0.0.1:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(context.Background(), &tree.Command{Op: tree.OpSet, Key: "/a"}, ""); !source.NotSent(err) {
		t.Error(err)
	}
}

// A mirror's member may begin to follow before it knows of whom.
func TestASourceThatIsNotKnownYet(t *testing.T) {
	c, err := source.New(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AuthEnabled(t.Context()); err == nil {
		t.Error("nobody has answered")
	}
	if _, err := c.Led(t.Context()); err == nil {
		t.Error("nobody has a leader")
	}
}

func TestAMemberThatAnswersNothingIsLeft(t *testing.T) {
	silent, ended := make(chan struct{}), make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }))
	defer hangs.Close()
	defer close(silent)
	const limit = 250 * time.Millisecond // what answers has to be as quick, on a slow machine too
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head(w, 200, "9")
		w.(http.Flusher).Flush()
		switch {
		case r.URL.Path == "/v2/auth/enable":
			_, _ = w.Write([]byte(`{"enabled":false}`))
		case r.URL.Query().Has("wait"): // a watch may wait for longer
			time.Sleep(3 * limit)
			_, _ = w.Write([]byte(`{"action":"set","node":{"key":"/k","modifiedIndex":9,"createdIndex":9}}`))
		default:
			<-ended
		}
	}))
	defer good.Close()
	defer close(ended)
	c, err := source.New([]string{hangs.URL, good.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Hurry(limit)
	if on, err := c.AuthEnabled(t.Context()); on || err != nil {
		t.Error("the second is asked at once:", err)
	}
	if err := c.Use([]string{hangs.URL, hangs.URL, good.URL}); err != nil {
		t.Fatal(err)
	}
	c.Hurry(limit)
	body, at, err := c.Open(t.Context(), "/")
	if err != nil || at.Index != 9 {
		t.Fatal("the third is asked at once:", at, err)
	}
	body.Close()
	if err := c.Use([]string{good.URL}); err != nil {
		t.Fatal(err)
	}
	if e, _, err := c.Next(t.Context(), 9, time.Minute); err != nil || e.Index() != 9 {
		t.Error("a watch that waits:", e, err)
	}
	if err := c.Use([]string{hangs.URL}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Next(t.Context(), 9, time.Minute); !errors.Is(err, context.DeadlineExceeded) || source.NotSent(err) {
		t.Error("a watch without an answer:", err)
	}
	if _, _, err := c.Open(t.Context(), "/"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("no one answers:", err)
	}
}

// Nobody waits for ever for the rest of an answer.
func TestAnAnswerThatDoesNotGoOnIsLeft(t *testing.T) {
	ended := make(chan struct{})
	stalls := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		head(w, 200, "9")
		_, _ = w.Write([]byte(`{"node":{"dir":true,"nodes":[` + strings.Repeat(" ", 200<<10)))
		w.(http.Flusher).Flush()
		<-ended
	}))
	defer stalls.Close()
	defer close(ended)
	c, err := source.New([]string{stalls.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Hurry(200 * time.Millisecond)
	if _, _, err := c.Read(t.Context(), "/"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("read:", err)
	}
	body, _, err := c.Open(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadAll(body); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("open:", err)
	}
	_, rest, err := c.Get(&tree.Query{Key: "/"}, time.Minute, "")
	if err != nil {
		t.Fatal(err)
	}
	defer rest.Close()
	if _, _, err := rest.Next(); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("get:", err)
	}
}

func TestWhatCantBeIsRefused(t *testing.T) {
	const far = "4611686018427387905"
	answer, index := "", "9"
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { head(w, 200, index); _, _ = w.Write([]byte(answer)) })
	for text, want := range map[string]string{
		`{"action":"set","node":{"key":"/k","modifiedIndex":7,"createdIndex":7}}`:                                                    "an event at 7, and was asked for those from 8",
		`{"action":"set","node":{"key":"/k","modifiedIndex":` + far + `,"createdIndex":7}}`:                                          "above",
		`{"action":"set","node":{"key":"/k","modifiedIndex":9,"createdIndex":9},"prevNode":{"key":"/k","createdIndex":` + far + `}}`: "above",
	} {
		answer = text
		if e, _, err := c.Next(t.Context(), 8, time.Minute); e != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", text, e, err)
		}
	}
	for text, want := range map[string]string{
		`{"node":{"key":"/b","dir":true}}`: `with "/b" to a read of "/a"`,
		`{"node":{"dir":true}}`:            `with "/" to a read of "/a"`,
		`{"node":{"key":"/a","dir":true,"nodes":[{"key":"/a/b","modifiedIndex":` + far + `}]}}`: `a node "/a/b"`,
		`{"node":{"key":"/a","dir":true,"nodes":[{"key":"/ab","modifiedIndex":7}]}}`:            `a node "/ab" in "/a"`,
	} {
		answer = text
		if n, _, err := c.Read(t.Context(), "/a"); n != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", text, n, err)
		}
	}
	index = far
	if at, err := c.At(t.Context(), "/"); err == nil || at.Index != 0 {
		t.Error("an index in the head:", at, err)
	}
}
