package httpfront

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/crypto/bcrypt"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// stillBackend answers at once and always the same.
type stillBackend struct {
	Backend
	answer []byte
	auth   *auth.State
}

var stillState = tree.State{Index: 123456, RaftIndex: 234567, RaftTerm: 3}

func (b *stillBackend) Get(dst []byte, q tree.Query) ([]byte, tree.Rest, tree.State, *tree.Error) {
	q.Tag.Shows(123456, true)
	return append(dst, b.answer...), nil, stillState, nil
}

func (b *stillBackend) Do(c *tree.Command) tree.Reply {
	if c.Op != tree.OpSet || len(c.Value) == 0 {
		panic("not the request that was sent")
	}
	return tree.Reply{JSON: b.answer, Action: tree.ActionSet, State: stillState}
}

// GetCached and Submit leave everything to goroutines.
func (b *stillBackend) GetCached(dst []byte, _ *tree.Query) ([]byte, tree.State, *tree.Error, bool) {
	return dst, tree.State{}, nil, false
}
func (b *stillBackend) Loads(*tree.Query) bool                { return false }
func (b *stillBackend) Load(*tree.Query)                      {}
func (b *stillBackend) Confirm(*tree.Query, func(error)) bool { return false }

func (b *stillBackend) Submit(*tree.Command, func(tree.Reply)) bool { return false }

func (b *stillBackend) Auth() *auth.State            { return b.auth }
func (b *stillBackend) AuthChanged() <-chan struct{} { return nil }

func (b *stillBackend) Cluster() *tree.Cluster { return &tree.Cluster{ID: 1} }

// stillLoop has the timeouts of connections that never come to an end.
var stillLoop = &pollLoop{options: pollLoopOptions{timeouts: timeouts{time.Minute, time.Minute, time.Minute, time.Second}, heads: headOptions{limit: 32 << 10}}}

// patientConn is a connection that takes every deadline.
type patientConn struct{ net.Conn }

func (patientConn) SetWriteDeadline(time.Time) error { return nil }
func (patientConn) RemoteAddr() net.Addr             { return nil }
func (patientConn) LocalAddr() net.Addr              { return nil }

// loop returns a func that serves the same request again and again, as
// fasthttp does on one connection, without its reading and writing.
func loop(method, target, body string) func() { return loopAs(new(auth.State), method, target, body) }

// loopAs is loop for the user u with the password p.
func loopAs(st *auth.State, method, target, body string) func() {
	return loopOn(NewTestServer(&stillBackend{answer: []byte(`{"action":"get","node":{"key":"/a/b"}}` + "\n"), auth: st}, Options{}), method, target, body)
}

// loopOn is loop for one of the connections of s.
func loopOn(s *Server, method, target, body string) func() {
	var request fasthttp.Request
	request.Header.SetMethod(method)
	request.Header.SetRequestURI(target)
	request.Header.SetHost("h")
	request.Header.Set("Authorization", "Basic dTpw")
	if body != "" {
		request.Header.SetContentType(formType)
	}
	var ctx fasthttp.RequestCtx
	ctx.Init2(newConn(stillLoop, patientConn{}, nil, nil), nil, false)
	request.CopyTo(&ctx.Request)
	ctx.Response.KeepBodyBuffer, ctx.Request.KeepBodyBuffer = true, true
	text := []byte(body)
	return func() {
		ctx.Request.SetBody(text) // parsing works in place
		s.handle(&ctx)
		if ctx.Response.StatusCode() != fasthttp.StatusOK || len(ctx.Response.Body()) == 0 {
			panic(ctx.Response.String())
		}
		ctx.Response.Reset()
	}
}

// tenThousand are users, among them u, who has a role with some patterns.
func tenThousand(tb testing.TB) *auth.State {
	tb.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("p"), bcrypt.MinCost)
	if err != nil {
		tb.Fatal(err)
	}
	keys := []string{"/x", "/y/*", "/a/*"}
	users := []*auth.User{{Name: "u", Hash: string(hash), Roles: []string{"r"}}}
	for i := range 10_000 {
		users = append(users, &auth.User{Name: fmt.Sprintf("another %04d", i)})
	}
	return auth.NewState(true, users, []*auth.Role{{Name: "r", Permissions: auth.Permissions{Read: keys, Write: keys}}})
}

func TestHotRequestsAllocateNothing(t *testing.T) {
	users := tenThousand(t)
	for name, serve := range map[string]func(){
		"GET by a user":    loopAs(users, "GET", "/v2/keys/a/b", ""),
		"PUT by a user":    loopAs(users, "PUT", "/v2/keys/a/b", "value=some+text+%26+more&ttl=60"),
		"GET":              loop("GET", "/v2/keys/a/b", ""),
		"GET with a query": loop("GET", "/v2/keys/a/b?quorum=false&recursive=false&sorted=false", ""),
		"PUT":              loop("PUT", "/v2/keys/a/b", "value=some+text+%26+more&ttl=60"),
	} {
		if n := testing.AllocsPerRun(100, serve); n != 0 {
			t.Errorf("%s: got %v allocations want none", name, n)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	serve := loop("GET", "/v2/keys/a/b", "")
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
}

// BenchmarkGetsAtOnce has all cores serve connections of one server.
func BenchmarkGetsAtOnce(b *testing.B) {
	s := NewTestServer(&stillBackend{answer: []byte(`{"action":"get","node":{"key":"/a/b"}}` + "\n"), auth: new(auth.State)}, Options{})
	b.RunParallel(func(pb *testing.PB) {
		serve := loopOn(s, "GET", "/v2/keys/a/b", "")
		for pb.Next() {
			serve()
		}
	})
}

func BenchmarkGetByUser(b *testing.B) {
	serve := loopAs(tenThousand(b), "GET", "/v2/keys/a/b", "")
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
}

func BenchmarkPut(b *testing.B) {
	serve := loop("PUT", "/v2/keys/a/b", "value=some+text+%26+more")
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
}

// batches is a connection on which the same bytes come until the benchmark ends.
type batches struct {
	patientConn
	b     *testing.B
	bytes []byte
}

func (c *batches) Read(p []byte) (int, error) {
	if !c.b.Loop() {
		return 0, io.EOF
	}
	return copy(p, c.bytes), nil
}

func (c *batches) Write(p []byte) (int, error)     { return len(p), nil }
func (c *batches) SetReadDeadline(time.Time) error { return nil }
func (c *batches) Close() error                    { return nil }

// BenchmarkPipelinedGets is a batch of sixteen, with all that fasthttp does but the
// system calls.
func BenchmarkPipelinedGets(b *testing.B) {
	s := NewTestServer(&stillBackend{answer: []byte(`{"action":"get","node":{"key":"/a/b"}}` + "\n"), auth: new(auth.State)}, Options{})
	b.ReportAllocs()
	_ = s.serveConn(newConn(stillLoop, &batches{b: b, bytes: bytes.Repeat([]byte(getLine("/a/b")), 16)}, nil, nil))
}
