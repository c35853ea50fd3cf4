package tree_test

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"copse/statemachine/tree"

	"pgregory.net/rapid"
)

// Other programs that compute the hash rely on the table in docs/SHARDS.md.
func TestSlotsAreTheDocumented(t *testing.T) {
	f, err := os.Open("../../docs/SHARDS.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		cells := strings.Split(lines.Text(), "|")
		if len(cells) != 10 || strings.Contains(cells[1], "name") || strings.Contains(cells[1], "---") {
			continue
		}
		name := strings.Trim(strings.TrimSpace(cells[1]), "`")
		if name == "(empty)" {
			name = ""
		}
		rows++
		for i, slots := range []int{2, 3, 4, 8, 64} {
			want, err := strconv.Atoi(strings.TrimSpace(cells[4+i]))
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"/" + name, "/" + name + "/below/it"} {
				if got := tree.Slot(key, slots); got != want {
					t.Errorf("%q is in slot %d of %d, want %d", key, got, slots, want)
				}
			}
		}
	}
	if rows != 9 {
		t.Errorf("the table has %d rows", rows)
	}
}

func TestInOrderNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := tree.Index(rapid.Uint64Range(0, 1<<63).Draw(t, "from"))
		slots := rapid.IntRange(1, tree.MaxSlots).Draw(t, "slots")
		slot := rapid.IntRange(0, slots-1).Draw(t, "slot")
		if got, want := tree.InOrderName(from), fmt.Sprintf("%020d", from); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		next := tree.NextNamed(from, slot, slots)
		for at := from; at <= next; at++ {
			if here := tree.Slot("/"+tree.InOrderName(at), slots) == slot; here != (at == next) {
				t.Fatalf("from %d the next of slot %d of %d is %d, but %d: %v", from, slot, slots, next, at, here)
			}
		}
	})
}

func asks() *rapid.Generator[[]tree.Ask] {
	ask := rapid.Custom(func(t *rapid.T) tree.Ask {
		return tree.Ask{
			ID:    tree.RequestID{Replica: rapid.Uint64().Draw(t, "replica"), Nonce: rapid.Uint64().Draw(t, "nonce"), Number: rapid.Uint64().Draw(t, "number")},
			Slot:  rapid.IntRange(0, 100).Draw(t, "slot"),
			Count: rapid.IntRange(0, 1<<20).Draw(t, "count"),
			Root:  rapid.Bool().Draw(t, "root"),
		}
	})
	return rapid.SliceOfN(ask, 0, 5)
}

func TestAsksAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := asks().Draw(t, "asks")
		c := tree.AskCommand(7, want...)
		got, err := tree.ReadAsks(&c)
		if err != nil || c.PrevIndex != 7 || len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v (%v), want %+v", got, err, want)
		}
		if len(c.Value) == 0 {
			return
		}
		c.Value = c.Value[:rapid.IntRange(0, len(c.Value)-1).Draw(t, "cut")]
		if got, err := tree.ReadAsks(&c); err == nil && len(got) >= len(want) {
			t.Fatalf("asks cut short read as %+v", got)
		}
	})
}

func TestGrants(t *testing.T) {
	for name, c := range map[string]struct {
		ask     tree.Ask
		counter tree.Index
		want    tree.Range
		ok      bool
	}{
		"one":             {tree.Ask{Slot: 1, Count: 1}, 7, tree.Range{First: 8, Last: 8}, true},
		"several":         {tree.Ask{Slot: 0, Count: 5}, 0, tree.Range{First: 1, Last: 5}, true},
		"the most":        {tree.Ask{Slot: 2, Count: tree.AskLimit}, 1, tree.Range{First: 2, Last: 1 + tree.AskLimit}, true},
		"too many":        {tree.Ask{Slot: 2, Count: tree.AskLimit + 1}, 1, tree.Range{}, false},
		"none":            {tree.Ask{Slot: 2, Count: 0}, 1, tree.Range{}, false},
		"less than none":  {tree.Ask{Slot: 2, Count: -1}, 1, tree.Range{}, false},
		"no such slot":    {tree.Ask{Slot: 3, Count: 1}, 1, tree.Range{}, false},
		"below all slots": {tree.Ask{Slot: -1, Count: 1}, 1, tree.Range{}, false},
		// With three slots, index 1 is in slot 1 and 42 in slot 0: see docs/SHARDS.md.
		"root, at once": {tree.Ask{Slot: 1, Count: 1, Root: true}, 0, tree.Range{First: 1, Last: 1}, true},
		"root, 42":      {tree.Ask{Slot: 0, Count: 1, Root: true}, 41, tree.Range{First: 42, Last: 42}, true},
	} {
		if got, ok := c.ask.Grant(c.counter, 3); got != c.want || ok != c.ok {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, ok, c.want, c.ok)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(2, tree.MaxSlots).Draw(t, "slots")
		a := tree.Ask{Slot: rapid.IntRange(0, slots-1).Draw(t, "slot"), Count: rapid.IntRange(1, 20).Draw(t, "count"), Root: true}
		counter := tree.Index(rapid.Uint32().Draw(t, "counter"))
		r, ok := a.Grant(counter, slots)
		named := 0
		for at := r.First; at <= r.Last; at++ {
			if tree.Slot("/"+tree.InOrderName(at), slots) == a.Slot {
				named++
			}
		}
		if !ok || r.First != counter+1 || named != a.Count || tree.Slot("/"+tree.InOrderName(r.Last), slots) != a.Slot {
			t.Fatalf("%+v at %d gets %+v (%v), with %d names", a, counter, r, ok, named)
		}
	})
}

