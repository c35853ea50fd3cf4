package httpfront

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// The time-outs of these tests.
const (
	testReadTimeout  = 10 * time.Second
	testWriteTimeout = 32 * time.Second
	testIdleTimeout  = 100 * time.Second
)

// slowBackend answers as the key says.
type slowBackend struct{ stillBackend }

func (b *slowBackend) Get(dst []byte, q tree.Query) ([]byte, tree.Rest, tree.State, *tree.Error) {
	switch q.Key {
	case "/late":
		time.Sleep(testWriteTimeout - time.Second)
	case "/large":
		dst = append(dst, make([]byte, 100<<10)...)
	case "/parts":
		return append(dst, "part"...), endless{}, stillState, nil
	}
	return b.stillBackend.Get(dst, q)
}

// endless is the rest of a listing that never ends.
type endless struct{}

func (endless) Size() int                   { return -1 }
func (endless) Next() ([]byte, bool, error) { return []byte("part"), true, nil }
func (endless) Close()                      {}

// timedClient is the client of a connection whose clock is synctest's: it leaps from
// one thing that happens to the next.
type timedClient struct {
	t *testing.T
	net.Conn
	r     *bufio.Reader
	began time.Time
	took  chan time.Duration // until the server has closed
}

// timed runs test with a client of a server whose deadlines may be off by slack.
func timed(t *testing.T, slack time.Duration, test func(*timedClient)) {
	new(fasthttp.ResponseHeader).Header() // starts fasthttp's clock, which never ends, outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		s := NewTestServer(&slowBackend{stillBackend{answer: []byte("{}\n"), auth: new(auth.State)}}, Options{
			Requests: Requests{ReadTimeout: testReadTimeout, WriteTimeout: testWriteTimeout, IdleTimeout: testIdleTimeout},
		})
		loop := &pollLoop{options: pollLoopOptions{
			timeouts: timeouts{testReadTimeout, testIdleTimeout, testWriteTimeout, slack}, heads: headOptions{limit: 32 << 10},
		}}
		here, there := net.Pipe()
		c := &timedClient{t: t, Conn: there, r: bufio.NewReader(there), began: time.Now(), took: make(chan time.Duration, 1)}
		go func() {
			_ = s.serveConn(newConn(loop, here, nil, nil))
			c.took <- time.Since(c.began)
		}()
		test(c)
		_ = there.Close()
	})
}

func (c *timedClient) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("after %v: %v", time.Since(c.began), err)
	}
}

