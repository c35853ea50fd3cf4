package txn_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

const now = int64(1e18)

// carryOut rehearses t, and does what the rehearsal says.
func carryOut(t *testing.T, s *tree.MemStore, last *tree.Index, x txn.Txn) string {
	t.Helper()
	c := x.Command(now)
	read, err := txn.Read(&c)
	if err != nil {
		t.Fatalf("what Command made can't be read: %v", err)
	}
	before := fmt.Sprint(s.Below("/"))
	steps, _, refused := txn.Rehearse(s, &read, *last)
	if after := fmt.Sprint(s.Below("/")); after != before {
		t.Fatalf("a rehearsal changed\n%s\nto\n%s", before, after)
	}
	if refused != nil {
		return refused.Error()
	}
	if len(steps) > c.Limit {
		t.Fatalf("%d indexes are needed, and %d reserved", len(steps), c.Limit)
	}
	var events strings.Builder
	for i := range steps {
		failed := tree.Apply(s, &steps[i], *last, func(e *tree.Event) {
			*last = e.Index()
			fmt.Fprintf(&events, "%d %s %s=%s; ", e.Index(), e.Action, e.Node.Key, e.Node.Value)
		})
		if failed != nil {
			t.Fatalf("step %d: %v", i, failed)
		}
	}
	return strings.TrimSuffix(events.String(), "; ")
}

func set(key, value string) tree.Command {
	return tree.Command{Op: tree.OpSet, Key: key, Value: []byte(value), Now: now}
}

func ops(list ...tree.Command) txn.Txn {
	for i := range list {
		list[i].Now = now
	}
	return txn.Txn{Ops: list}
}

func TestTransactions(t *testing.T) {
	move := func(op tree.Op, from, to string) tree.Command { return tree.Command{Op: op, Key: from, PrevValue: to} }
	over := func(c tree.Command) tree.Command { c.Recursive = true; return c }
	when := func(x txn.Txn, c ...txn.Compare) txn.Txn { x.Compares = c; return x }
	var s tree.MemStore
	last := tree.Index(0)
	for _, step := range []struct {
		name string
		txn  txn.Txn
		want string
	}{
		{"each sees those before", ops(set("/d/a", "1"), tree.Command{Op: tree.OpCompareAndSwap, Key: "/d/a", PrevValue: "1", Value: []byte("2")}, set("/d/_h/x", "3")),
			"1 set /d/a=1; 2 compareAndSwap /d/a=2; 3 set /d/_h/x=3"},
		{"all or nothing", ops(set("/e", "1"), tree.Command{Op: tree.OpCreate, Key: "/d/a"}),
			"105: Key already exists (ops[1]: /d/a) [3]"},
		{"a value differs", when(ops(set("/e", "1")), txn.Compare{Key: "/d/a", Value: []byte("1"), HasValue: true}),
			"101: Compare failed (compare[0]: /d/a [1 != 2]) [3]"},
		{"an index differs", when(ops(set("/e", "1")), txn.Compare{Key: "/d"}, txn.Compare{Key: "/d/a", Index: 1}),
			"101: Compare failed (compare[1]: /d/a [1 != 2]) [3]"},
		{"a directory has no value", when(ops(set("/e", "1")), txn.Compare{Key: "/d", HasValue: true}),
			"101: Compare failed (compare[0]: /d is a directory) [3]"},
		{"there is none", when(ops(set("/e", "1")), txn.Compare{Key: "/e/f"}), "101: Compare failed (compare[0]: /e/f doesn't exist) [3]"},
		{"there is one", when(ops(set("/e", "1")), txn.Compare{Key: "/d", Absent: true}), "101: Compare failed (compare[0]: /d exists) [3]"},
		{"all hold", when(ops(set("/e", "1")), txn.Compare{Key: "/e", Absent: true}, txn.Compare{Key: "/d/a", Index: 2, Value: []byte("2"), HasValue: true}), "4 set /e=1"},
		{"a copy of all below", ops(move(tree.OpCopy, "/d", "/c/d")), "5 create /c/d=; 6 create /c/d/_h=; 7 create /c/d/_h/x=3; 8 create /c/d/a=2"},
		{"onto what exists", ops(move(tree.OpCopy, "/e", "/d/a")), "105: Key already exists (ops[0]: /d/a) [8]"},
		{"over a file", ops(over(move(tree.OpRename, "/e", "/d/a"))), "9 set /d/a=1; 10 delete /e="},
		{"over a directory", ops(over(move(tree.OpRename, "/d", "/c"))), "102: Not a file (ops[0]: /c) [10]"},
		{"a directory removed before", ops(tree.Command{Op: tree.OpDelete, Key: "/c", Recursive: true}, move(tree.OpRename, "/d", "/c")),
			"11 delete /c=; 12 create /c=; 13 create /c/_h=; 14 create /c/_h/x=3; 15 create /c/a=1; 16 delete /d="},
		{"without what was removed", ops(tree.Command{Op: tree.OpDelete, Key: "/c/_h", Recursive: true}, set("/c/_h/y", "4"), move(tree.OpCopy, "/c", "/g")),
			"17 delete /c/_h=; 18 set /c/_h/y=4; 19 create /g=; 20 create /g/_h=; 21 create /g/_h/y=4; 22 create /g/a=1"},
		{"what is gone", ops(move(tree.OpCopy, "/d", "/f")), "100: Key not found (ops[0]: /d) [22]"},
		{"the root", ops(move(tree.OpCopy, "/c", "/")), "107: Root is read only (ops[0]: /) [22]"},
	} {
		if got := carryOut(t, &s, &last, step.txn); got != step.want {
			t.Fatalf("%s:\n got %s\nwant %s", step.name, got, step.want)
		}
	}
}

