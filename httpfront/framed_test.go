package httpfront

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

// largeEvent is an event whose JSON is six times as long as its value of 2 MiB.
func largeEvent(index tree.Index) *tree.EncodedEvent {
	e := tree.Event{Action: tree.ActionSet, Node: tree.Node{Key: "/a", Value: bytes.Repeat([]byte{1}, 2<<20), Modified: index}}
	n := e.Late(nil)
	return &n
}

// TestLargeEventsAreNeverPrintedAsAWhole: clients get them in every form, printed as they take them from the one value.
func TestLargeEventsAreNeverPrintedAsAWhole(t *testing.T) {
	budget := inflight.New(64 << 20)
	lt := serveLoop(t, pollLoopOptions{heads: headOptions{inFlight: budget}})
	n, same := largeEvent(4), largeEvent(4)
	text, text64 := string(same.Text()), string(same.AppendBase64(nil))
	var forms []func()
	watch := func(request, want string) {
		c := lt.dial()
		c.send(request)
		next(t, lt.hub.watched)
		forms = append(forms, func() {
			got := make([]byte, len(want))
			r := c.head()
			if _, err := io.ReadFull(r.Body, got); err != nil || string(got) != want {
				t.Errorf("%.60q is answered %.100q, %v, want %.100q", request, got, err, want)
			}
			if !strings.Contains(request, "stream") {
				if more, err := io.ReadAll(r.Body); err != nil || len(more) > 0 {
					t.Errorf("%.60q: %d bytes more, %v", request, len(more), err)
				}
			}
		})
	}
	for _, args := range []string{"", "&stream=true", "&waitMax=1h"} {
		for range 5 {
			watch(getLine("/a?wait=true"+args), text)
		}
		watch(getLine("/a?wait=true&encoding=base64"+args), text64)
	}
	watch("GET /v2/keys/a?wait=true HTTP/1.0\r\nHost: h\r\n\r\n", text)
	accept := "Accept: text/event-stream\r\n\r\n"
	for _, line := range []string{getLine("/a?wait=true&stream=true"), getLine("/a?wait=true&stream=true&encoding=base64")} {
		want := text
		if strings.Contains(line, "base64") {
			want = text64
		}
		watch(strings.TrimSuffix(line, "\r\n")+accept, fmt.Sprintf("id: 3\n: heartbeat\n\nid: 4\nevent: set\ndata: %s\n", want))
	}
	meter := lt.loop.options.meter
	eventually(t, "all are parked", func() bool { return meter.polls.Load()+meter.streams.Load() == int64(len(forms)) })
	before := allocated()
	lt.hub.publish(n)
	eventually(t, "all wait for their clients", func() bool { return meter.sent.Load() == uint64(len(forms)) })
	if made := allocated() - before; !overTLS(t) && made > uint64(len(text))/2 { // a session makes each record anew
		t.Errorf("%d bytes are made to send an event of %d", made, len(text))
	}
	if held := budget.Held(inflight.Streams); held == 0 || held > (4+1)*2<<20 { // for each form, and perhaps still for the last message
		t.Errorf("%d bytes are held for a value of 2 MiB", held)
	}
	for _, read := range forms {
		read()
	}
	eventually(t, "nothing is held", func() bool { return budget.Held(inflight.Streams) == 0 })
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// TestNoRoomForALargeEvent ends its watches. Their clients come back, and get it when there is room.
func TestNoRoomForALargeEvent(t *testing.T) {
	budget := inflight.New(8 << 20)
	lt := serveLoop(t, pollLoopOptions{heads: headOptions{inFlight: budget}})
	n := largeEvent(4)
	budget.Add(inflight.Answers, 7<<20)
	lt.loop.admission.refused.Store(time.Now().Add(time.Hour).UnixNano()) // or it would wait
	var ended []*http.Response
	for _, args := range []string{"", "&stream=true"} {
		c := lt.dial()
		c.get("/a?wait=true" + args)
		ended = append(ended, c.head())
		next(t, lt.hub.watched)
	}
	lt.hub.publish(n)
	for _, r := range ended {
		if body, err := io.ReadAll(r.Body); err != nil || len(body) > 0 {
			t.Errorf("the watch ends with %.100q, %v", body, err)
		}
	}
	next(t, lt.hub.returned) // the stream
	budget.Give(inflight.Answers, 7<<20)
	c := lt.dial()
	c.get("/a?wait=true&waitIndex=4")
	c.wantBody(c.head(), string(largeEvent(4).Text()))
	eventually(t, "nothing is held", func() bool { return budget.Held(inflight.Streams) == 0 })
}

// TestALargeEventForAConnectionThatNeverComes isn't held for ever.
func TestALargeEventForAConnectionThatNeverComes(t *testing.T) {
	budget := inflight.New(8 << 20)
	lt := serveLoop(t, pollLoopOptions{heads: headOptions{inFlight: budget}})
	w := &parked{loop: lt.loop}
	w.watch.Sink = w
	w.Deliver(largeEvent(4))
	eventually(t, "it is held", func() bool { return budget.Held(inflight.Streams) == 2<<20 })
	lt.loop.send(message{to: w, lost: true})
	eventually(t, "it is let go of", func() bool { return budget.Held(inflight.Streams) == 0 })
}
