package httpfront

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
)

// stopping begins to stop the server, and returns once its poll loop has ended.
func (lt *loopTest) stopping() (stopped chan error) {
	stopped = make(chan error, 1)
	go func() { stopped <- lt.server.Stop(context.Background()) }()
	<-lt.loop.stopped
	return stopped
}

// slowReader is a client whose socket takes little at once.
func (lt *loopTest) slowReader() *client {
	lt.t.Helper()
	c := lt.dial()
	plain := c.Conn
	if s, ok := plain.(*tls.Conn); ok {
		plain = s.NetConn()
	}
	if err := plain.(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
		lt.t.Fatal(err)
	}
	return c
}

// TestStopLetsAnswersBeTaken has a client that has taken the beginning of an event when the server
// stops, and one with many answers of which it has taken the first.
func TestStopLetsAnswersBeTaken(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{timeouts: timeouts{writeTimeout: patience}})
	event, many := lt.slowReader(), lt.slowReader()
	event.get("/a?wait=true")
	next(t, lt.hub.watched)
	want := lt.hub.set("/a", 9<<20)
	r := event.head()
	many.send(strings.Repeat(getLine("/wide"), 400)) // are read at once
	many.wantBody(many.head(), "plain /wide"+wide)
	eventually(t, "its socket is full", func() bool { return lt.loop.options.meter.active.Load() == 2 })
	stopped := lt.stopping()
	event.wantBody(r, want)
	event.wantClosed()
	for last := false; !last; {
		r := many.head()
		last = r.Close
		many.wantBody(r, "plain /wide"+wide)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestStopLetsRequestsThatHaveComeBeAnswered has one come while the loop is at another.
func TestStopLetsRequestsThatHaveComeBeAnswered(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	serving, going := make(chan struct{}), make(chan struct{})
	lt.hub.asked = func(key string) {
		if key == "/first" {
			close(serving)
			<-going
		}
	}
	first, other, silent := lt.dial(), lt.dial(), lt.dial()
	for _, c := range []*client{first, other, silent} {
		c.get("/a")
		c.wantBody(c.head(), "plain /a")
	}
	first.get("/first")
	<-serving
	other.get("/other")
	stopped := make(chan error, 1)
	go func() { stopped <- lt.server.Stop(context.Background()) }()
	eventually(t, "the loop is to end", lt.loop.due.end.Load)
	close(going)
	first.wantBody(first.head(), "plain /first")
	other.wantBody(other.head(), "plain /other")
	for _, c := range []*client{first, other, silent} {
		c.wantClosed()
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
