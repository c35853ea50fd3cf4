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

// The table in docs/SHARDS.md is what other clients of the hash go by.
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
			ID:    tree.AskID{Replica: rapid.Uint64().Draw(t, "replica"), Nonce: rapid.Uint64().Draw(t, "nonce"), Number: rapid.Uint64().Draw(t, "number")},
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
		// Of three, 1 lives in slot 1, and 42 in slot 0: see docs/SHARDS.md.
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

func TestOrderedBatchesAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := tree.Index(rapid.Uint64Range(1, 1<<62).Draw(t, "first"))
		r := tree.Range{First: first, Last: first + tree.Index(rapid.IntRange(0, 1000).Draw(t, "more"))}
		root := rapid.Bool().Draw(t, "root")
		origin := rapid.Uint64().Draw(t, "origin")
		c := tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte("v"), Now: 5}
		data := tree.AppendCommand(tree.AppendOrderedBatch(nil, origin, r, root, 1), &c)
		b, err := tree.ReadBatch(data)
		if err != nil || !b.Ordered || b.Root != root || b.Range != r || b.Origin != origin || b.Len() != 1 {
			t.Fatalf("%+v, %v", b, err)
		}
		var got tree.Command
		if ok, err := b.Next(&got); !ok || err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%+v, %v", got, err)
		}
		if readAll(data[:rapid.IntRange(0, len(data)-1).Draw(t, "cut")]) == nil {
			t.Fatal("a batch cut short was taken")
		}
		for _, bad := range []tree.Range{{First: r.Last + 1, Last: r.Last}, {First: 0, Last: r.Last}} {
			if readAll(tree.AppendCommand(tree.AppendOrderedBatch(nil, origin, bad, root, 1), &c)) == nil {
				t.Fatalf("a batch with %+v was taken", bad)
			}
		}
		data[1] = byte(rapid.IntRange(2, 255).Draw(t, "flags"))
		if readAll(data) == nil {
			t.Fatal("a batch with unknown flags was taken")
		}
	})
}

// FuzzAsks reads arbitrary bytes as asks: those that are some are written back
// and read the same, and none is granted more than it may be.
func FuzzAsks(f *testing.F) {
	c := tree.AskCommand(2, tree.Ask{ID: tree.AskID{Replica: 1, Nonce: 2, Number: 3}, Slot: 1, Count: 9, Root: true}, tree.Ask{Count: 1})
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
				continue // many of them take long
			}
			if r, ok := asks[i].Grant(5, 64); ok && (r.First != 6 || r.Last < 6 || r.Last > 5+tree.AskLimit) {
				t.Fatalf("%+v gets %+v", asks[i], r)
			}
		}
	})
}

// Records from before there were several shards say nothing of them.
func TestAMembershipKnowsItsShards(t *testing.T) {
	founders := []tree.Member{{ID: 1, PeerURLs: []string{"http://a:1"}}, {ID: 2, PeerURLs: []string{"http://b:1"}}}
	for limit, want := range map[int]int{0: 1, 1: 1, 2: 2, 64: 64, 65: 64} {
		c := tree.MemberCommand(tree.OpFound, founders...)
		c.Limit = limit
		ms := &tree.Membership{}
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
			if ms.Shards != want {
				t.Fatalf("founded with %d, the operation %d leaves %d shards, want %d", limit, c.Op, ms.Shards, want)
			}
			rec := tree.AppendMembership(nil, ms)
			if read, err := tree.ReadMembership(rec); err != nil || !reflect.DeepEqual(read, ms) {
				t.Fatalf("%+v (%v), want %+v", read, err, ms)
			}
		}
		rec := tree.AppendMembership(nil, &tree.Membership{Members: ms.Members, Removed: ms.Removed})
		for _, bad := range []byte{0, 1, 65} {
			if read, err := tree.ReadMembership(append(rec, bad)); err == nil {
				t.Errorf("%d shards read as %d", bad, read.Shards)
			}
		}
	}
}
