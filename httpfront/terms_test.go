package httpfront

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/statemachine/tree"

	"github.com/valyala/fasthttp"
)

// quick are options of a poll loop that looks at its connections each millisecond.
func quick() pollLoopOptions {
	return pollLoopOptions{timeouts: timeouts{writeTimeout: patience, idleTimeout: 4 * time.Millisecond}}
}

// ask sends a request for a key with header lines.
func (c *client) ask(path string, lines ...string) {
	c.t.Helper()
	c.send("GET /v2/keys" + path + " HTTP/1.1\r\nHost: h\r\n" + strings.Join(append(lines, "\r\n"), "\r\n"))
}

const (
	acceptSSE = "Accept: text/event-stream"
	jsonHead  = "application/json"
)

func wantHead(t *testing.T, r *http.Response, status int, index, kind string) {
	t.Helper()
	if r.StatusCode != status || r.Header.Get("X-Etcd-Index") != index || r.Header.Get("Content-Type") != kind || r.Header.Get("Date") == "" || r.Header.Get("X-Etcd-Cluster-Id") != "a7ef" {
		t.Fatalf("got %d with %v, want %d, index %s", r.StatusCode, r.Header, status, index)
	}
}

func TestABoundedWaitEndsWithAFreshIndex(t *testing.T) {
	o := quick()
	o.idleTimeout = 0
	o.writeTimeout = 4 * time.Millisecond
	lt := serveLoop(t, o)
	for range 5 {
		lt.hub.set("/b", 0)
	}
	c := lt.dial()
	for range 20 { // on one connection
		c.get("/a?wait=true&waitIndex=4&waitMax=10ms")
		r := c.head()
		wantHead(t, r, 200, "8", jsonHead)
		c.wantBody(r, "")
	}
	if w := next(t, lt.hub.returned); w.Key != "/a" {
		t.Errorf("another watch was returned: %+v", w)
	}
	c.get("/a?wait=true&waitIndex=90&waitMax=10ms")
	wantHead(t, c.head(), 200, "89", jsonHead)

	old := lt.dial()
	old.send("GET /v2/keys/a?wait=true&waitMax=10ms HTTP/1.0\r\n\r\n")
	all, err := io.ReadAll(old.r)
	if text := string(all); err != nil || !strings.HasPrefix(text, "HTTP/1.0 200 OK\r\n") || !strings.Contains(text, "\r\nX-Etcd-Index: 8\r\n") || !strings.HasSuffix(text, "GMT\r\n\r\n") {
		t.Errorf("an old client got %q, %v", text, err)
	}

	stream := lt.dial()
	stream.get("/a?wait=true&stream=true&waitMax=10ms")
	r := stream.head()
	wantHead(t, r, 200, "8", jsonHead)
	stream.wantBody(r, "")
	stream.get("/plain")
	stream.wantBody(stream.head(), "plain /plain")
}

// The event that ends it, or an end that it would have had in any case.
func TestABoundedWaitMayEndOtherwise(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	c := lt.dial()
	for range 20 {
		c.get("/a?wait=true&waitMax=1h")
		next(t, lt.hub.watched)
		want := lt.hub.set("/a", 0)
		r := c.head()
		wantHead(t, r, 200, fmt.Sprint(lt.hub.told.Load()), jsonHead)
		c.wantBody(r, want)
	}
	early := lt.hub.set("/a", 24<<20) // more than the socket takes
	c.get(fmt.Sprintf("/a?wait=true&waitMax=1h&waitIndex=%d", lt.hub.told.Load()))
	r := c.head()
	wantHead(t, r, 200, "24", jsonHead)
	c.wantBody(r, early)

	for _, end := range []func(){lt.hub.endAll, lt.loop.stop} {
		c := lt.dial()
		c.get("/a?wait=true&waitMax=1h")
		for w := next(t, lt.hub.watched); w.Since != 25; w = next(t, lt.hub.watched) {
			continue // those of above
		}
		end()
		r := c.head()
		wantHead(t, r, 200, "24", jsonHead)
		c.wantBody(r, "")
		c.wantClosed()
	}
}

