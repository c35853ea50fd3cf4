package httpfront

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/inflight"
	"copse/statemachine/tree"
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
			read := bodyReader{budget: budget, used: new(sync.Pool), x: x, from: iotest.OneByteReader(bytes.NewReader(sent)), most: all}
			if err := read.read(length); err != nil || !bytes.Equal(x.body, sent) || budget.Held(inflight.Bodies) != x.held {
				t.Errorf("alone, length %d: %v, %d bytes; %d are held, and counted as %d", length, err, len(x.body), budget.Held(inflight.Bodies), x.held)
			}
			other := bodyReader{budget: budget, used: new(sync.Pool), x: new(exchange), from: bytes.NewReader(sent), most: all}
			if err := other.read(length); err != errBusy {
				t.Errorf("with another, length %d: %v", length, err)
			}
		}
	})
}

// TestABufferThatIsUsedAgainIsCounted reads bodies into buffers that others have left: what is held for a body
// is for all that its buffer may take, and no buffer is far too large.
func TestABufferThatIsUsedAgainIsCounted(t *testing.T) {
	for name, test := range map[string]struct{ left, body, length int }{
		"in chunks":                {10 << 20, 8 << 20, -1},
		"of the right size":        {1 << 20, 1 << 20, 1 << 20},
		"somewhat too large":       {1 << 20, 700 << 10, 700 << 10},
		"far too large":            {10 << 20, 140 << 10, 140 << 10},
		"too small":                {200 << 10, 1 << 20, 1 << 20},
		"too small, in chunks":     {200 << 10, 1 << 20, -1},
		"too large, in chunks":     {10 << 20, 140 << 10, -1},
		"for a body that is small": {1 << 20, 1000, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			budget := inflight.New(512 << 20)
			pool := &sync.Pool{New: func() any { return new(make([]byte, 0, test.left)) }}
			sent := bytes.Repeat([]byte("v"), test.body)
			b := bodyReader{budget: budget, used: pool, x: new(exchange), from: bytes.NewReader(sent), most: 10 << 20}
			if err := b.read(test.length); err != nil || !bytes.Equal(b.x.body, sent) {
				t.Fatalf("%v, %d bytes", err, len(b.x.body))
			}
			size := cap(b.x.body)
			if want := int64(size) * bodyCopies; size > freeBody && b.x.held < want || budget.Held(inflight.Bodies) != b.x.held {
				t.Errorf("%d bytes are held, and counted as %d, for a buffer of %d", b.x.held, budget.Held(inflight.Bodies), size)
			}
			if most := 2 * max(test.body, 512); test.length > 0 && size > most || test.length < 0 && size > 2*most {
				t.Errorf("a buffer of %d bytes for a body of %d", size, test.body)
			}
		})
	}
}

// TestABufferIsTakenByWhoMayUseIt has bodies wait for memory: one is refused, and another gets the buffer of the one
// that it has waited for.
func TestABufferIsTakenByWhoMayUseIt(t *testing.T) {
	const size = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		budget := inflight.New(size * bodyCopies)
		budget.Add(inflight.Bodies, size)
		left, got := make([]byte, 0, size), 0
		pool := &sync.Pool{New: func() any { got++; return &left }}
		b := bodyReader{budget: budget, used: pool, x: new(exchange), from: bytes.NewReader(make([]byte, size)), most: size}
		if err := b.read(size); err != errBusy || b.x.held != 0 || cap(b.x.body) != 0 || got != 0 {
			t.Errorf("%v, %d bytes are held, a buffer of %d", err, b.x.held, cap(b.x.body))
		}
		b.from = bytes.NewReader(make([]byte, size))
		read := make(chan error)
		go func() { read <- b.read(size) }()
		if synctest.Wait(); got != 0 {
			t.Error("a buffer is taken by who waits")
		}
		budget.Give(inflight.Bodies, size)
		if err := <-read; err != nil || got != 1 || &b.x.body[0] != &left[:1][0] {
			t.Errorf("%v; %d buffers are taken", err, got)
		}
	})
}

// TestUsedBuffersDontPassTheBudget has bodies find buffers of almost twice their size: each takes one as long as there is
// room for all of that, and then fresh memory.
func TestUsedBuffersDontPassTheBudget(t *testing.T) {
	const size, each = 1 << 20, 1 << 20 * bodyCopies
	budget := inflight.New(8 * each) // of which bodies may have six
	budget.Add(inflight.Bodies, each)
	pool := &sync.Pool{New: func() any { return new(make([]byte, 0, 2*size-1)) }}
	for i, want := range []int{2*size - 1, 2*size - 1, size} {
		b := bodyReader{budget: budget, used: pool, x: new(exchange), from: bytes.NewReader(make([]byte, size)), most: size}
		if err := b.read(size); err != nil || cap(b.x.body) != want || b.x.held != int64(want)*bodyCopies {
			t.Errorf("body %d: %v, %d bytes are held for a buffer of %d, want one of %d", i, err, b.x.held, cap(b.x.body), want)
		}
	}
	if held := budget.Held(inflight.Bodies); held > 6*each {
		t.Errorf("%d bytes are held of %d", held, 6*each)
	}
}