// submission is one submission of a batch, decoded.
type submission struct {
	id       tree.RequestID
	commands []tree.Command
}

func appendLed(h tree.BatchHead, list []submission) []byte {
	data := tree.AppendBatchHead(nil, h)
	for _, s := range list {
		data = tree.AppendSubmission(data, s.id, len(s.commands))
		for i := range s.commands {
			data = tree.AppendCommand(data, &s.commands[i])
		}
	}
	return data
}

// readLed decodes a whole batch.
func readLed(data []byte) (h tree.BatchHead, list []submission, err error) {
	b, err := tree.ReadBatch(data)
	if err != nil {
		return h, nil, err
	}
	for {
		more, err := b.NextSubmission()
		if err != nil || !more {
			return b.BatchHead, list, err
		}
		s := submission{id: b.Submission}
		for b.Len() > 0 {
			var c tree.Command
			if _, err := b.Next(&c); err != nil {
				return b.BatchHead, list, err
			}
			s.commands = append(s.commands, c)
		}
		list = append(list, s)
	}
}

func readAll(data []byte) error {
	_, _, err := readLed(data)
	return err
}

// skipAll skips all commands of a batch, as is done with stale batches.
func skipAll(data []byte) error {
	b, err := tree.ReadBatch(data)
	for more := err == nil; more; {
		if more, err = b.NextSubmission(); more {
			err = b.Skip()
			more = err == nil
		}
	}
	return err
}

func submissions(t *rapid.T) (list []submission) {
	for range rapid.IntRange(0, 4).Draw(t, "submissions") {
		s := submission{id: tree.RequestID{
			Replica: rapid.Uint64().Draw(t, "replica"), Nonce: rapid.Uint64().Draw(t, "nonce"), Number: rapid.Uint64().Draw(t, "number"),
		}}
		for range rapid.IntRange(0, 3).Draw(t, "commands") {
			s.commands = append(s.commands, tree.Command{
				Op: tree.OpSet, Key: rapid.String().Draw(t, "key"), Value: rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "value"), Now: rapid.Int64().Draw(t, "now"),
			})
		}
		list = append(list, s)
	}
	return list
}

func TestLedBatchesAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := tree.BatchHead{Epoch: rapid.Uint64Range(1, 1<<63).Draw(t, "epoch"), Number: rapid.Uint64().Draw(t, "number"), Ordered: rapid.Bool().Draw(t, "ordered")}
		if h.Ordered {
			h.Root = rapid.Bool().Draw(t, "root")
			h.Range.First = tree.Index(rapid.Uint64Range(1, 1<<62).Draw(t, "first"))
			h.Range.Last = h.Range.First + tree.Index(rapid.IntRange(0, 1000).Draw(t, "more"))
		}
		want := submissions(t)
		h.Submissions = len(want)
		data := appendLed(h, want)
		if got, list, err := readLed(data); err != nil || got != h || !reflect.DeepEqual(list, want) {
			t.Fatalf("%+v %+v (%v)\nwant %+v %+v", got, list, err, h, want)
		}
		if err := skipAll(data); err != nil {
			t.Fatalf("passed over: %v", err)
		}
		if cut := data[:rapid.IntRange(0, len(data)-1).Draw(t, "cut")]; readAll(cut) == nil || skipAll(cut) == nil {
			t.Fatal("a batch cut short was taken")
		}
		if long := append(data[:len(data):len(data)], 1); readAll(long) == nil || skipAll(long) == nil {
			t.Fatal("a batch with something after it was taken")
		}
		bad := h
		bad.Epoch = 0
		if readAll(appendLed(bad, want)) == nil {
			t.Fatal("a batch of no epoch was taken")
		}
		for _, r := range []tree.Range{{First: h.Range.Last + 1, Last: h.Range.Last}, {First: 0, Last: h.Range.Last}} {
			bad := h
			bad.Ordered, bad.Range = true, r
			if readAll(appendLed(bad, want)) == nil {
				t.Fatalf("a batch with %+v was taken", r)
			}
		}
		data[1] = byte(rapid.IntRange(4, 255).Draw(t, "flags"))
		if readAll(data) == nil {
			t.Fatal("a batch with unknown flags was taken")
		}
		if data[1] = 2; readAll(data) == nil {
			t.Fatal("a batch for the root without indexes was taken")
		}
	})
}

// NextSubmission fails while commands of the current submission are unread.
func TestASubmissionIsReadToItsEnd(t *testing.T) {
	list := []submission{{commands: []tree.Command{{Op: tree.OpSet, Key: "/a"}, {Op: tree.OpSet, Key: "/b"}}}, {}}
	b, err := tree.ReadBatch(appendLed(tree.BatchHead{Epoch: 1, Submissions: 2}, list))
	if err != nil {
		t.Fatal(err)
	}
	var c tree.Command
	if more, err := b.NextSubmission(); !more || err != nil || b.Len() != 2 {
		t.Fatal(more, err, b.Len())
	}
	if ok, err := b.Next(&c); !ok || err != nil || c.Key != "/a" {
		t.Fatal(ok, err, c)
	}
	if _, err := b.NextSubmission(); err == nil {
		t.Error("the next submission begins in the middle of one")
	}
}

func TestCheckCommands(t *testing.T) {
	set := tree.Command{Op: tree.OpSet, Key: "/a", Value: []byte("v")}
	root := tree.Command{Op: tree.OpCreateInOrder, Key: "/"}
	expire := tree.Command{Op: tree.OpExpire, Key: "/", Limit: 9}
	encode := func(list ...tree.Command) (data []byte) {
		for i := range list {
			data = tree.AppendCommand(data, &list[i])
		}
		return data
	}
	for name, c := range map[string]struct {
		commands       []byte
		count          int
		indexes, roots int
		fine           bool
	}{
		"none":                   {nil, 0, 0, 0, true},
		"three":                  {encode(set, root, expire), 3, 11, 1, true},
		"fewer than is said":     {encode(set), 2, 0, 0, false},
		"more than is said":      {encode(set, set), 1, 0, 0, false},
		"cut short":              {encode(set)[:5], 1, 0, 0, false},
		"a change of members":    {encode(tree.MemberCommand(tree.OpMemberRemove, tree.Member{ID: 1})), 1, 1, 0, true},
		"one of two members":     {encode(tree.MemberCommand(tree.OpMemberRemove, tree.Member{ID: 1}, tree.Member{ID: 2})), 1, 0, 0, false},
		"one that can't be read": {encode(tree.Command{Op: tree.OpMemberAdd, Value: []byte{9}}), 1, 0, 0, false},
		"another founding":       {encode(tree.MemberCommand(tree.OpMemberReplaceAll, tree.Member{ID: 1})), 1, 0, 0, false},
		"a close":                {encode(tree.CloseCommand(9)), 1, 0, 0, false},
		"an ask":                 {encode(tree.AskCommand(3, tree.Ask{Count: 1})), 1, 1, 0, true},
		"one that is cut short":  {encode(tree.Command{Op: tree.OpAsk, Value: []byte{1, 2}}), 1, 0, 0, false},
		"an expiry of nothing":   {encode(tree.Command{Op: tree.OpExpire, Key: "/"}), 1, 0, 0, false},
		"a change of users":      {encode(tree.Command{Op: tree.OpAuth, Value: []byte("good")}), 1, 1, 0, true},
		"one that is damaged":    {encode(tree.Command{Op: tree.OpAuth, Value: []byte("bad")}), 1, 0, 0, false},
		"a transaction":          {encode(tree.Command{Op: tree.OpTxn, Key: "/a", Limit: 7, Value: []byte("good")}), 1, 7, 0, true},
		"one that can't be one":  {encode(tree.Command{Op: tree.OpTxn, Key: "/a", Limit: 7, Value: []byte("bad")}), 1, 0, 0, false},
		"an operation not known": {encode(tree.Command{Op: 200, Key: "/"}), 1, 0, 0, false},
	} {
		indexes, roots, staged, err := tree.CheckCommands(c.commands, c.count, func(c *tree.Command) bool { return string(c.Value) == "good" })
		if (err == nil) != c.fine || staged || c.fine && (indexes != c.indexes || roots != c.roots) {
			t.Errorf("%s: %d indexes, %d in the root, %v", name, indexes, roots, err)
		}
	}
}