// drip sends a byte each second until the server has closed.
func (c *timedClient) drip(text string) {
	for i := range text {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
	c.t.Error("all has been taken")
}

// until waits until d after the connection's beginning.
func (c *timedClient) until(d time.Duration) { time.Sleep(d - time.Since(c.began)) }

func (c *timedClient) takeAnswers(n int) {
	c.t.Helper()
	for i := range n {
		r, err := http.ReadResponse(c.r, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		if err != nil || r.StatusCode != http.StatusOK {
			c.t.Fatalf("answer %d, after %v: %v, %v", i, time.Since(c.began), r, err)
		}
	}
}

// takeSlowly takes some bytes in the middle of each second until the server has closed.
func (c *timedClient) takeSlowly(bytes int) {
	time.Sleep(time.Second / 2)
	for {
		if _, err := c.Read(make([]byte, bytes)); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// wantEnd wants the connection to be closed at a time, without another word.
func (c *timedClient) wantEnd(at time.Duration) {
	c.t.Helper()
	if took := <-c.took; took != at {
		c.t.Errorf("closed after %v want %v", took, at)
	}
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil {
		c.t.Errorf("got %q, %v", rest, err)
	}
}

const putHead = "PUT /v2/keys/a HTTP/1.1\r\nHost: h\r\nContent-Type: " + formType + "\r\nContent-Length: 100\r\n"

func TestTimeouts(t *testing.T) {
	sixteen := strings.Repeat(getLine("/a"), 16)
	for name, test := range map[string]func(*timedClient){
		"who says nothing has the read time-out": func(c *timedClient) {
			c.wantEnd(testReadTimeout)
		},
		"a first request has it from the connection's opening on": func(c *timedClient) {
			c.until(5 * time.Second)
			c.send("GET /v2/ke")
			c.wantEnd(testReadTimeout)
		},
		"a first request that drips has no more": func(c *timedClient) {
			c.drip(getLine("/a"))
			c.wantEnd(testReadTimeout)
		},
		"who has been answered has the idle time-out": func(c *timedClient) {
			c.until(5 * time.Second)
			c.send(getLine("/a"))
			c.takeAnswers(1)
			c.wantEnd(5*time.Second + testIdleTimeout)
		},
		"each answer begins another": func(c *timedClient) {
			for i := range 5 {
				c.until(time.Duration(i+1) * 9 * time.Second)
				c.send(getLine("/a"))
				c.takeAnswers(1)
			}
			c.wantEnd(45*time.Second + testIdleTimeout)
		},
		"a later request has the read time-out from its first byte on": func(c *timedClient) {
			c.send(getLine("/a"))
			c.takeAnswers(1)
			c.until(70 * time.Second)
			c.send("G")
			c.until(75 * time.Second)
			c.send("ET /v2/ke")
			c.wantEnd(70*time.Second + testReadTimeout)
		},
		"a later request that drips has no more": func(c *timedClient) {
			c.send(getLine("/a"))
			c.takeAnswers(1)
			c.until(95 * time.Second)
			c.drip(getLine("/a"))
			c.wantEnd(95*time.Second + testReadTimeout)
		},
		"head and body have one together": func(c *timedClient) {
			c.send(getLine("/a"))
			c.takeAnswers(1)
			c.send(putHead)
			c.until(5 * time.Second)
			c.send("\r\nvalue=")
			c.drip(strings.Repeat("x", 94))
			c.wantEnd(testReadTimeout)
		},
		"who may go on with the body has it as well": func(c *timedClient) {
			c.send(putHead + "Expect: 100-continue\r\n\r\n")
			if line, err := c.r.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
				c.t.Fatalf("got %q, %v", line, err)
			}
			_, _ = c.r.ReadString('\n')
			c.drip(strings.Repeat("x", 100))
			c.wantEnd(testReadTimeout)
		},
		"sixteen requests at once, and idle": func(c *timedClient) {
			c.until(5 * time.Second)
			c.send(sixteen)
			c.takeAnswers(16)
			c.wantEnd(5*time.Second + testIdleTimeout)
		},
		"sixteen requests and a half are sixteen answers": func(c *timedClient) {
			c.until(5 * time.Second)
			c.send(sixteen + "GET /v2/ke")
			c.takeAnswers(16)
			c.wantEnd(5*time.Second + testReadTimeout)
		},
		"a time-out for taking an answer": func(c *timedClient) {
			c.until(5 * time.Second)
			c.send(getLine("/a"))
			c.wantEnd(5*time.Second + testWriteTimeout)
		},
		"one for all of an answer": func(c *timedClient) {
			c.send(getLine("/large"))
			c.takeSlowly(1)
			c.wantEnd(testWriteTimeout)
		},
		"one for each answer": func(c *timedClient) {
			c.send(getLine("/large") + getLine("/large") + getLine("/large"))
			for i := range 3 {
				c.until(time.Duration(i+1) * (testWriteTimeout - time.Second))
				c.takeAnswers(1)
			}
			c.wantEnd(3*(testWriteTimeout-time.Second) + testIdleTimeout)
		},
		"that of an answer counts from when there is one": func(c *timedClient) {
			c.send(getLine("/a") + "GET /v2/keys/late HTTP/1.1\r\n")
			c.takeAnswers(1)
			c.until(testReadTimeout - time.Second)
			c.send("Host: h\r\n\r\n")
			ready := testReadTimeout - time.Second + testWriteTimeout - time.Second
			c.until(ready + testWriteTimeout - time.Second)
			c.takeAnswers(1)
		},
		"a write's doesn't stay": func(c *timedClient) {
			c.send(putHead + "\r\nvalue=" + strings.Repeat("x", 94))
			c.takeAnswers(1)
			c.until(testWriteTimeout + time.Second)
			c.send(getLine("/a"))
			c.until(2 * testWriteTimeout)
			c.takeAnswers(1)
			c.send(getLine("/a"))
			c.wantEnd(3 * testWriteTimeout)
		},
		"one for each part of a listing, ten for all": func(c *timedClient) {
			c.send(getLine("/parts"))
			c.takeSlowly(1 << 10)
			c.wantEnd(listingTimeouts * testWriteTimeout)
		},
		"and one for a refusal": func(c *timedClient) {
			c.send("nonsense\r\n\r\n")
			c.wantEnd(testWriteTimeout)
		},
		"a part's holds for HTTP/1.0 as well": func(c *timedClient) {
			c.send("GET /v2/keys/parts HTTP/1.0\r\n\r\n")
			c.wantEnd(testWriteTimeout)
		},
	} {
		t.Run(name, func(t *testing.T) { timed(t, 0, test) })
	}
}

func TestATimeoutMayBeOverTooEarlyByTheSlack(t *testing.T) {
	const slack = 3 * time.Second
	for name, c := range map[string]struct{ last, end time.Duration }{
		"less":    {slack - time.Second, testIdleTimeout},
		"as much": {slack, slack + testIdleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, slack, func(client *timedClient) {
				for _, at := range []time.Duration{0, c.last} {
					client.until(at)
					client.send(getLine("/a"))
					client.takeAnswers(1)
				}
				client.wantEnd(c.end)
			})
		})
	}
}

// On sockets, with and without TLS, there is the time that is everybody's.
func TestConnectionThatWasNeverParkedHasItsTimeouts(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{timeouts: timeouts{readTimeout: patience, idleTimeout: 300 * time.Millisecond}})
	idle := lt.dial()
	idle.get("/a")
	idle.wantBody(idle.head(), "plain /a")
	idle.wantClosed()

	lt = serveLoop(t, pollLoopOptions{timeouts: timeouts{readTimeout: 300 * time.Millisecond, idleTimeout: patience}})
	half := lt.dial()
	half.send("GET /v2/ke")
	half.wantClosed()
}

// Such a pause is shorter than the slack, and each has its own end.
func TestAnUploadThatIsTooLargeMayPause(t *testing.T) {
	timed(t, time.Second, func(c *timedClient) {
		c.send(strings.Replace(putHead, "100", "20000000", 1) + "\r\n")
		for range 10 {
			time.Sleep(drainPause - time.Millisecond)
			c.send("value=")
		}
		r, err := http.ReadResponse(c.r, nil)
		if want := 10*(drainPause-time.Millisecond) + drainPause; err != nil || r.StatusCode != http.StatusBadRequest || time.Since(c.began) != want {
			t.Errorf("after %v, want %v: %v, %v", time.Since(c.began), want, r, err)
		}
	})
}
