package httpfront

import (
	"bytes"
	"testing"

	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

// TestTheLoopGetsLargeEventsPrinted gives turns replies whose JSON is made late, and takes them as the loop does,
// which has others to serve.
func TestTheLoopGetsLargeEventsPrinted(t *testing.T) {
	e := tree.Event{
		Action: tree.ActionSet, Node: tree.Node{Key: "/a", Value: []byte("v"), Modified: 7},
		HasPrev: true, Prev: tree.Node{Key: "/a", Value: bytes.Repeat([]byte{1}, 1<<20), Modified: 3},
	}
	json := tree.AppendEvent(nil, &e)
	for name, test := range map[string]struct {
		base64, noValue bool
		want            []byte
	}{
		"as text":          {false, false, json},
		"as base64":        {true, false, tree.Binary(nil).AppendBase64(nil, json)},
		"the action alone": {false, true, nil}, // for which nothing is printed
	} {
		t.Run(name, func(t *testing.T) {
			poll, err := newPoller()
			if err != nil {
				t.Fatal(err)
			}
			defer poll.close()
			p := &pollLoop{poller: poll, replies: make(chan *turn, 1)}
			next := new(serving).next(p)
			next.x.req.cmd.Asked.Base64, next.x.req.noValue = test.base64, test.noValue
			n := e.Late(nil)
			next.written(tree.Reply{Action: e.Action, Late: n.Late})
			if got := <-p.replies; !bytes.Equal(got.reply.JSON, test.want) || got.x.printed != (test.want != nil) {
				t.Errorf("the loop gets %.200q, want %.200q", got.reply.JSON, test.want)
			}
			p.running.Wait()
		})
	}
}

// TestALargeAnswerWithoutRoom has other answers hold what there is.
func TestALargeAnswerWithoutRoom(t *testing.T) {
	poll, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer poll.close()
	p := &pollLoop{poller: poll, replies: make(chan *turn, 1)}
	p.options.heads.inFlight = inflight.New(100 << 10)
	p.options.heads.inFlight.Add(inflight.Answers, 70<<10)
	e := tree.Event{Action: tree.ActionDelete, Node: tree.Node{Key: "/a"}, HasPrev: true, Prev: tree.Node{Key: "/a", Value: bytes.Repeat([]byte{1}, 64<<10)}}
	n := e.Late(nil)
	next := new(serving).next(p)
	next.written(tree.Reply{Action: e.Action, Late: n.Late})
	if got := <-p.replies; got.reply.Err == nil || got.reply.Err.Code != tree.CodeRaftInternal || got.reply.Late != nil || got.claimed != 0 {
		t.Errorf("got %+v", got.reply)
	}
	p.running.Wait()
}

// TestValuesWaitInTheWindow: replies that wait for room hold large values only up to a bound; beyond it they are read from
// the window once there is room, or may be gone by then.
func TestValuesWaitInTheWindow(t *testing.T) {
	poll, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer poll.close()
	p := &pollLoop{poller: poll, replies: make(chan *turn, 2)}
	budget := inflight.New(1 << 20)
	p.options.heads.inFlight = budget
	e := tree.Event{Action: tree.ActionDelete, Node: tree.Node{Key: "/a", Modified: 7}, HasPrev: true, Prev: tree.Node{Key: "/a", Value: bytes.Repeat([]byte("v"), 200<<10)}}
	json := tree.AppendEvent(nil, &e)
	for _, there := range []bool{true, false} {
		budget.Add(inflight.Answers, 700<<10)
		n := e.Late(func(*tree.Event) (tree.EncodedEvent, bool) { return e.Encoded(json), there })
		var v serving
		for range 2 {
			v.next(p).written(tree.Reply{Action: e.Action, Late: n.Late, State: tree.State{Index: 7}})
		}
		if held := budget.Held(inflight.Past); held != 200<<10 {
			t.Errorf("%d bytes are held while two wait", held)
		}
		budget.Give(inflight.Answers, 700<<10)
		answered := 0
		for range 2 {
			r := <-p.replies
			switch {
			case bytes.Equal(r.reply.JSON, json):
				answered++
			case r.reply.Err == nil || r.reply.Err.Index != 7:
				t.Errorf("got %+v", r.reply)
			}
			budget.Give(inflight.Answers, r.claimed)
		}
		if want := map[bool]int{true: 2, false: 1}[there]; answered != want {
			t.Errorf("still there: %v; %d are answered", there, answered)
		}
		p.running.Wait()
	}
	if budget.Held(inflight.Past)+budget.Held(inflight.Answers) != 0 {
		t.Error("something is held in the end")
	}
}

// TestAValueThatIsLargerThanMayWait: it would take the room that its answer waits for.
func TestAValueThatIsLargerThanMayWait(t *testing.T) {
	poll, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer poll.close()
	p := &pollLoop{poller: poll, replies: make(chan *turn, 1)}
	budget := inflight.New(32 << 20)
	p.options.heads.inFlight = budget
	e := tree.Event{Action: tree.ActionDelete, Node: tree.Node{Key: "/a", Modified: 7}, HasPrev: true, Prev: tree.Node{Key: "/a", Value: bytes.Repeat([]byte{1}, 10<<20)}}
	json := tree.AppendEvent(nil, &e)
	n := e.Late(func(*tree.Event) (tree.EncodedEvent, bool) { return e.Encoded(json), true })
	new(serving).next(p).written(tree.Reply{Action: e.Action, Late: n.Late})
	got := <-p.replies
	if !bytes.Equal(got.reply.JSON, json) {
		t.Errorf("an idle server answers %.100q, %v", got.reply.JSON, got.reply.Err)
	}
	if budget.Give(inflight.Answers, got.claimed); budget.Held(inflight.Past)+budget.Held(inflight.Answers) != 0 {
		t.Error("something is held in the end")
	}
	p.running.Wait()
}
