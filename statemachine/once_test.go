package statemachine_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
	"copse/statemachine/txn"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

// repeats is a machine whose batches carry a time, and what it must answer.
type repeats struct {
	t     rapid.TB
	fs    vfs.FS
	o     statemachine.Options
	m     *statemachine.Machine
	model model
	time  int64
	raft  uint64
	kept  map[string]keptAnswer
}

type keptAnswer struct {
	at      int64
	command tree.Command
	answer  string
}

func newRepeats(t rapid.TB, o statemachine.Options) *repeats {
	r := &repeats{t: t, fs: vfs.NewMem(), o: o, time: 1e18, kept: map[string]keptAnswer{}}
	r.m = mustOpen(t, o, "/shard", r.fs)
	return r
}

// do has a command carried out, the only one of its batch.
func (r *repeats) do(c tree.Command) string {
	r.t.Helper()
	r.raft++
	head := tree.BatchHead{Epoch: 1, Number: r.raft, Submissions: 1, Clock: tree.Clock{Time: r.time}}
	if r.o.Slots > 1 {
		head.Ordered, head.Range = true, tree.Range{First: r.m.Index() + 1, Last: r.m.Index() + tree.Index(c.Indexes())}
	}
	cmd := tree.AppendSubmission(tree.AppendBatchHead(nil, head), submissionID(replica, r.raft), 1)
	cmd = tree.AppendCommand(cmd, &c)
	var data []byte
	r.m.Subscribe(func(res *statemachine.ApplyResult) { data = res.Outcomes[0].Data })
	if _, err := r.m.Update([]sm.Entry{{Index: r.raft, Cmd: cmd}}); err != nil {
		r.t.Fatal(err)
	}
	return answers(data)[0]
}

// want is what the rules say that do must answer, of few enough answers to keep.
func (r *repeats) want(c tree.Command) string {
	tree.Clock{Time: r.time}.Receive(&c)
	id := c.Once
	if k, kept := r.kept[id.ID]; kept && id.ID != "" && r.time-k.at < int64(10*time.Minute) {
		if k.command.Once.Sum != id.Sum {
			return string(tree.AppendError(nil, &tree.Error{Code: tree.CodeInvalidField, Cause: "the requestId was that of another request", Index: r.model.last}))
		}
		return k.answer
	}
	answer := r.model.apply(&c)
	if id.ID != "" {
		for id, k := range r.kept { // for good, though a new leader's time may be earlier again
			if r.time-k.at >= int64(10*time.Minute) {
				delete(r.kept, id)
			}
		}
		r.kept[id.ID] = keptAnswer{r.time, c, answer}
	}
	return answer
}

// restart has another machine go on: with the same store, or with a snapshot.
func (r *repeats) restart(snapshot bool) {
	image := dump(r.t, r.m)
	mustClose(r.t, r.m)
	if snapshot {
		r.fs = vfs.NewMem()
	}
	r.m = mustOpen(r.t, r.o, "/shard", r.fs)
	if snapshot {
		if err := r.m.RecoverFromSnapshot(bytes.NewReader(image), nil); err != nil {
			r.t.Fatal(err)
		}
	}
	if !bytes.Equal(image, dump(r.t, r.m)) {
		r.t.Fatal("it has another state afterwards")
	}
}

func TestRepeatedRequests(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sharded := rapid.Bool().Draw(rt, "sharded")
		o := plainOptions()
		if sharded {
			o = dataOptions(1)
		}
		r := newRepeats(rt, o)
		defer func() { mustClose(rt, r.m) }()
		var list []tree.Command
		for _, c := range commands().Draw(rt, "commands") {
			if c.Op.Membership() || c.Op == tree.OpExpire || sharded && (strays(&c, 1) || c.InRoot()) {
				continue
			}
			list = append(list, c)
		}
		var done []tree.Command
		for i := range list {
			c := list[i]
			c.Now = r.time
			if c.Expires != 0 {
				c.Expires = r.time + int64(i%3)*1e9
			}
			switch {
			case len(done) > 0 && rapid.Bool().Draw(rt, "again"):
				before := done[rapid.IntRange(0, len(done)-1).Draw(rt, "which")]
				if before.Expires != 0 { // the client counts from another time
					before.Expires += r.time - before.Now
				}
				before.Now = r.time
				c = before
			case rapid.Bool().Draw(rt, "with an id"):
				c.Identify(rapid.SampledFrom([]string{"a", "b", "c d", strings.Repeat("~", 128)}).Draw(rt, "id"))
			}
			done = append(done, c)
			got, want := r.do(c), r.want(c)
			if sharded {
				r.model.epoch, r.model.last = 1, r.m.Index() // the rest of the range stays unused
			}
			if got != want {
				rt.Fatalf("%+v at %d:\n got %s\nwant %s", c, r.time, got, want)
			}
			switch rapid.IntRange(0, 19).Draw(rt, "between") {
			case 0:
				r.restart(false)
			case 1:
				r.restart(true)
			case 2, 3:
				r.time += rapid.SampledFrom([]int64{1, 1e9, int64(10*time.Minute) - 1, int64(10 * time.Minute)}).Draw(rt, "passes")
			case 4:
				r.time -= int64(statemachine.ClockRuns) // a new leader's
			}
		}
		if n := len(r.model.store.Below("/")); r.m.Index() != r.model.last || r.m.Nodes() != uint64(n) || r.m.Stats() != r.model.stats {
			rt.Fatalf("at %d with %d nodes and %+v\nwant  %d with %d nodes and %+v", r.m.Index(), r.m.Nodes(), r.m.Stats(), r.model.last, n, r.model.stats)
		}
	})
}

