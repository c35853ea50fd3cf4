package httpfront

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

func TestHeadComesBeforeTheEvent(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	c := lt.dial()
	c.get("/a?wait=true")
	r := c.head()
	if r.StatusCode != 200 || r.Header.Get("X-Etcd-Index") != "3" || len(r.TransferEncoding) != 1 {
		t.Fatalf("head: %+v", r)
	}
	lt.hub.set("/b", 0)
	want := lt.hub.set("/a", 0)
	lt.hub.set("/a", 0)
	c.wantBody(r, want)
}

func TestOneShotIsOneChunkOnTheWire(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	c := lt.dial()
	c.send("GET /v2/keys/a?wait=true HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	next(t, lt.hub.watched)
	json := lt.hub.set("/a", 26)
	all, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(all), "\r\n\r\n")
	if want := "1a\r\n" + json + "\r\n0\r\n\r\n"; body != want {
		t.Errorf("got %q want %q", body, want)
	}
}

func TestConnectionKeepsAliveFromPollToPoll(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	c := lt.dial()
	for i := range 100 {
		c.get("/a?wait=true")
		next(t, lt.hub.watched)
		want := lt.hub.set("/a", 0)
		c.wantBody(c.head(), want)
		if i%10 == 0 {
			c.get("/plain")
			c.wantBody(c.head(), "plain /plain")
		}
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	c := lt.dial()
	half := len(getLine("/3")) / 2
	c.send(getLine("/1") + getLine("/a?wait=true") + getLine("/2") + getLine("/b?wait=true") + getLine("/3")[:half])
	next(t, lt.hub.watched)
	c.wantBody(c.head(), "plain /1")
	r := c.head()
	c.wantBody(r, lt.hub.set("/a", 0))
	c.wantBody(c.head(), "plain /2")
	next(t, lt.hub.watched)
	c.send(getLine("/3")[half:]) // comes while the connection is parked
	c.wantBody(c.head(), lt.hub.set("/b", 0))
	c.wantBody(c.head(), "plain /3")
}

func TestRequestMayComeLongBeforeTheEvent(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	c, d := lt.dial(), lt.dial()
	for _, c := range []*client{c, d} {
		c.get("/a?wait=true")
		next(t, lt.hub.watched)
	}
	r := c.head()
	c.get("/plain")
	_ = d.Close() // once this is noticed, so is what happened before
	next(t, lt.hub.returned)
	c.wantBody(r, lt.hub.set("/a", 0))
	c.wantBody(c.head(), "plain /plain")
}

func TestEventMayComeBeforeTheConnection(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	want := lt.hub.set("/a", 0)
	second := lt.hub.set("/a", 0)
	c := lt.dial()
	for range 20 {
		c.get("/a?wait=true&waitIndex=4")
		c.wantBody(c.head(), want)
	}
	c.get("/a?wait=true&stream=true&waitIndex=4")
	r := c.head()
	third := lt.hub.set("/a", 0)
	got := make([]byte, len(want+second+third))
	if _, err := io.ReadFull(r.Body, got); err != nil || string(got) != want+second+third {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestRefusedWatchIsAnOrdinaryAnswer(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	lt.hub.refusal = &tree.Error{Code: tree.CodeEventIndexClosed, Cause: "[5/4]", Index: 9}
	c := lt.dial()
	c.get("/a?wait=true&waitIndex=4")
	r := c.head()
	if r.StatusCode != 400 {
		t.Errorf("status %d", r.StatusCode)
	}
	c.wantBody(r, string(tree.AppendError(nil, lt.hub.refusal)))
	c.get("/plain")
	c.wantBody(c.head(), "plain /plain")
}

func TestDepartedClientIsForgotten(t *testing.T) {
	leave := map[string]func(*client){
		"close":      func(c *client) { _ = c.Close() },
		"half close": func(c *client) { _ = c.Conn.(interface{ CloseWrite() error }).CloseWrite() },
		"reset": func(c *client) {
			socket, ok := c.Conn.(*net.TCPConn)
			if !ok {
				socket = c.Conn.(*tls.Conn).NetConn().(*net.TCPConn)
			}
			_ = socket.SetLinger(0)
			_ = socket.Close()
		},
	}
	for name, leave := range leave {
		for _, query := range []string{"/a?wait=true", "/a?wait=true&stream=true"} {
			t.Run(name+query, func(t *testing.T) {
				lt := serveLoop(t, pollLoopOptions{})
				c := lt.dial()
				c.get(query)
				c.head()
				w := next(t, lt.hub.watched)
				leave(c)
				if got := next(t, lt.hub.returned); got != w {
					t.Errorf("another watch was returned")
				}
			})
		}
	}
}

func TestWatchThatFasthttpNeverHandsOverIsTakenBack(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	here, there := net.Pipe()
	defer there.Close()
	p := &parked{loop: lt.loop, watch: tree.Watch{Key: "/a"}}
	p.watch.Sink = p
	if _, err := lt.hub.Watch(&p.watch); err != nil {
		t.Fatal(err)
	}
	c := newConn(lt.loop, here, nil, nil)
	c.expect(p)
	_ = c.Close()
	next(t, lt.hub.returned)

	// And so it is if the connection was closed before the handover.
	if _, err := lt.hub.Watch(&p.watch); err != nil {
		t.Fatal(err)
	}
	c.expect(p)
	c.handOver(strings.NewReader(""), nil)
	next(t, lt.hub.returned)
}

func TestOldClientsGetTheEventAndTheEnd(t *testing.T) {
	cases := map[string]struct{ head, tail string }{
		"HTTP/1.0":                {" HTTP/1.0\r\n\r\n", ""},
		"HTTP/1.0 and keep-alive": {" HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", ""},
		"Connection: close":       {" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "\r\n0\r\n\r\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			lt := serveLoop(t, pollLoopOptions{})
			conn := lt.dial()
			conn.send("GET /v2/keys/a?wait=true" + c.head)
			next(t, lt.hub.watched)
			json := lt.hub.set("/a", 0)
			got, err := io.ReadAll(conn.r)
			if err != nil || !strings.HasSuffix(string(got), json+c.tail) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestStreamDeliversEverythingInOrder(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	c := lt.dial()
	c.get("/?wait=true&stream=true&recursive=true")
	r := c.head()
	var want []string
	for range 500 {
		want = append(want, lt.hub.set("/a/b", 0))
	}
	lines := bufio.NewReader(r.Body)
	for i, w := range want {
		if got, err := lines.ReadString('\n'); got != w {
			t.Fatalf("event %d: got %q want %q (%v)", i, got, w, err)
		}
	}
}

func TestSlowStreamIsEndedNotSkipped(t *testing.T) {
	cases := map[string]struct {
		options pollLoopOptions
		size    int
	}{
		"too many events": {pollLoopOptions{streamWindow: 50}, 100_000},
		"too many bytes":  {pollLoopOptions{streamLimit: 1 << 20}, 500_000},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			lt := serveLoop(t, c.options)
			conn := lt.dial()
			conn.get("/a?wait=true&stream=true")
			r := conn.head()
			var want strings.Builder
			for lt.hub.count() > 0 {
				want.WriteString(lt.hub.set("/a", c.size))
			}
			got, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatalf("the end isn't clean: %v", err)
			}
			if len(got) == 0 || len(got)%c.size != 0 || len(got) == want.Len() || !strings.HasPrefix(want.String(), string(got)) {
				t.Errorf("got %d bytes that are no proper part of the %d delivered", len(got), want.Len())
			}
			conn.wantClosed()
		})
	}
}

func TestEventLargerThanTheSocketsBuffers(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{timeouts: timeouts{writeTimeout: patience}})
	c := lt.dial()
	c.get("/a?wait=true")
	next(t, lt.hub.watched)
	want := lt.hub.set("/a", 24<<20)
	c.wantBody(c.head(), want)
	c.get("/plain")
	c.wantBody(c.head(), "plain /plain")
}

func TestClientThatNeverReadsIsDropped(t *testing.T) {
	for name, query := range map[string]string{
		"one event":    "/a?wait=true",
		"ended stream": "/a?wait=true&stream=true",
	} {
		t.Run(name, func(t *testing.T) {
			lt := serveLoop(t, pollLoopOptions{timeouts: timeouts{writeTimeout: 20 * time.Millisecond}, streamWindow: 1})
			c := lt.dial()
			c.get(query)
			next(t, lt.hub.watched)
			for lt.hub.count() > 0 {
				lt.hub.set("/a", 24<<20)
			}
			eventually(t, "the connection is closed", func() bool {
				// A byte sent to a socket that is closed is answered by a reset.
				_, err := c.Write([]byte("x"))
				return err != nil
			})
		})
	}
}

// TestStreamThatIsNotReadMakesRoom has no further event come, by which it would be noticed.
func TestStreamThatIsNotReadMakesRoom(t *testing.T) {
	const size = 1 << 20
	budget := inflight.New(80 * size)
	lt := serveLoop(t, pollLoopOptions{timeouts: timeouts{writeTimeout: 20 * time.Millisecond}, heads: headOptions{inFlight: budget}})
	c := lt.dial()
	c.get("/a?wait=true&stream=true")
	next(t, lt.hub.watched)
	for n := uint64(1); budget.Held(inflight.Streams) < 40*size; n++ {
		lt.hub.set("/a", size)
		eventually(t, "the event is delivered", func() bool { return lt.loop.options.meter.sent.Load() == n })
	}
	if !budget.Take(inflight.Bodies, 60*size, patience) {
		t.Fatal("a client that reads nothing kept others from writing")
	}
	eventually(t, "the stream has ended", func() bool { return lt.hub.count() == 0 })
}

func TestIdleConnectionIsClosed(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{timeouts: timeouts{idleTimeout: 20 * time.Millisecond}})
	c := lt.dial()
	c.get("/a?wait=true")
	r := c.head()
	c.wantBody(r, lt.hub.set("/a", 0))
	c.wantClosed()
}

func TestEndIsTheEmptyAnswer(t *testing.T) {
	for name, end := range map[string]func(*loopTest){
		"the hub ends":        func(lt *loopTest) { lt.hub.endAll() },
		"the poll loop stops": func(lt *loopTest) { lt.loop.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			lt := serveLoop(t, pollLoopOptions{})
			var clients []*client
			for _, query := range []string{"/a?wait=true", "/b?wait=true&stream=true"} {
				for range 20 {
					c := lt.dial()
					c.get(query)
					clients = append(clients, c)
					next(t, lt.hub.watched)
				}
			}
			end(lt)
			for _, c := range clients {
				c.wantBody(c.head(), "")
				c.wantClosed()
			}
			eventually(t, "the hub has no watches", func() bool { return lt.hub.count() == 0 })
		})
	}
}