func TestAWaitForWhatIsKnown(t *testing.T) {
	o := quick()
	lt := serveLoop(t, o)
	for range 5 {
		lt.hub.set("/b", 0)
	}
	c := lt.dial()
	for path, status := range map[string]int{"/a": 304, "/slow": 200} { // of which memory knows nothing
		c.ask(path+"?wait=true&waitMax=2ms", `If-None-Match: "00000000-6"`)
		r := c.head()
		wantHead(t, r, status, "8", jsonHead)
		c.wantBody(r, "")
		if tag := r.Header.Get("ETag"); status == 304 && tag != `W/"00000000-6"` {
			t.Errorf("the tag of a 304 is %s", tag)
		}
	}
	c.ask("/a?wait=true&waitMax=2ms", `If-None-Match: "00000000-4"`) // a refresh, say
	r := c.head()
	wantHead(t, r, 200, "8", jsonHead)
	c.wantBody(r, "")
	want := lt.hub.set("/a", 0)
	for lines, body := range map[string]string{`If-None-Match: W/"00000000-6"`: want, `If-None-Match: "00000000-2", "00000000-8"`: want, `If-None-Match: "00000000-9"`: "", `If-None-Match: "00000001-8"`: "", "If-None-Match: *": ""} {
		c := lt.dial()
		c.ask("/a?wait=true&waitMax=10ms", lines)
		c.wantBody(c.head(), body)
	}
	c = lt.dial() // a stream has its head already
	c.ask("/a?wait=true&waitMax=10ms", `If-None-Match: "00000000-9"`, acceptSSE)
	c.wantBody(c.head(), "id: 9\n: heartbeat\n\nid: 9\n: heartbeat\n\n")
	c.get("/plain")
	c.wantBody(c.head(), "plain /plain")
	c = lt.dial() // without a limit, too
	c.ask("/a?wait=true", `If-None-Match: "00000000-8"`)
	c.wantBody(c.head(), want)
	c = lt.dial()
	c.ask("/a?wait=true&waitIndex=10&waitMax=10ms", `If-None-Match: "00000000-8"`)
	wantHead(t, c.head(), 200, "9", jsonHead)
}

// The window of events may have gone on, for others, since the answer with a tag.
func TestAWaitForWhatIsKnownFromLongAgo(t *testing.T) {
	lt := serveLoop(t, quick())
	for range 5 {
		lt.hub.set("/b", 0)
	}
	lt.hub.refuse(8, nil)
	c := lt.dial()
	c.ask("/a?wait=true&waitMax=2ms", `If-None-Match: "00000000-5"`)
	r := c.head()
	wantHead(t, r, 304, "8", jsonHead)
	c.wantBody(r, "")
	c.ask("/a?wait=true", `If-None-Match: "00000000-5"`)
	r = c.head()
	c.wantBody(r, lt.hub.set("/a", 0))
	for _, lines := range []string{`If-None-Match: "00000000-4"`, `If-None-Match: "00000001-5"`} {
		c.ask("/a?wait=true&waitIndex=5", lines)
		if r := c.head(); r.StatusCode != 400 {
			t.Errorf("%s: %d", lines, r.StatusCode)
		}
		c = lt.dial()
	}
	c.ask("/a?wait=true", `If-None-Match: "00000000-4"`)
	if r := c.head(); r.StatusCode != 400 {
		t.Errorf("what has changed is taken for the same: %d", r.StatusCode)
	}
}

