package statemachine_test

import (
	"bytes"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// TestLargeEventsArePrintedLate: applying an entry, for which all other writes wait, makes neither JSON nor
// a copy of a large value for its event. Who asks later gets what the window says.
func TestLargeEventsArePrintedLate(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	var last statemachine.ApplyResult
	m.Subscribe(func(n *statemachine.ApplyResult) { last = *n })
	first, second := bytes.Repeat([]byte{1}, 100<<10), bytes.Repeat([]byte("\xffä"), 50<<10)
	cmd := tree.AppendSubmission(tree.AppendBatchHead(nil, tree.BatchHead{Epoch: 1, Number: 1, Submissions: 1}), submissionID(replica, 1), 4)
	for _, c := range []tree.Command{
		{Op: tree.OpSet, Key: "/k", Value: first},
		{Op: tree.OpCompareAndSwap, Key: "/k", PrevValue: string(first), Value: second}, // reads what the batch has just put
		{Op: tree.OpSet, Key: "/k", Value: []byte("small")},
		{Op: tree.OpDelete, Key: "/none"},
	} {
		cmd = tree.AppendCommand(cmd, &c)
	}
	if _, err := m.Update([]sm.Entry{{Index: 1, Cmd: cmd}}); err != nil {
		t.Fatal(err)
	}
	stored, _, err := m.History(1, 10)
	if err != nil || len(stored) != 3 || len(last.Events) != 3 {
		t.Fatalf("%d events in the window, %d told of: %v", len(stored), len(last.Events), err)
	}
	if n := len(last.Outcomes[0].Late); n != 3 {
		t.Fatalf("the outcome has %d events", n)
	}
	data := last.Outcomes[0].Data
	for i := range 4 {
		var r tree.Reply
		r, data, _ = statemachine.CutReply(data)
		if last.Outcomes[0].Complete(&r); i == 3 {
			if r.Err == nil || r.Late != nil {
				t.Errorf("the last command is answered %+v", r)
			}
			break
		}
		e := &last.Events[i]
		if e.JSON != nil || r.JSON != nil || r.Late == nil || r.Late != e.Late {
			t.Fatalf("the JSON of event %d is made while the entry is applied, or twice", i)
		}
		if e.Size() != len(stored[i].JSON) || !bytes.Equal(r.Late.JSON(), stored[i].JSON) {
			t.Errorf("event %d has %d bytes and is %.200q, in the window %d and %.200q", i, e.Size(), r.Late.JSON(), len(stored[i].JSON), stored[i].JSON)
		}
		if !bytes.Equal(r.Binary.AppendBase64(nil, r.Late.JSON()), stored[i].AppendBase64(nil)) {
			t.Errorf("the values of event %d differ", i)
		}
		if i == 1 && !lies((*e.Binary)[0], cmd) {
			t.Error("the value is copied")
		}
	}
}

// TestExpirationsAreNoReplies: the outcome of a submission doesn't hold the large values that it lets expire.
func TestExpirationsAreNoReplies(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	var last statemachine.ApplyResult
	m.Subscribe(func(n *statemachine.ApplyResult) { last = *n })
	for i, c := range []tree.Command{
		{Op: tree.OpSet, Key: "/k", Value: make([]byte, 100<<10), Expires: 1000},
		{Op: tree.OpExpire, Now: 2000, Limit: 10},
	} {
		at := uint64(i + 1)
		cmd := tree.AppendSubmission(tree.AppendBatchHead(nil, tree.BatchHead{Epoch: 1, Number: at, Submissions: 1}), submissionID(replica, at), 1)
		if _, err := m.Update([]sm.Entry{{Index: at, Cmd: tree.AppendCommand(cmd, &c)}}); err != nil {
			t.Fatal(err)
		}
	}
	if len(last.Events) != 1 || last.Events[0].Late == nil || len(last.Outcomes) != 1 || len(last.Outcomes[0].Late) != 0 {
		t.Errorf("the events are %+v, and the outcomes %+v", last.Events, last.Outcomes)
	}
}