func identified(id string, c tree.Command) tree.Command {
	c.Now = 1e18
	c.Identify(id)
	return c
}

// TestAnswersAreBounded has as many answers kept as may be, and more.
func TestAnswersAreBounded(t *testing.T) {
	r := newRepeats(t, plainOptions())
	defer func() { mustClose(t, r.m) }()
	set := func(id string) tree.Command {
		return identified(id, tree.Command{Op: tree.OpSet, Key: "/" + id, Value: []byte("v")})
	}
	const full = `{"errorCode":300,"message":"Raft Internal Error","cause":"requestId can't be used: as many answers are kept as may be","index":%d}` + "\n"
	first := r.do(set("first"))
	for name, pretend := range map[string]func() func(){
		"answers": func() func() { return r.m.PretendAnswers(statemachine.OnceLimit, 0) },
		"bytes":   func() func() { return r.m.PretendAnswers(1, statemachine.OnceBytesLimit) },
	} {
		end := pretend()
		before := r.m.Index()
		if got := r.do(set("more")); got != fmt.Sprintf(full, before) || r.m.Index() != before {
			t.Errorf("too many %s: %s", name, got)
		}
		if got := r.do(set("first")); got != first {
			t.Errorf("too many %s, and one that is kept: %s", name, got)
		}
		if got := r.do(tree.Command{Op: tree.OpSet, Key: "/" + name, Now: 1e18}); !strings.Contains(got, `"action":"set"`) {
			t.Errorf("too many %s, and a write without an id: %s", name, got)
		}
		end()
	}
	large := tree.Command{Op: tree.OpSet, Key: "/large", Value: make([]byte, statemachine.OnceAnswerLimit/2)}
	if got := r.do(identified("large", large)); !strings.Contains(got, `"action":"set"`) {
		t.Errorf("a large value: %.200s", got)
	}
	before := r.m.Index()
	got := r.do(identified("too large", large)) // with the value before
	if !strings.Contains(got, `"errorCode":209`) || !strings.Contains(got, tree.OnceRefused) || r.m.Index() != before {
		t.Errorf("twice that: %.200s", got)
	}
	compare := tree.Command{Op: tree.OpCompareAndSwap, Key: "/large", PrevValue: strings.Repeat("x", statemachine.OnceAnswerLimit/2)}
	if got := r.do(identified("refused", compare)); !strings.Contains(got, tree.OnceRefused) {
		t.Errorf("a refusal of twice that: %.200s", got)
	}
	x := txn.Txn{Ops: []tree.Command{large}}
	x.Ops[0].Now = 1e18
	if got := r.do(identified("txn", x.Command(1e18))); !strings.Contains(got, tree.OnceRefused) {
		t.Errorf("in a transaction: %.200s", got)
	}
}

// TestAnswersAreForgotten has answers pile up and go again.
func TestAnswersAreForgotten(t *testing.T) {
	r := newRepeats(t, plainOptions())
	defer func() { mustClose(t, r.m) }()
	set := func(id int) {
		r.do(identified(fmt.Sprint(id), tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte("v")}))
	}
	for i := range 100 {
		set(i)
	}
	if n, size := r.m.Answers(); n != 100 || size == 0 {
		t.Errorf("%d answers of %d bytes are kept", n, size)
	}
	r.time += int64(10 * time.Minute)
	for i := range 100 {
		set(1000 + i)
	}
	n, size := r.m.Answers()
	if n != 100 {
		t.Errorf("%d answers are kept, of which 100 count", n)
	}
	r.time += int64(10 * time.Minute)
	r.restart(false)
	for range 13 {
		set(5000)
		r.time += int64(10 * time.Minute)
	}
	if n, less := r.m.Answers(); n != 1 || less == 0 || less >= size {
		t.Errorf("%d answers of %d bytes are kept in the end", n, less)
	}
	if keys := strings.Count(string(dump(t, r.m)), "5000"); keys != 2 {
		t.Errorf("the id of the last answer is in %d records", keys)
	}
}

func TestWithoutATimeNothingCanBeRepeated(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	c := identified("x", tree.Command{Op: tree.OpSet, Key: "/k"})
	e, err := m.Update([]sm.Entry{{Index: 1, Cmd: tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := answers(e[0].Result.Data)[0]; !strings.Contains(got, "the shard's time isn't known yet") || m.Index() != 0 || !m.Newest() {
		t.Errorf("at %d: %s", m.Index(), got)
	}
}