func TestServerSentEvents(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	first := strings.TrimSpace(lt.hub.set("/a", 0))
	lt.hub.set("/a", 0)
	c := lt.dial()
	c.ask("/a?wait=true&waitIndex=2&waitMax=1h", "Accept: text/html, Text/Event-Stream;q=0.5", "Last-Event-ID: 3")
	r := c.head()
	wantHead(t, r, 200, "5", "text/event-stream")
	if r.Header.Get("Cache-Control") != "no-store" || len(r.TransferEncoding) != 1 {
		t.Errorf("the head is %v", r)
	}
	next(t, lt.hub.watched)
	lt.hub.set("/b", 0)
	last := strings.TrimSpace(lt.hub.set("/a", 0))
	want := "id: 3\n: heartbeat\n\n" +
		"id: 4\nevent: set\ndata: " + first + "\n\n" +
		"id: 5\nevent: set\ndata: {\"index\":5,\"pad\":\"\"}\n\n" +
		"id: 7\nevent: set\ndata: " + last + "\n\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r.Body, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v\nwant %q", got, err, want)
	}
	lt.hub.endAll()
	c.wantBody(r, "")
	c.wantClosed()

	old := lt.dial()
	old.send("GET /v2/keys/a?wait=true HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n")
	next(t, lt.hub.watched)
	json := strings.TrimSpace(lt.hub.set("/a", 0))
	want = "\r\n\r\nid: 7\n: heartbeat\n\nid: 8\nevent: set\ndata: " + json + "\n\n"
	var text strings.Builder
	for !strings.HasSuffix(text.String(), want) {
		b, err := old.r.ReadByte()
		if err != nil {
			t.Fatalf("got %q, %v\nwant %q", text.String(), err, want)
		}
		text.WriteByte(b)
	}

	for id, status := range map[string]int{"x": 400, "-1": 400, "18446744073709551615": 400, "18446744073709551614": 200, "": 200} {
		c := lt.dial()
		c.ask("/a?wait=true", acceptSSE, "Last-Event-ID: "+id)
		if r := c.head(); r.StatusCode != status {
			t.Errorf("id %s: %d", id, r.StatusCode)
		} else if status == 400 {
			c.wantBody(r, `{"errorCode":203,"message":"The given index in POST form is not a number","cause":"invalid value for \"Last-Event-ID\"","index":0}`+"\n")
		}
	}
	refusal := &tree.Error{Code: tree.CodeEventIndexClosed, Cause: "[5/4]", Index: 9}
	lt.hub.refuse(0, refusal)
	c = lt.dial()
	c.ask("/a?wait=true", acceptSSE, "Last-Event-ID: 3")
	if r := c.head(); r.StatusCode != 400 {
		t.Errorf("before the window: %d", r.StatusCode)
	} else {
		c.wantBody(r, string(tree.AppendError(nil, refusal)))
	}
}

// TestEventsInBase64 has one event reach those who want values as text and in base64, in each form of an answer.
func TestEventsInBase64(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	e := tree.Event{Action: tree.ActionSet, Node: tree.Node{Key: "/a", Value: []byte("\xff<"), Modified: 4, Created: 4}}
	event := e.Encoded(tree.AppendEvent(nil, &e))
	const text = `{"action":"set","node":{"key":"/a","value":"\ufffd\u003c","modifiedIndex":4,"createdIndex":4}}`
	const in64 = `{"action":"set","node":{"key":"/a","value64":"/zw=","modifiedIndex":4,"createdIndex":4}}`
	const sse = "id: 3\n: heartbeat\n\nid: 4\nevent: set\ndata: "
	watch := func(path string, lines ...string) *http.Response {
		c := lt.dial()
		c.ask(path, lines...)
		return c.head()
	}
	for _, past := range []bool{false, true} { // the second time, from the past
		from := ""
		if past {
			from = "&waitIndex=4"
		}
		var answers []*http.Response
		var wants []string
		for _, form := range []struct{ params, accept, text, in64 string }{
			{"wait=true", "text/html", text + "\n", in64 + "\n"},
			{"wait=true&stream=true", "text/html", text + "\n", in64 + "\n"},
			{"wait=true", "text/event-stream", sse + text + "\n\n", sse + in64 + "\n\n"},
		} {
			answers = append(answers, watch("/a?"+form.params+from, "Accept: "+form.accept), watch("/a?encoding=base64&"+form.params+from, "Accept: "+form.accept))
			wants = append(wants, form.text, form.in64)
		}
		if !past {
			lt.hub.publish(&event)
		}
		for i, r := range answers {
			got := make([]byte, len(wants[i]))
			if _, err := io.ReadFull(r.Body, got); err != nil || string(got) != wants[i] {
				t.Errorf("got %q, %v\nwant %q", got, err, wants[i])
			}
		}
		lt.hub.endAll()
	}
}

