package statemachine_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"copse/statemachine"
	"copse/statemachine/tree"
	"copse/statemachine/txn"

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
		if e.Size() != len(stored[i].Text()) || !bytes.Equal(r.Late.JSON(), stored[i].Text()) {
			t.Errorf("event %d has %d bytes and is %.200q, in the window %d and %.200q", i, e.Size(), r.Late.JSON(), len(stored[i].Text()), stored[i].Text())
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

// TestWhatOneUpdateHoldsIsBounded: many small commands of one entry each replace a large value, or ask for a large
// answer. What is too much is left to the window, and small commands beside them have their answers.
func TestWhatOneUpdateHoldsIsBounded(t *testing.T) {
	const keys, bound = 6, 32 << 20
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	var last statemachine.ApplyResult
	m.Subscribe(func(n *statemachine.ApplyResult) { last = *n })
	raft := uint64(0)
	apply := func(list ...tree.Command) (replies []tree.Reply) {
		t.Helper()
		raft++
		if _, err := m.Update([]sm.Entry{ledEntry(raft, list...)}); err != nil {
			t.Fatal(err)
		}
		o := last.Outcomes[0]
		replies = repliesOf(o)
		events := 0
		for _, n := range last.Events {
			events += n.Late.Held() + len(n.JSON)
		}
		if held := max(o.Bytes(), events); held > bound*3/2 { // they share it; the first may pass the bound
			t.Errorf("%d bytes are held", held)
		}
		return replies
	}
	value := bytes.Repeat([]byte("v\xff"), 5<<20)
	fillWith := func(keys int, value []byte) {
		for i := range keys {
			apply(tree.Command{Op: tree.OpSet, Key: fmt.Sprint("/k", i), Value: value})
		}
	}
	fill := func() { fillWith(keys, value) }
	eachOf := func(keys int, c tree.Command) (list []tree.Command) {
		for i := range keys {
			c.Key = fmt.Sprint("/k", i)
			list = append(list, c, tree.Command{Op: tree.OpSet, Key: "/small", Value: []byte("v")})
		}
		return list
	}
	each := func(c tree.Command) []tree.Command { return eachOf(keys, c) }
	for _, of := range []struct {
		keys, held, most int // so many removals hold their values
		value            []byte
	}{{keys, 0, 0, value}, {240, 200, bound / (150 << 10), bytes.Repeat([]byte("v"), 150<<10)}} {
		fillWith(of.keys, of.value)
		for i, r := range apply(eachOf(of.keys, tree.Command{Op: tree.OpDelete})...) {
			if i%2 == 1 {
				if r.Err != nil || r.JSON == nil {
					t.Errorf("a small write is answered %+v", r)
				}
				continue
			}
			n := last.Events[i]
			if left := n.Late.IsLeft(); i/2 < of.held && left || i/2 >= of.most && !left || r.Late != n.Late {
				t.Errorf("removal %d of %d is left: %v", i/2, of.keys, left)
			}
			if !r.Print() || len(r.JSON) < len(of.value) {
				t.Fatalf("removal %d of %d is answered %.100q", i/2, of.keys, r.JSON)
			}
			stored, _, err := m.History(n.Index, 1)
			if err != nil {
				t.Fatal(err)
			}
			if stored[0].Index != n.Index {
				continue // it has left the window
			}
			if !bytes.Equal(r.JSON, stored[0].Text()) {
				t.Errorf("removal %d of %d is answered %.100q", i/2, of.keys, r.JSON)
			}
			if want := stored[0].AppendBase64(nil); !bytes.Equal(r.Binary.AppendBase64(nil, r.JSON), want) || !bytes.Equal(n.AppendBase64(nil), want) {
				t.Errorf("removal %d of %d differs in base64", i/2, of.keys)
			}
		}
	}
	fill()
	var list []tree.Command
	for _, c := range each(tree.Command{Op: tree.OpDelete}) {
		x := txn.Txn{Ops: []tree.Command{c}}
		list = append(list, x.Command(1))
	}
	for i, r := range apply(list...) {
		switch none := i%2 == 0 && i > 0; {
		case none && (r.Err == nil || r.Err.Code != tree.CodeRaftInternal || r.Err.Index != last.Events[i].Index):
			t.Errorf("transaction %d is answered %v", i, r.Err)
		case !none && (r.Err != nil || r.JSON == nil):
			t.Errorf("transaction %d is answered %v", i, r.Err)
		}
	}
	fill()
	var all txn.Txn // alone in its entry, with as many values as it may have
	for i := range 3 {
		all.Ops = append(all.Ops, tree.Command{Op: tree.OpDelete, Key: fmt.Sprint("/k", i)}, tree.Command{Op: tree.OpSet, Key: "/small", Value: []byte("v")})
	}
	r := apply(all.Command(1))[0]
	if r.Err == nil || r.Err.Code != tree.CodeRaftInternal || r.Err.Index != last.Last || len(last.Events) != 6 {
		t.Errorf("a large transaction is answered %v, with %d events", r.Err, len(last.Events))
	}
	for i := range last.Events {
		n := &last.Events[i]
		if stored, _, err := m.History(n.Index, 1); err != nil || !n.Late.IsLeft() || i%2 == 1 && !bytes.Equal(n.Text(), stored[0].Text()) {
			t.Errorf("event %d of a large transaction isn't left to the window: %v", i, err)
		}
	}
	apply(tree.Command{Op: tree.OpSet, Key: "/once", Value: value[:1<<20]}) // an answer that is kept has 4 MiB at most
	once := tree.Command{Op: tree.OpDelete, Key: "/once", Once: tree.Once{ID: "id", Sum: 1}}
	list = nil
	for range 20 {
		list = append(list, once)
	}
	unanswered := 0
	for i, r := range apply(list...) {
		if r.Err != nil && (i == 0 || r.Err.Code != tree.CodeRaftInternal) {
			t.Errorf("repetition %d is answered %v", i, r.Err)
		}
		if r.Err != nil {
			unanswered++
		}
	}
	if unanswered == 0 || unanswered > 15 {
		t.Errorf("%d repetitions have no answer", unanswered)
	}
	if r := apply(once)[0]; r.Err != nil || r.JSON == nil {
		t.Errorf("a later one is answered %v", r.Err)
	}
}

// ledEntry is a raft entry of a leader, with one submission.
func ledEntry(raft uint64, list ...tree.Command) sm.Entry {
	head := tree.BatchHead{Epoch: 1, Number: raft, Submissions: 1, Clock: tree.Clock{Time: 1e18}}
	cmd := tree.AppendSubmission(tree.AppendBatchHead(nil, head), submissionID(replica, raft), len(list))
	for i := range list {
		cmd = tree.AppendCommand(cmd, &list[i])
	}
	return sm.Entry{Index: raft, Cmd: cmd}
}

func repliesOf(o statemachine.Outcome) (replies []tree.Reply) {
	for data := o.Data; len(data) > 0; {
		var r tree.Reply
		r, data, _ = statemachine.CutReply(data)
		o.Complete(&r)
		replies = append(replies, r)
	}
	return replies
}

// TestRefusalsThatNameLargeValues: they say that nothing was changed, and why, whatever else is held.
func TestRefusalsThatNameLargeValues(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	var last statemachine.ApplyResult
	m.Subscribe(func(n *statemachine.ApplyResult) { last = *n })
	value := strings.Repeat("語", 10<<20/3)
	if _, err := m.Update([]sm.Entry{ledEntry(1, tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte(value)})}); err != nil {
		t.Fatal(err)
	}
	cas := tree.Command{Op: tree.OpCompareAndSwap, Key: "/k", PrevValue: "x", Value: []byte("y")}
	if _, err := m.Update([]sm.Entry{ledEntry(2, cas, cas, cas, cas, cas, cas)}); err != nil {
		t.Fatal(err)
	}
	whole, held := "[x != "+value+"]", 0
	for i, r := range repliesOf(last.Outcomes[0]) {
		if r.Err == nil || r.Err.Code != tree.CodeCompareFailed || r.Err.Index != 1 || !strings.HasPrefix(whole, r.Err.Cause) || len(r.Err.Cause) < 16<<10-3 {
			t.Fatalf("compare %d is answered %.200v", i, r.Err)
		}
		if held += len(r.Err.Cause); i == 0 && r.Err.Cause != whole {
			t.Errorf("the first has a cause of %d bytes", len(r.Err.Cause))
		}
	}
	if held > 32<<20 {
		t.Errorf("%d bytes are held", held)
	}
}

