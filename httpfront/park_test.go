package httpfront

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copse/config/certs/tlstest"
	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// patience is how long a test waits for what must come; it says nothing about
// how fast that is.
const patience = 30 * time.Second

var wide = strings.Repeat("w", 20<<10)

// fakeHub is a Backend that knows of watches alone. It holds its lock while it
// delivers, as the hub's one goroutine does nothing else meanwhile.
type fakeHub struct {
	Backend
	mu       sync.Mutex
	index    tree.Index
	told     atomic.Uint64
	watches  map[*tree.Watch]bool
	history  []*tree.EncodedEvent
	watched  chan *tree.Watch
	returned chan *tree.Watch // what Unwatch was called with
	refusal  *tree.Error
	floor    tree.Index // watches from before are refused
	auth     atomic.Pointer[auth.State]
	changed  chan struct{}

	asked     func(key string) // GetCached calls it first, if set
	loading   func(key string) // Load calls it first, of what begins with /disk
	loaded    sync.Map         // keys
	closeSoon bool             // the guest loses all rights when the next watch has begun
}

func newFakeHub() *fakeHub {
	h := &fakeHub{
		changed:  make(chan struct{}, 1),
		index:    3,
		watches:  make(map[*tree.Watch]bool),
		watched:  make(chan *tree.Watch, 20000),
		returned: make(chan *tree.Watch, 20000),
	}
	h.auth.Store(new(auth.State))
	return h
}

func (h *fakeHub) Auth() *auth.State            { return h.auth.Load() }
func (h *fakeHub) AuthChanged() <-chan struct{} { return h.changed }

func (h *fakeHub) Watch(w *tree.Watch) (tree.State, *tree.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refusal != nil {
		return tree.State{}, h.refusal
	}
	if w.Since != 0 && w.Since < h.floor {
		return tree.State{}, &tree.Error{Code: tree.CodeEventIndexClosed, Index: h.index}
	}
	st := tree.State{Index: h.index, RaftIndex: 7, RaftTerm: 2}
	h.watches[w] = true
	if w.Since != 0 {
		for _, n := range h.history {
			if n.Index >= w.Since {
				h.deliver(w, n)
			}
		}
	} else {
		w.Since = h.index + 1
	}
	if h.closeSoon {
		h.auth.Store(&auth.State{Enabled: true})
	}
	h.watched <- w
	return st, nil
}

// refuse has it refuse watches from before floor, or all with err.
func (h *fakeHub) refuse(floor tree.Index, err *tree.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.floor, h.refusal = floor, err
}

func (h *fakeHub) deliver(w *tree.Watch, n *tree.EncodedEvent) {
	if !h.watches[w] || !w.Wants(n) {
		return
	}
	if !w.Stream {
		delete(h.watches, w)
	}
	w.Sink.Deliver(n)
}

func (h *fakeHub) Unwatch(w *tree.Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watches[w] {
		delete(h.watches, w)
		h.returned <- w
	}
}

// Get answers with the key, and of /wide 20 KiB more, which hasn't changed since index 5.
func (h *fakeHub) Get(dst []byte, q tree.Query) ([]byte, tree.Rest, tree.State, *tree.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q.Tag.IsCurrent(5, h.index, true)
	dst = append(dst, "plain "+q.Key...)
	if q.Key == "/wide" {
		dst = append(dst, wide...)
	}
	return dst, nil, tree.State{Index: h.index}, nil
}

// GetCached answers in the poll loop, but for what begins with /slow.
func (h *fakeHub) GetCached(dst []byte, q *tree.Query) ([]byte, tree.State, *tree.Error, bool) {
	if strings.HasPrefix(q.Key, "/slow") || h.Loads(q) {
		return dst, tree.State{}, nil, false
	}
	if h.asked != nil {
		h.asked(q.Key)
	}
	out, _, st, err := h.Get(dst, *q)
	return out, st, err, true
}

// Loads says that what begins with /disk is on disk at first, and what begins with /disk/large always.
func (h *fakeHub) Loads(q *tree.Query) bool {
	_, known := h.loaded.Load(q.Key)
	return !known && strings.HasPrefix(q.Key, "/disk")
}

func (h *fakeHub) Load(q *tree.Query) {
	if h.loading != nil {
		h.loading(q.Key)
	}
	if !strings.HasPrefix(q.Key, "/disk/large") {
		h.loaded.Store(strings.Clone(q.Key), nil)
	}
}

func (h *fakeHub) Told(dst []tree.Index) []tree.Index { return append(dst, tree.Index(h.told.Load())) }

func (h *fakeHub) State() tree.State      { return tree.State{Index: h.at()} }
func (h *fakeHub) Cluster() *tree.Cluster { return &tree.Cluster{ID: 0xa7ef, Self: 1} }