// FuzzAsks decodes arbitrary bytes as asks. What decodes without an error must survive
// encoding and decoding, and no ask may get more than the limit.
func FuzzAsks(f *testing.F) {
	c := tree.AskCommand(2, tree.Ask{ID: tree.RequestID{Replica: 1, Nonce: 2, Number: 3}, Slot: 1, Count: 9, Root: true}, tree.Ask{Count: 1})
	f.Add(c.Value)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		asks, err := tree.ReadAsks(&tree.Command{Op: tree.OpAsk, Value: data})
		if err != nil {
			return
		}
		c := tree.AskCommand(64, asks...)
		again, err := tree.ReadAsks(&c)
		if err != nil || !reflect.DeepEqual(again, asks) {
			t.Fatalf("%+v became %+v, %v", asks, again, err)
		}
		for i := range asks {
			if asks[i].Root {
				continue // large ones take long
			}
			if r, ok := asks[i].Grant(5, 64); ok && (r.First != 6 || r.Last < 6 || r.Last > 5+tree.AskLimit) {
				t.Fatalf("%+v gets %+v", asks[i], r)
			}
		}
	})
}

// A record without a number of shards is from a cluster with one.
func TestAMembershipKnowsItsShards(t *testing.T) {
	founders := []tree.Member{{ID: 1, PeerURLs: []string{"http://a:1"}}, {ID: 2, PeerURLs: []string{"http://b:1"}}}
	for limit, want := range map[int]int{0: 1, 1: 1, 2: 2, 64: 64, 65: 64} {
		c := tree.MemberCommand(tree.OpFound, founders...)
		c.Limit = limit
		ms := &tree.Membership{TermBase: uint64(limit % 2 * 300)}
		again := c
		again.Limit = 3
		for _, c := range []tree.Command{
			c, again,
			tree.MemberCommand(tree.OpMemberAdd, tree.Member{ID: 3, PeerURLs: []string{"http://c:1"}}),
			tree.MemberCommand(tree.OpMemberPublish, tree.Member{ID: 3, Name: "three"}),
			tree.MemberCommand(tree.OpMemberRemove, tree.Member{ID: 2}),
			tree.MemberCommand(tree.OpMemberReplaceAll, founders[0]),
		} {
			next, refused, err := tree.ApplyMembership(ms, &c, 7)
			if refused != nil || err != nil {
				t.Fatal(refused, err)
			}
			ms = next
			if ms.TermBase != uint64(limit%2*300) {
				t.Fatalf("the operation %d makes the term base %d", c.Op, ms.TermBase)
			}
			if ms.Shards != want {
				t.Fatalf("founded with %d, the operation %d leaves %d shards, want %d", limit, c.Op, ms.Shards, want)
			}
			rec := tree.AppendMembership(nil, ms)
			if read, err := tree.ReadMembership(rec); err != nil || !reflect.DeepEqual(read, ms) {
				t.Fatalf("%+v (%v), want %+v", read, err, ms)
			}
		}
		rec := tree.AppendMembership(nil, &tree.Membership{Members: ms.Members, Removed: ms.Removed})
		for _, bad := range []string{"\x00", "\x01", "\x41", "\x01\x00", "\x02\x00", "\x00\x05", "\x02\x05\x05", "\x02\x80"} {
			if read, err := tree.ReadMembership(append(rec, bad...)); err == nil {
				t.Errorf("%x read as %d shards, term base %d", bad, read.Shards, read.TermBase)
			}
		}
	}
}