// TestWhatIsCutOutIsFreed: what is left of the replies, and events beside them, don't keep the memory of all.
func TestWhatIsCutOutIsFreed(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	var last statemachine.ApplyResult
	m.Subscribe(func(n *statemachine.ApplyResult) { last = *n })
	sets := []tree.Command{{Op: tree.OpSet, Key: "/t", Value: make([]byte, 6<<20)}} // as JSON it has 36 MiB
	var removals []tree.Command
	for i := range 6 { // which hold more than what one may be beside
		key := fmt.Sprint("/k", i)
		sets = append(sets, tree.Command{Op: tree.OpSet, Key: key, Value: make([]byte, 200<<10)})
		removals = append(removals, tree.Command{Op: tree.OpDelete, Key: key})
	}
	if _, err := m.Update([]sm.Entry{ledEntry(1, sets...)}); err != nil {
		t.Fatal(err)
	}
	x := txn.Txn{Ops: []tree.Command{{Op: tree.OpDelete, Key: "/t"}}}
	cmd := tree.AppendBatchHead(nil, tree.BatchHead{Epoch: 1, Number: 2, Submissions: 3, Clock: tree.Clock{Time: 1e18}})
	for i, list := range [][]tree.Command{
		append(removals, x.Command(1)),
		{{Op: tree.OpSet, Key: "/a", Value: []byte("v")}, {Op: tree.OpSet, Key: "/b", Value: []byte("v")}},
		{{Op: tree.OpSet, Key: "/c", Value: []byte("v")}},
	} {
		cmd = tree.AppendSubmission(cmd, submissionID(replica, uint64(2+i)), len(list))
		for _, c := range list {
			cmd = tree.AppendCommand(cmd, &c)
		}
	}
	if _, err := m.Update([]sm.Entry{{Index: 2, Cmd: cmd}}); err != nil {
		t.Fatal(err)
	}
	if r := repliesOf(last.Outcomes[0]); r[len(removals)].Err == nil {
		t.Fatal("the transaction is answered")
	}
	follows := func(a, b []byte, gap int) bool {
		return uintptr(unsafe.Pointer(&b[0]))-uintptr(unsafe.Pointer(&a[0])) == uintptr(len(a)+gap)
	}
	if follows(last.Outcomes[1].Data, last.Outcomes[2].Data, 0) {
		t.Error("the replies lie behind each other, where the transaction's was")
	}
	if follows(last.Events[7].JSON, last.Events[8].JSON, 16) {
		t.Error("so do the events")
	}
}