func TestWhatIsCopiedKeepsItsTime(t *testing.T) {
	var s tree.MemStore
	last := tree.Index(0)
	x := set("/d/x", "1")
	x.Expires = now + 5e9
	carryOut(t, &s, &last, ops(tree.Command{Op: tree.OpSet, Key: "/d", Dir: true, Expires: now + 9e9}, x))
	carryOut(t, &s, &last, ops(tree.Command{Op: tree.OpRename, Key: "/d", PrevValue: "/e"}))
	d, _ := s.Get("/e")
	f, _ := s.Get("/e/x")
	if d.Expires != now+9e9 || f.Expires != now+5e9 {
		t.Errorf("the copies expire at %d and %d", d.Expires-now, f.Expires-now)
	}
}

// TestTimesCountFromTheCommand reads a transaction at another time than it was made for.
func TestTimesCountFromTheCommand(t *testing.T) {
	for _, ttl := range []int64{0, 1, 5e9} {
		op := set("/a", "1")
		op.Expires = now + ttl
		c := ops(op).Command(now)
		c.Now += 7
		x, err := txn.Read(&c)
		if err != nil || x.Ops[0].Expires != now+7+ttl || x.Ops[0].Now != now+7 {
			t.Errorf("after 7 ns: %+v, %v", x.Ops, err)
		}
	}
	none := ops(set("/a", "1")).Command(now)
	if x, err := txn.Read(&none); err != nil || x.Ops[0].Expires != 0 {
		t.Errorf("without a time to live: %+v, %v", x.Ops, err)
	}
}

// TestBounds has each bound met, and passed by one.
func TestBounds(t *testing.T) {
	many := func(nodes, bytes int) (s tree.MemStore) {
		s.Put(&tree.Node{Key: "/d", Dir: true, Modified: 1, Created: 1}, nil)
		bytes -= len("/e")
		for i := 1; i < nodes; i++ {
			n := tree.Node{Key: fmt.Sprintf("/d/%04d", i), Modified: 1, Created: 1}
			bytes -= len(n.Key)
			if i == nodes-1 {
				n.Value = bytes0(bytes)
			}
			s.Put(&n, nil)
		}
		return s
	}
	copying := ops(tree.Command{Op: tree.OpCopy, Key: "/d", PrevValue: "/e"})
	for _, c := range []struct {
		nodes, bytes int
		ok           bool
	}{
		{txn.CopiedNodes, 1 << 15, true}, {txn.CopiedNodes + 1, 1 << 15, false},
		{3, txn.CopiedBytes, true}, {3, txn.CopiedBytes + 1, false},
	} {
		s := many(c.nodes, c.bytes)
		_, _, refused := txn.Rehearse(&s, &copying, 1)
		if c.ok != (refused == nil) || refused != nil && refused.Code != tree.CodeInvalidField {
			t.Errorf("a copy of %d nodes and %d bytes: %v", c.nodes, c.bytes, refused)
		}
	}
	var s tree.MemStore
	for size, ok := range map[int]bool{txn.EventBytes - 2: true, txn.EventBytes - 1: false} {
		x := ops(set("/a", string(bytes0(size))))
		if _, _, refused := txn.Rehearse(&s, &x, 1); ok != (refused == nil) {
			t.Errorf("a value of %d bytes: %v", size, refused)
		}
	}
	for n, ok := range map[int]bool{txn.Limit: true, txn.Limit + 1: false} {
		var x txn.Txn
		for range n {
			x.Ops = append(x.Ops, set("/a", "1"))
		}
		c := x.Command(now)
		if txn.IsTxn(&c) != ok {
			t.Errorf("%d operations: %t", n, !ok)
		}
		x = ops(set("/a", "1"))
		x.Compares = make([]txn.Compare, n)
		for i := range x.Compares {
			x.Compares[i].Key = "/a"
		}
		if c := x.Command(now); txn.IsTxn(&c) != ok {
			t.Errorf("%d compares: %t", n, !ok)
		}
	}
}

