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
			n := e.Late()
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
	n := e.Late()
	next := new(serving).next(p)
	next.written(tree.Reply{Action: e.Action, Late: n.Late})
	if got := <-p.replies; got.reply.Err == nil || got.reply.Err.Code != tree.CodeRaftInternal || got.reply.Late != nil || got.claimed != 0 {
		t.Errorf("got %+v", got.reply)
	}
	p.running.Wait()
}