// TestALoneLargeTransactionIsAnswered: also behind small writes.
func TestALoneLargeTransactionIsAnswered(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	var last statemachine.ApplyResult
	m.Subscribe(func(n *statemachine.ApplyResult) { last = *n })
	x := txn.Txn{Ops: []tree.Command{{Op: tree.OpDelete, Key: "/k"}}}
	for i, list := range [][]tree.Command{
		{{Op: tree.OpSet, Key: "/k", Value: make([]byte, 6<<20)}}, // as JSON it has 36 MiB
		{{Op: tree.OpSet, Key: "/small", Value: []byte("v")}, x.Command(1)},
	} {
		if _, err := m.Update([]sm.Entry{ledEntry(uint64(i+1), list...)}); err != nil {
			t.Fatal(err)
		}
	}
	if r := repliesOf(last.Outcomes[0])[1]; r.Err != nil || len(r.JSON) < 32<<20 {
		t.Errorf("it is answered %v, with %d bytes", r.Err, len(r.JSON))
	}
}

// TestWhatIsLeftMayBeGone: the window has only so many bytes.
func TestWhatIsLeftMayBeGone(t *testing.T) {
	n := (&tree.Event{Action: tree.ActionDelete, Node: tree.Node{Key: "/k", Modified: 9}, HasPrev: true, Prev: tree.Node{Key: "/k", Value: make([]byte, 100<<10)}}).Late(func(e *tree.Event) (n tree.EncodedEvent, ok bool) {
		if e.Index() != 9 {
			t.Errorf("event %d is read", e.Index())
		}
		return n, false
	})
	left := n.Left(nil)
	if left.Size() != n.Size() || left.Late.Held() != 0 || left.Text() != nil || len(n.Text()) != n.Size() {
		t.Errorf("it has %d bytes, holds %d, and is %.100q", left.Size(), left.Late.Held(), left.Text())
	}
	if r := (tree.Reply{Late: left.Late}); r.Print() {
		t.Error("a reply has it")
	}
}