// The bytes that are owed are those of whole events.
func TestSlowServerSentEventsAreEnded(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{streamLimit: 1 << 20})
	c := lt.dial()
	c.ask("/a?wait=true", acceptSSE)
	r := c.head()
	sent := 0
	for ; lt.hub.count() > 0; sent++ {
		lt.hub.set("/a", 500_000)
	}
	all, err := io.ReadAll(r.Body)
	if err != nil || strings.Count(string(all), "\nevent: set\ndata: {") >= sent || !strings.HasSuffix(string(all), "\"}\n\n") {
		t.Errorf("%d events were sent; got %d bytes, %v", sent, len(all), err)
	}
	c.wantClosed()
}

// Whatever is on its way while a heartbeat is due, its id covers no event that hasn't come.
func TestAHeartbeatIsNeverAheadOfTheEvents(t *testing.T) {
	o := quick()
	lt := serveLoop(t, o)
	const streams, beats = 8, 50
	publishing, done := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for i := range streams {
		c := lt.dial()
		c.ask("/a?wait=true&heartbeat=1ms", acceptSSE)
		r := c.head()
		all.Go(func() {
			lines := bufio.NewScanner(r.Body)
			last, id, beaten := uint64(3), uint64(0), 0
			for beaten < beats && lines.Scan() {
				line := lines.Text()
				_, _ = fmt.Sscanf(line, "id: %d", &id)
				switch {
				case strings.HasPrefix(line, "data: "):
					// Two of three events are for /a.
					if want := last + 1; id != want && id != want+1 || id%3 == 0 {
						t.Errorf("stream %d: %d follows %d", i, id, last)
					}
					last = id
				case strings.HasPrefix(line, ": "):
					if id != last && (id != last+1 || id%3 != 0) {
						t.Errorf("stream %d: a heartbeat at %d after %d", i, id, last)
					}
					last, beaten = id, beaten+1
				}
			}
			if beaten < beats {
				t.Errorf("stream %d ended: %v", i, lines.Err())
			}
		})
	}
	go func() {
		defer close(done)
		for i := uint64(4); ; i++ {
			select {
			case <-publishing:
				return
			default:
				lt.hub.set(map[bool]string{true: "/b", false: "/a"}[i%3 == 0], 0)
			}
			if i%50 == 0 {
				time.Sleep(time.Millisecond) // so that the streams aren't too slow
			}
		}
	}()
	all.Wait()
	close(publishing)
	<-done
}

// One answer for several keys, of which an event is shown once.
// TestAHeartbeatIsNeverAheadOfTheMember has a client come from a member that is ahead of this one.
func TestAHeartbeatIsNeverAheadOfTheMember(t *testing.T) {
	o := quick()
	lt := serveLoop(t, o)
	c := lt.dial()
	c.ask("/a?wait=true&heartbeat=1ms", acceptSSE, "Last-Event-ID: 6")
	r := c.head()
	next(t, lt.hub.watched)
	lines := bufio.NewScanner(r.Body)
	beats := 0
	for id := uint64(0); id < 6 && lines.Scan(); {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "data: "):
			t.Errorf("an event that the client knows: %s", line)
		case strings.HasPrefix(line, "id: "):
			if _, err := fmt.Sscanf(line, "id: %d", &id); err != nil || id < 6 || tree.Index(id) > lt.hub.at() {
				t.Fatalf("%s, where the member is at %d", line, lt.hub.at())
			}
		case strings.HasPrefix(line, ": "):
			if beats++; beats%10 == 0 && lt.hub.at() < 6 { // now and then the member comes closer
				lt.hub.set("/b", 0)
			}
		}
	}
	if beats < 30 {
		t.Errorf("after %d heartbeats: %v", beats, lines.Err())
	}
	want := strings.TrimSpace(lt.hub.set("/a", 0))
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
	}
	if lines.Text() != "data: "+want {
		t.Errorf("the first event is %s, want %s", lines.Text(), want)
	}
}

