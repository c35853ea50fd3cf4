package httpfront

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestAnswersToAClientThatHasEnded has it send its requests and their end at once.
func TestAnswersToAClientThatHasEnded(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	for round := range 60 {
		n, path := 1+round*7%100, []string{"/a", "/slow", "/a?quorum=false"}[round%3]
		c := lt.dial()
		c.send(strings.Repeat(getLine(path), n))
		if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for range n {
			c.wantBody(c.head(), "plain "+strings.TrimSuffix(path, "?quorum=false"))
		}
		c.wantClosed()
	}
}

// gathering is a connection that keeps what is sent until it is told to send all at once.
type gathering struct {
	net.Conn
	on   bool
	kept bytes.Buffer
}

func (g *gathering) Write(b []byte) (int, error) {
	if g.on {
		return g.kept.Write(b)
	}
	return g.Conn.Write(b)
}

// requestsBehindAWatchInASession has the server read two records at once, of which the parking of
// the watch takes only the beginning: nothing more comes from the socket then.
func requestsBehindAWatchInASession(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	const behind = 540
	plain, err := net.Dial("tcp", lt.addr)
	if err != nil {
		t.Fatal(err)
	}
	g, config := &gathering{Conn: plain}, lt.tls.Clone()
	config.DynamicRecordSizingDisabled, config.ServerName = true, "localhost"
	c := lt.over(tls.Client(g, config))
	if err := c.Conn.(*tls.Conn).Handshake(); err != nil {
		t.Fatal(err)
	}
	c.get("/a")
	c.wantBody(c.head(), "plain /a")
	text := getLine("/a?wait=true") + strings.Repeat(getLine("/a"), behind)
	g.on = true
	c.send(text[:len(text)/2])
	c.send(text[len(text)/2:])
	if _, err := plain.Write(g.kept.Bytes()); err != nil {
		t.Fatal(err)
	}
	next(t, lt.hub.watched)
	lt.hub.set("/a", 0)
	for i := range 1 + behind {
		r, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Fatal(err)
		}
	}
}