func TestPollOfAStoppedParkerEndsAtOnce(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	lt.loop.stop()
	lt.loop.stop()
	here, there := socketPair(t)
	lt.server.conns.serve(newConn(lt.loop, here, nil, []byte(getLine("/a?wait=true"))), lt.server.serveConn)
	c := &client{t: t, Conn: there, r: bufio.NewReader(there)}
	_ = c.SetDeadline(time.Now().Add(patience))
	c.wantBody(c.head(), "")
	c.wantClosed()
	next(t, lt.hub.returned)
}

func TestPollingFromIndexToIndexMissesNothing(t *testing.T) {
	const clients, events = 8, 300
	lt := serveLoop(t, pollLoopOptions{})
	var crowd sync.WaitGroup
	for range clients {
		c := lt.dial()
		crowd.Go(func() {
			for index := 4; index < 4+events; index++ {
				if _, err := io.WriteString(c, getLine(fmt.Sprintf("/a?wait=true&waitIndex=%d", index))); err != nil {
					t.Error(err)
					return
				}
				r, err := http.ReadResponse(c.r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				var got struct{ Index int }
				if err := json.NewDecoder(r.Body).Decode(&got); err != nil || got.Index != index {
					t.Errorf("got event %d want %d: %v", got.Index, index, err)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
			}
		})
	}
	for range events {
		lt.hub.set("/a", 0)
		runtime.Gosched()
	}
	crowd.Wait()
}
