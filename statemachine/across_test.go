package statemachine_test

import (
	"fmt"
	"strings"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

// several are the machines of all slots, and the whole tree in one.
type several struct {
	machines []*statemachine.Machine
	whole    tree.MemStore
	last     tree.Index
}

func newSeveral(t rapid.TB, fs func() vfs.FS) *several {
	s := &several{}
	for slot := range slots {
		s.machines = append(s.machines, mustOpen(t, dataOptions(slot), "/shard", fs()))
	}
	return s
}

func (s *several) close(t rapid.TB) {
	for _, m := range s.machines {
		mustClose(t, m)
	}
}

func (s *several) do(t rapid.TB, c tree.Command) {
	t.Helper()
	r := tree.Range{First: s.last + 1, Last: s.last + 1}
	_ = tree.Apply(&s.whole, &c, s.last, func(*tree.Event) {})
	s.last++
	b := orderedBatch{r: r, list: []tree.Command{c}}
	e := b.entry(uint64(s.last))
	if _, err := s.machines[tree.Slot(c.Key, slots)].Update([]sm.Entry{e}); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// list is the root as GetAcross has it, and in how many parts.
func (s *several) list(t rapid.TB, recursive bool) (text string, parts int) {
	t.Helper()
	out, rest, fail := statemachine.GetAcross(s.machines, []byte("head "), &tree.Query{Key: "/", Recursive: recursive}, 0, modelNow)
	out, parts = whole(t, out, rest, fail)
	text, ok := strings.CutPrefix(string(out), "head ")
	if !ok {
		t.Fatalf("what was there before is gone: %.40s", out)
	}
	return text, parts
}

// whole reads an answer to its end, and counts its parts.
func whole(t rapid.TB, out []byte, rest tree.Rest, fail error) (all []byte, parts int) {
	t.Helper()
	more := rest != nil
	for parts = 1; fail == nil && more; parts++ {
		var part []byte
		part, more, fail = rest.Next()
		out = append(out, part...)
	}
	if fail != nil {
		t.Fatal(fail)
	}
	if rest != nil {
		rest.Close()
	}
	return out, parts
}

func (s *several) want(recursive bool) string {
	return string(s.whole.List(nil, &tree.Node{Key: "/", Dir: true}, &tree.Query{Key: "/", Recursive: recursive}, modelNow))
}

func TestTheRootOfSeveral(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSeveral(rt, func() vfs.FS { return vfs.NewMem() })
		defer s.close(rt)
		check := func() {
			for _, recursive := range []bool{false, true} {
				if got, _ := s.list(rt, recursive); got != s.want(recursive) {
					rt.Fatalf("recursive: %v\n got %s\nwant %s", recursive, got, s.want(recursive))
				}
			}
		}
		check() // of nothing
		for _, c := range commands().Draw(rt, "commands") {
			if c.Op.Membership() || c.Op == tree.OpExpire || c.Op == tree.OpTxn || c.Op == tree.OpCreateInOrder && c.Key == "/" {
				continue
			}
			s.do(rt, c)
		}
		check()
	})
}

func TestALongRootComesInParts(t *testing.T) {
	s := newSeveral(t, func() vfs.FS { return vfs.NewMem() })
	value := []byte(strings.Repeat("v", 1000))
	for i := range 300 {
		s.do(t, tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/n%d/below/%d", i%20, i), Value: value, Now: 1})
		s.do(t, tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/n%d", 100+i), Value: value, Now: 1})
	}
	for _, recursive := range []bool{false, true} {
		got, parts := s.list(t, recursive)
		if got != s.want(recursive) || parts < 3 {
			t.Errorf("recursive: %v, in %d parts: equal: %v", recursive, parts, got == s.want(recursive))
		}
	}
	// A listing is of the moment when it was begun, and outlives the machines.
	want := s.want(true)
	out, rest, fail := statemachine.GetAcross(s.machines, nil, &tree.Query{Key: "/", Recursive: true}, 0, modelNow)
	if fail != nil || rest == nil {
		t.Fatalf("%v, %v", rest, fail)
	}
	for i := range 20 {
		s.do(t, tree.Command{Op: tree.OpDelete, Key: fmt.Sprintf("/n%d", i), Recursive: true, Dir: true})
	}
	if s.machines[0].Stats().GetsSuccess != 3 || s.machines[1].Stats().GetsSuccess != 0 {
		t.Errorf("counted as %d and %d reads", s.machines[0].Stats().GetsSuccess, s.machines[1].Stats().GetsSuccess)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.close(t)
	}()
	for more := true; more; {
		var part []byte
		if part, more, fail = rest.Next(); fail != nil {
			t.Fatal(fail)
		}
		out = append(out, part...)
	}
	select {
	case <-closed:
		t.Error("the machines were closed while a listing read them")
	default:
	}
	rest.Close()
	<-closed
	if string(out) != want {
		t.Error("the listing isn't of one moment")
	}
	if _, rest, fail := statemachine.GetAcross(s.machines, nil, &tree.Query{Key: "/"}, 0, modelNow); fail == nil || rest != nil {
		t.Error("closed machines were listed")
	}
	if s.machines[0].Stats().GetsFail != 1 {
		t.Error("the failure isn't counted")
	}
}
