package statemachine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"
	"copse/statemachine/txn"

	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

// transaction draws one whose keys mostly have the same name in the root.
func transaction(t *rapid.T, now int64) tree.Command {
	name := rapid.SampledFrom(names).Draw(t, "top")
	key := func() string {
		k := keys().Draw(t, "key")
		if rapid.IntRange(0, 19).Draw(t, "anywhere") == 0 {
			return k
		}
		return tree.Clean("/" + name + k)
	}
	var x txn.Txn
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "compares") {
		c := txn.Compare{Key: key()}
		switch rapid.IntRange(0, 3).Draw(t, "condition") {
		case 0:
			c.Absent = true
		case 1:
			c.Value, c.HasValue = []byte(rapid.SampledFrom([]string{"", "x", large}).Draw(t, "value")), true
		case 2:
			c.Index = tree.Index(rapid.IntRange(1, 40).Draw(t, "index"))
		}
		x.Compares = append(x.Compares, c)
	}
	ops := []tree.Op{
		tree.OpSet, tree.OpSet, tree.OpSet, tree.OpCreate, tree.OpCreateInOrder, tree.OpUpdate, tree.OpCompareAndSwap,
		tree.OpDelete, tree.OpCompareAndDelete, tree.OpCopy, tree.OpCopy, tree.OpRename,
	}
	for range rapid.IntRange(1, 4).Draw(t, "ops") {
		c := command(t, rapid.SampledFrom(ops).Draw(t, "op"), key(), now)
		c.Limit = 0
		switch c.Op {
		case tree.OpCreateInOrder:
			if c.Key == "/" {
				c.Key = "/" + name
			}
		case tree.OpCopy, tree.OpRename:
			c = tree.Command{Op: c.Op, Key: c.Key, PrevValue: key(), Recursive: c.Recursive, Now: now}
			if c.Key == c.PrevValue || tree.Within(c.Key, c.PrevValue) {
				c.Key, c.PrevValue = "/"+name+"/a", "/"+name+"/b"
			}
		}
		x.Ops = append(x.Ops, c)
	}
	return x.Command(now)
}

// strays reports whether a key of c belongs to another slot.
func strays(c *tree.Command, slot int) (stray bool) {
	if c.Op != tree.OpTxn {
		return tree.Slot(c.Key, slots) != slot
	}
	x, err := txn.Read(c)
	if err != nil {
		panic(err)
	}
	x.Keys(func(key string) bool {
		stray = stray || tree.Slot(key, slots) != slot
		return true
	})
	return stray
}

// applyTxn does what a transaction says, one after the other, and takes all of it back if something
// is refused.
func (m *model) applyTxn(c *tree.Command) string {
	x, err := txn.Read(c)
	if err != nil {
		panic(err)
	}
	var before tree.MemStore
	for _, n := range m.store.Below("/") {
		before.Put(&n, nil)
	}
	last, stats, notices := m.last, m.stats, len(m.notices)
	refuse := func(place string, code tree.Code, cause string) string {
		m.store, m.last, m.stats, m.notices = before, last, stats, m.notices[:notices]
		m.stats.CompareAndSwapFail++
		return string(tree.AppendError(nil, &tree.Error{Code: code, Cause: place + ": " + cause, Index: last}))
	}
	for i, c := range x.Compares {
		n, missing := tree.Find(&m.store, c.Key)
		why := ""
		switch {
		case missing == nil && c.Absent:
			why = "exists"
		case missing != nil && !c.Absent:
			why = "doesn't exist"
		case c.HasValue && n.Dir:
			why = "is a directory"
		case c.HasValue && string(n.Value) != string(c.Value):
			why = fmt.Sprintf("[%s != %s]", c.Value, n.Value)
		case c.Index > 0 && n.Modified != c.Index:
			why = fmt.Sprintf("[%d != %d]", c.Index, n.Modified)
		}
		if why != "" {
			return refuse(fmt.Sprintf("compare[%d]", i), tree.CodeCompareFailed, c.Key+" "+why)
		}
	}
	var results, results64 []string
	for i := range x.Ops {
		list, failed := m.parts(&x.Ops[i])
		for j := 0; failed == nil && j < len(list); j++ {
			failed = tree.Apply(&m.store, &list[j], m.last, func(e *tree.Event) {
				m.last = e.Index()
				json := tree.AppendEvent(nil, e)
				m.notices = append(m.notices, e.Encoded(json))
				results, results64 = append(results, string(json)), append(results64, eventIn64(e))
			})
			m.stats.CountWrite(list[j].Op, failed == nil)
		}
		if failed != nil {
			return refuse(fmt.Sprintf("ops[%d]", i), failed.Code, failed.Cause)
		}
	}
	answer := `{"results":[` + strings.Join(results, ",") + "]}\n"
	if strings.Contains(answer, `\ufffd`) {
		answer += `{"results":[` + strings.Join(results64, ",") + "]}\n"
	}
	return answer
}