func TestAWatchOfSeveralPrefixes(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	c, stream := lt.dial(), lt.dial()
	c.get("/?wait=true&recursive=true&prefix=/b&prefix=/a/x/")
	stream.ask("/?wait=true&recursive=true&prefix=/a&prefix=/b&prefix=/a/x&prefix=/a", acceptSSE)
	r, s := c.head(), stream.head()
	lt.hub.set("/c", 0)
	first := lt.hub.set("/a", 0)
	second := lt.hub.set("/a/x/y", 0)
	third := lt.hub.set("/b", 0)
	c.wantBody(r, second)
	want := "id: 3\n: heartbeat\n\n"
	for i, json := range []string{first, second, third} {
		want += fmt.Sprintf("id: %d\nevent: set\ndata: %s\n\n", 5+i, strings.TrimSpace(json))
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(s.Body, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
}

func FuzzLastEventID(f *testing.F) {
	for _, id := range []string{"", "0", "7", "007", "-1", "1e3", "18446744073709551614", "18446744073709551615", "99999999999999999999", "7 ", "7,8"} {
		f.Add(id, "text/event-stream", `"5"`)
		f.Add(id, "*/*", "")
	}
	s := NewTestServer(newFakeHub(), Options{})
	f.Fuzz(func(t *testing.T, id, accept, tag string) {
		var ctx fasthttp.RequestCtx
		h := &ctx.Request.Header
		h.Set("Last-Event-ID", id)
		h.Set("Accept", accept)
		h.Set("If-None-Match", tag)
		var p parked
		err := s.agree(&ctx, &p, &exchange{req: request{watch: watchRequest{since: 3}}})
		sent := string(h.Peek("Last-Event-ID"))
		n, bad := strconv.ParseUint(sent, 10, 64)
		switch sse := wantsSSE(&ctx); {
		case !sse || sent == "":
			if err != nil || p.watch.Since != 3 || p.watch.Stream != sse {
				t.Errorf("%q, %q: from %d, %v", sent, accept, p.watch.Since, err)
			}
		case (err != nil) != (bad != nil || n == math.MaxUint64), err == nil && uint64(p.watch.Since) != n+1:
			t.Errorf("%q, %q: from %d, %v", sent, accept, p.watch.Since, err)
		}
	})
}

func FuzzWatch(f *testing.F) {
	for _, query := range []string{"waitMax=30s&heartbeat=5", "waitMax=-1", "prefix=/k&prefix=/k/a/&prefix=/k", "prefix=%2Fk%2F..%2Fj", "prefix=/k&prefix=k", "waitMax=1h1m1.5s&prefix="} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r, err := parseKey(methodGet, "wait=true&"+query, "")
		if err != nil || r.kind != kindWatch {
			return
		}
		w := r.watch
		if w.wait < 0 || w.wait > durationLimit || w.heartbeat < 0 || w.heartbeat > durationLimit || len(w.prefixes) > prefixLimit {
			t.Errorf("%q: %+v", query, w)
		}
		for _, path := range w.prefixes {
			if key := keyOf(path); tree.Clean(key) != key || key != "/k" && !tree.Within("/k", key) {
				t.Errorf("%q: the prefix %q", query, path)
			}
		}
	})
}