// TestDroppedBodiesAreReadWhole, however many others read in long pieces meanwhile, and whatever became of those.
func TestDroppedBodiesAreReadWhole(t *testing.T) {
	s := &Server{reused: reused{droppers: make(chan struct{}, 1)}}
	read := func() {
		t.Helper()
		body := bytes.NewReader(make([]byte, 3*dropPiece))
		if err := s.drop(body); err != nil || body.Len() != 0 {
			t.Errorf("%v, %d bytes are left", err, body.Len())
		}
	}
	read()
	s.droppers <- struct{}{} // or this waits for ever
	read()
	<-s.droppers
	func() {
		defer func() { _ = recover() }()
		_ = s.drop(nil) // panics
	}()
	if len(s.droppers) != 0 {
		t.Error("who panics keeps the turn")
	}
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

// TestAnswersToWritesHaveABound: a large one is sent part by part, printed from the window if its values find no room, or
// says that the change was made.
func TestAnswersToWritesHaveABound(t *testing.T) {
	const all = 8 << 20
	e := tree.Event{Action: tree.ActionSet, Node: tree.Node{Key: "/a", Value: bytes.Repeat([]byte("v"), 1<<20), Modified: 7}}
	json := tree.AppendEvent(nil, &e)
	n := e.Late(func(*tree.Event) (tree.EncodedEvent, bool) { return e.Encoded(json), true })
	for name, test := range map[string]struct {
		others      int64 // that are held
		small       bool
		late        bool
		base64      bool
		parts, none bool
		held        int64
	}{
		"in parts":         {late: true, parts: true, held: 1 << 20},
		"as base64":        {late: true, base64: true, held: 1<<20 + 2*int64(len(json))},
		"no room at all":   {others: all, late: true, none: true},
		"printed":          {held: int64(len(json))},
		"printed, no room": {others: all, none: true},
		"small, no room":   {others: all + 1, small: true, held: 64 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				budget := inflight.New(all)
				budget.Add(inflight.Streams, test.others)
				c := &conn{loop: &pollLoop{options: pollLoopOptions{heads: headOptions{inFlight: budget}}}}
				x := new(exchange)
				x.req.cmd.Asked.Base64 = test.base64
				r := tree.Reply{Action: e.Action, State: tree.State{Index: 7}, JSON: json}
				if test.late {
					r.JSON, r.Late = nil, n.Late
				}
				if test.small {
					r.JSON = json[:64<<10]
				}
				(&Server{inFlight: budget}).holdAnswer(c, x, &r)
				if (r.Late != nil) != test.parts || (r.Err != nil) != test.none || !test.parts && !test.none && !test.small && len(r.JSON) < len(json) {
					t.Errorf("in parts: %v; %d bytes are printed; %v", r.Late != nil, len(r.JSON), r.Err)
				}
				if held := budget.Held(inflight.Answers); held != test.held || c.answer != held {
					t.Errorf("%d bytes are held, and the connection counts %d", held, c.answer)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // it had been printed before it was left
		budget := inflight.New(all)
		budget.Add(inflight.Streams, all)
		c := &conn{loop: &pollLoop{options: pollLoopOptions{heads: headOptions{inFlight: budget}}}}
		printed := e.Encoded(json)
		printed = printed.Left(func(*tree.Event) (tree.EncodedEvent, bool) { return e.Encoded(json), true })
		r := tree.Reply{Action: e.Action, State: tree.State{Index: 7}, Late: printed.Late}
		(&Server{inFlight: budget}).holdAnswer(c, new(exchange), &r)
		if r.Err == nil {
			t.Errorf("without room, %d bytes are read, and %d held", len(r.JSON), budget.Held(inflight.Answers))
		}
	})
	synctest.Test(t, func(t *testing.T) { // the room comes while it waits
		budget := inflight.New(all)
		budget.Add(inflight.Streams, all)
		c := &conn{loop: &pollLoop{options: pollLoopOptions{heads: headOptions{inFlight: budget}}}}
		r := tree.Reply{Action: e.Action, State: tree.State{Index: 7}, Late: n.Late}
		go func() {
			time.Sleep(bodyPatience / 2)
			budget.Give(inflight.Streams, all)
		}()
		(&Server{inFlight: budget}).holdAnswer(c, new(exchange), &r)
		if !bytes.Equal(r.JSON, json) {
			t.Errorf("got %.100q, %v", r.JSON, r.Err)
		}
	})
}

// TestAnAnswerMayNeedTheRoomOfItsBody: of the body, and a buffer of its size, nothing is left once the write is made.
func TestAnAnswerMayNeedTheRoomOfItsBody(t *testing.T) {
	const size = 1 << 20
	backend := &stillBackend{answer: make([]byte, 6*size), auth: new(auth.State)}
	budget := inflight.New(10 * size) // the body takes 7.5 of these
	s := NewTestServer(backend, Options{InFlight: budget})
	body := "value=" + strings.Repeat("v", size)
	const head = "PUT /v2/keys/a HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s"
	c := &script{text: fmt.Appendf(nil, head, len(body), body), piece: 64 << 10, waits: func() {}}
	loop := &pollLoop{options: pollLoopOptions{heads: headOptions{limit: 32<<10 + headSlack, inFlight: budget}}}
	_ = s.serveConn(newConn(loop, c, nil, nil)) // why it ended is in the answers
	if out := c.out.Bytes(); len(out) < len(backend.answer) || !slices.Equal(statuses(out), []int{200}) {
		t.Errorf("answered %d bytes: %.300q", len(out), out)
	}
	if budget.Held(inflight.Bodies) != 0 {
		t.Error("the body is still counted in the end")
	}
}
