package httpfront

import (
	"bytes"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"copse/statemachine/inflight"
)

// TestABodyMayTakeAllButNotMore reads bodies that cost more than there is to hold, of known and of
// unknown length: they wait for others, but not for themselves.
func TestABodyMayTakeAllButNotMore(t *testing.T) {
	const all = 1 << 20
	sent := bytes.Repeat([]byte("v"), all/bodyCopies+1000)
	synctest.Test(t, func(t *testing.T) {
		for _, length := range []int{len(sent), -1} {
			budget := inflight.New(all)
			x := new(exchange)
			read := bodyReader{budget: budget, x: x, from: iotest.OneByteReader(bytes.NewReader(sent)), most: all}
			if err := read.read(length); err != nil || !bytes.Equal(x.body, sent) || budget.Held(inflight.Bodies) != x.held {
				t.Errorf("alone, length %d: %v, %d bytes; %d are held, and counted as %d", length, err, len(x.body), budget.Held(inflight.Bodies), x.held)
			}
			other := bodyReader{budget: budget, x: new(exchange), from: bytes.NewReader(sent), most: all}
			if err := other.read(length); err != errBusy {
				t.Errorf("with another, length %d: %v", length, err)
			}
		}
	})
}

// TestAnEventInBacklogsCountsOnce puts one event into the backlogs of many clients.
func TestAnEventInBacklogsCountsOnce(t *testing.T) {
	budget := inflight.New(1 << 20)
	f := form{bytes: make([]byte, 1000)}
	var backlogs []*backlog
	for range 10 {
		b := &backlog{}
		b.add(piece{index: 1, bytes: f.bytes, shared: f.unread(budget)})
		b.add(piece{bytes: []byte(lastChunk)})
		backlogs = append(backlogs, b)
	}
	for i, b := range backlogs {
		if held := budget.Held(inflight.Streams); held != 1000 {
			t.Fatalf("with %d backlogs %d bytes are held", 10-i, held)
		}
		b.drop()
	}
	if held := budget.Held(inflight.Streams); held != 0 {
		t.Errorf("without backlogs %d bytes are held", held)
	}
}