func bytes0(n int) []byte { return make([]byte, n) }

func TestWhatIsNoTransaction(t *testing.T) {
	good := func() tree.Command {
		return ops(set("/a", "1"), tree.Command{Op: tree.OpCopy, Key: "/a", PrevValue: "/b"}).Command(now)
	}
	for name, spoil := range map[string]func(c *tree.Command){
		"another op":       func(c *tree.Command) { c.Op = tree.OpSet },
		"too few indexes":  func(c *tree.Command) { c.Limit-- },
		"too many indexes": func(c *tree.Command) { c.Limit++ },
		"another key":      func(c *tree.Command) { c.Key = "/b" },
		"nothing":          func(c *tree.Command) { c.Value = nil },
		"bytes behind it":  func(c *tree.Command) { c.Value = append(c.Value, 0) },
		"no operation":     func(c *tree.Command) { c.Value = tree.AppendBatch([]byte{0}, 0, 0) },
		"below itself": func(c *tree.Command) {
			*c = ops(tree.Command{Op: tree.OpRename, Key: "/a", PrevValue: "/a/b"}).Command(now)
		},
		"onto itself": func(c *tree.Command) {
			*c = ops(tree.Command{Op: tree.OpCopy, Key: "/a", PrevValue: "/a"}).Command(now)
		},
		"in order in /":  func(c *tree.Command) { *c = ops(tree.Command{Op: tree.OpCreateInOrder, Key: "/"}).Command(now) },
		"expiry":         func(c *tree.Command) { *c = ops(tree.Command{Op: tree.OpExpire, Key: "/a", Limit: 1}).Command(now) },
		"one in another": func(c *tree.Command) { *c = ops(*c).Command(now) },
		"no clean key":   func(c *tree.Command) { *c = ops(set("/a/", "1")).Command(now) },
		"a batch of a leader": func(c *tree.Command) {
			b := tree.AppendSubmission(tree.AppendBatchHead([]byte{0}, tree.BatchHead{Epoch: 1, Submissions: 1}), tree.RequestID{}, 1)
			op := set("/a", "1")
			op.Now = 1
			c.Value, c.Limit = tree.AppendCommand(b, &op), 1
		},
	} {
		c := good()
		if !txn.IsTxn(&c) {
			t.Fatal("a good one is refused")
		}
		if spoil(&c); txn.IsTxn(&c) {
			t.Errorf("%s: it can be read", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	x := ops(set("/a", "1"), tree.Command{Op: tree.OpRename, Key: "/a", PrevValue: "/b"})
	x.Compares = []txn.Compare{{Key: "/a", Absent: true}, {Key: "/b", Value: []byte("x"), HasValue: true, Index: 3}}
	c := x.Command(now)
	f.Add(c.Value, c.Limit)
	f.Fuzz(func(t *testing.T, value []byte, limit int) {
		c := tree.Command{Op: tree.OpTxn, Key: "/a", Value: bytes.Clone(value), Limit: limit, Now: now}
		x, err := txn.Read(&c)
		if err != nil {
			return
		}
		again := x.Command(now)
		if again.Limit != limit || again.Key != c.Key {
			t.Fatalf("read back as %+v", again)
		}
		y, err := txn.Read(&again)
		if err != nil || !reflect.DeepEqual(x, y) {
			t.Fatalf("%+v\nread back as\n%+v, %v", x, y, err)
		}
		var s tree.MemStore
		last := tree.Index(0)
		carryOut(t, &s, &last, x)
	})
}