// parts are the commands that an operation stands for.
func (m *model) parts(op *tree.Command) ([]tree.Command, *tree.Error) {
	if op.Op != tree.OpCopy && op.Op != tree.OpRename {
		return []tree.Command{*op}, nil
	}
	if op.Key == "/" {
		return nil, &tree.Error{Code: tree.CodeRootReadOnly, Cause: "/"}
	}
	n, failed := tree.Find(&m.store, op.Key)
	if failed != nil {
		return nil, failed
	}
	var list []tree.Command
	for _, n := range append([]tree.Node{n}, m.store.Below(op.Key)...) {
		list = append(list, tree.Command{Op: tree.OpCreate, Key: op.PrevValue + strings.TrimPrefix(n.Key, op.Key), Value: n.Value, Dir: n.Dir, Expires: n.Expires, Now: op.Now})
	}
	if op.Recursive {
		list[0].Op = tree.OpSet
	}
	if op.Op == tree.OpRename {
		list = append(list, tree.Command{Op: tree.OpDelete, Key: op.Key, Recursive: n.Dir, Now: op.Now})
	}
	return list, nil
}

// TestATransactionIsSeenAtOnce has watchers get all events of a transaction together, and nothing of
// one that is refused.
func TestATransactionIsSeenAtOnce(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	var seen [][]tree.Index
	m.Subscribe(func(r *statemachine.ApplyResult) {
		var at []tree.Index
		for _, e := range r.Events {
			at = append(at, e.Index)
		}
		seen = append(seen, at)
	})
	do := func(at uint64, x txn.Txn) string {
		c := x.Command(1)
		e, err := m.Update([]sm.Entry{{Index: at, Cmd: tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)}})
		if err != nil {
			t.Fatal(err)
		}
		return answers(e[0].Result.Data)[0]
	}
	set := func(key string) tree.Command {
		return tree.Command{Op: tree.OpSet, Key: key, Value: []byte("v"), Now: 1}
	}
	got := do(1, txn.Txn{Ops: []tree.Command{set("/a"), set("/b/c"), {Op: tree.OpDelete, Key: "/a", Now: 1}}})
	want := `{"results":[{"action":"set","node":{"key":"/a","value":"v","modifiedIndex":1,"createdIndex":1}}
,{"action":"set","node":{"key":"/b/c","value":"v","modifiedIndex":2,"createdIndex":2}}
,{"action":"delete","node":{"key":"/a","modifiedIndex":3,"createdIndex":1},"prevNode":{"key":"/a","value":"v","modifiedIndex":1,"createdIndex":1}}
]}
`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = do(2, txn.Txn{Ops: []tree.Command{set("/d"), {Op: tree.OpUpdate, Key: "/a", Now: 1}}})
	want = `{"errorCode":100,"message":"Key not found","cause":"ops[1]: /a","index":3}` + "\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(seen) != 2 || !slices.Equal(seen[0], []tree.Index{1, 2, 3}) || len(seen[1]) != 0 {
		t.Errorf("the updates had the events %v", seen)
	}
}

// TestATransactionStaysInItsShard: its keys belong to one, as a batch of a leader gone mad may not say.
func TestATransactionStaysInItsShard(t *testing.T) {
	r := newRepeats(t, dataOptions(1))
	defer func() { mustClose(t, r.m) }()
	set := func(key string) tree.Command {
		return tree.Command{Op: tree.OpSet, Key: key, Value: []byte("v"), Now: 1}
	}
	for _, x := range []txn.Txn{
		{Ops: []tree.Command{set(keyIn(1)), set(keyIn(2))}},
		{Ops: []tree.Command{set(keyIn(1)), {Op: tree.OpCopy, Key: keyIn(1), PrevValue: keyIn(0), Now: 1}}},
		{Ops: []tree.Command{set(keyIn(1))}, Compares: []txn.Compare{{Key: keyIn(2), Absent: true}}},
	} {
		if got := r.do(x.Command(1)); !strings.Contains(got, "the key lives in another shard") || r.m.Nodes() != 0 {
			t.Errorf("%+v: %s, and %d nodes", x, got, r.m.Nodes())
		}
	}
	if got := r.do(txn.Txn{Ops: []tree.Command{set(keyIn(1)), set(keyIn(1) + "/x")}}.Command(1)); !strings.Contains(got, "Not a directory") {
		t.Errorf("below a file: %s", got)
	}
}
