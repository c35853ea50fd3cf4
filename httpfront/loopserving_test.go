package httpfront

import (
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTimeOutsInThePollLoop has clients that would keep a connection for ever.
func TestTimeOutsInThePollLoop(t *testing.T) {
	const short = 100 * time.Millisecond // some have to ask within it, on a slow machine too
	long := timeouts{readTimeout: patience, idleTimeout: patience, writeTimeout: patience, slack: time.Millisecond}
	reads, idles, writes := long, long, long
	reads.readTimeout, idles.idleTimeout, writes.writeTimeout = short, short, short
	dribble := func(c *client, text string) {
		for {
			for i := range text {
				if _, err := io.WriteString(c, text[i:i+1]); err != nil {
					return
				}
				time.Sleep(short / 4)
			}
		}
	}
	for name, test := range map[string]struct {
		timeouts
		do func(c *client)
	}{
		"who says nothing":        {reads, func(*client) {}},
		"who says half a request": {reads, func(c *client) { c.send("GET /v2/k") }},
		"and that slowly":         {reads, func(c *client) { dribble(c, "GET /"+strings.Repeat("a", 1000)) }},
		"after an answer": {reads, func(c *client) {
			c.get("/a")
			c.wantBody(c.head(), "plain /a")
			dribble(c, "GET /"+strings.Repeat("a", 1000))
		}},
		"and after a goroutine's":     {reads, func(c *client) { c.get("/slow"); c.wantBody(c.head(), "plain /slow"); c.send("GET /v2/k") }},
		"who has nothing more to say": {idles, func(c *client) { c.get("/a"); c.wantBody(c.head(), "plain /a") }},
		"the same after a goroutine":  {idles, func(c *client) { c.get("/slow"); c.wantBody(c.head(), "plain /slow") }},
		"the same after a wait": {idles, func(c *client) {
			c.get("/a?wait=true&waitMax=1ms")
			c.wantBody(c.head(), "")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serveLoop(t, pollLoopOptions{timeouts: test.timeouts}).dial()
			test.do(c)
			if rest, _ := io.ReadAll(c.r); len(rest) > 0 { // it may have been reset
				t.Errorf("got %q", rest)
			}
		})
	}
	t.Run("who takes no answers", func(t *testing.T) {
		t.Parallel()
		lt := serveLoop(t, pollLoopOptions{timeouts: writes})
		c := lt.dial()
		for text := strings.Repeat(getLine("/a"), 100); ; {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	})
}

// TestIdleConnectionsAreNoGoroutinesAndLittleMemory is about those that have been served.
func TestIdleConnectionsAreNoGoroutinesAndLittleMemory(t *testing.T) {
	const idle, bytesLimit = 2000, 2048
	lt := serveLoop(t, pollLoopOptions{})
	clients := make([]int, 0, idle+50)
	defer func() {
		for _, fd := range clients {
			_ = unix.Close(fd)
		}
	}()
	for range 50 {
		clients = append(clients, rawClient(t, lt.addr, getLine("/warm/up")))
	}
	goroutines, before := runtime.NumGoroutine(), heap()
	for i := range idle {
		clients = append(clients, rawClient(t, lt.addr, getLine([]string{"/a", "/slow"}[i%2])))
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines+2 })
	each := (heap() - before) / idle
	t.Logf("an idle connection takes %d bytes of heap", each)
	if each > bytesLimit {
		t.Errorf("an idle connection takes %d bytes of heap", each)
	}
}