// set publishes a change of key, whose JSON is size bytes or as short as can be.
func (h *fakeHub) set(key string, size int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.index++
	json := fmt.Appendf(nil, `{"index":%d,"pad":"`, h.index)
	json = append(json, bytes.Repeat([]byte("x"), max(0, size-len(json)-3))...)
	json = append(json, "\"}\n"...)
	h.put(&tree.EncodedEvent{Index: h.index, Action: tree.ActionSet, Key: key, JSON: json})
	return string(json)
}

// publish publishes n, the next event.
func (h *fakeHub) publish(n *tree.EncodedEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.index = n.Index
	h.put(n)
}

func (h *fakeHub) put(n *tree.EncodedEvent) {
	h.history = append(h.history, n)
	for w := range h.watches {
		h.deliver(w, n)
	}
	h.told.Store(uint64(n.Index))
}

func (h *fakeHub) at() tree.Index {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.index
}

func (h *fakeHub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watches)
}

// endAll tells every watcher that the server stops.
func (h *fakeHub) endAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watches {
		delete(h.watches, w)
		w.Sink.End()
	}
}

// loopTest is a Server whose poll loop the test has made.
type loopTest struct {
	t      *testing.T
	hub    *fakeHub
	loop   *pollLoop
	server *Server
	addr   string
	tls    *tls.Config // of clients; nil: there is no TLS
}

// overTLS tells the tests that run once more as parts of TestOverTLS or TestOnOnePort.
func overTLS(t *testing.T) bool {
	return strings.HasPrefix(t.Name(), "TestOverTLS/") || strings.HasPrefix(t.Name(), "TestOnOnePort/secure")
}

func serveLoop(t *testing.T, o pollLoopOptions) *loopTest {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveLoopOn(t, ln, o)
}

func serveLoopOn(t *testing.T, ln net.Listener, o pollLoopOptions) *loopTest {
	t.Helper()
	hub := newFakeHub()
	s := NewTestServer(hub, Options{})
	o.server = s
	o.unwatch, o.told, o.auth, o.authChanged = hub.Unwatch, hub.Told, hub.Auth, hub.AuthChanged()
	p, err := newTestPollLoop(o)
	if err != nil {
		t.Fatal(err)
	}
	s.conns.loops = []*pollLoop{p}
	lt := &loopTest{t: t, hub: hub, loop: p, server: s, addr: ln.Addr().String()}
	done := make(chan error, 1)
	onePort := strings.HasPrefix(t.Name(), "TestOnOnePort/")
	security := protection{plain: onePort || !overTLS(t)}
	if onePort || overTLS(t) {
		a := tlstest.New(t)
		security.tls = a.Server("server")
		if overTLS(t) {
			lt.tls = a.Client("")
		}
	}
	go func() { done <- s.serveOn(ln, security) }()
	t.Cleanup(func() {
		if err := s.Stop(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("stop: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		p.settle()
	})
	return lt
}

// connect opens a connection, with TLS if that is what is served.
func (lt *loopTest) connect() (net.Conn, error) {
	if lt.tls != nil {
		return tls.Dial("tcp", lt.addr, lt.tls)
	}
	return net.Dial("tcp", lt.addr)
}

// client is one connection, seen from its other end.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (lt *loopTest) dial() *client {
	lt.t.Helper()
	c, err := lt.connect()
	if err != nil {
		lt.t.Fatal(err)
	}
	return lt.over(c)
}

// over returns a client on c.
func (lt *loopTest) over(c net.Conn) *client {
	lt.t.Helper()
	lt.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		lt.t.Fatal(err)
	}
	return &client{t: lt.t, Conn: c, r: bufio.NewReader(c)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) get(path string) { c.t.Helper(); c.send(getLine(path)) }

func getLine(path string) string { return "GET /v2/keys" + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

// head reads a response's head; its body can be read while it comes.
func (c *client) head() *http.Response {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatalf("read a response's head: %v", err)
	}
	return r
}

// wantBody reads the rest of the response.
func (c *client) wantBody(r *http.Response, want string) {
	c.t.Helper()
	got, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("read a body: %v", err)
	}
	if string(got) != want {
		c.t.Fatalf("body: got %.300q want %.300q", got, want)
	}
}

func (c *client) wantClosed() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err != io.EOF {
		c.t.Fatalf("connection isn't closed: read %q, %v", b, err)
	}
}

// next waits for the hub to be told something.
func next(t *testing.T, what <-chan *tree.Watch) *tree.Watch {
	t.Helper()
	select {
	case w := <-what:
		return w
	case <-time.After(patience):
		t.Fatal("the hub wasn't told")
		return nil
	}
}

// eventually polls for a condition that nothing announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never came true: %s", what)
		}
	}
}
