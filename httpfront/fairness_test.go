package httpfront

import (
	"strings"
	"sync/atomic"
	"testing"
)

// TestManyAnswersHaveSeveralTurns has one client ask for 8 MiB at once, and another begin meanwhile.
func TestManyAnswersHaveSeveralTurns(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	greedy, other := lt.dial(), lt.dial()
	for _, c := range []*client{greedy, other} {
		c.get("/a")
		c.wantBody(c.head(), "plain /a")
	}
	const asked = 400
	var served, before atomic.Int32
	began, going := make(chan struct{}), make(chan struct{})
	lt.hub.asked = func(key string) {
		switch key {
		case "/wide":
			if served.Add(1) == 1 {
				close(began)
				<-going
			}
		case "/other":
			before.Store(served.Load())
		}
	}
	greedy.send(strings.Repeat(getLine("/wide"), asked))
	<-began
	other.get("/other")
	close(going)
	for range asked {
		greedy.wantBody(greedy.head(), "plain /wide"+wide)
	}
	other.wantBody(other.head(), "plain /other")
	if n := int(before.Load()) * len(wide); n > 3*turnSize {
		t.Errorf("%d bytes of answers came first", n)
	}
}
