package tree_test

import (
	"strings"
	"testing"

	"copse/statemachine/tree"

	"pgregory.net/rapid"
)

// TestLate compares the JSON of large events that is made late, as a whole and in parts, with what
// AppendEvent prints.
func TestLate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Custom(func(t *rapid.T) []byte {
			pieces := []string{"a", "plain text ", "\x01", "\n", `"`, `\`, "<", "\x7f", "ä", "語", "😀", "\u2028", "\u2029", "\xff", "\xe8\xaa", "\xf0\x9f\x98", "\x80", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90", `"value":"`}
			var b strings.Builder
			for range rapid.IntRange(0, 6).Draw(t, "runs") {
				b.WriteString(strings.Repeat(rapid.SampledFrom(pieces).Draw(t, "piece"), rapid.SampledFrom([]int{1, 3, 1000, 16<<10 - 2, 40_000}).Draw(t, "times")))
			}
			return []byte(b.String())
		})
		e := tree.Event{
			Action: rapid.SampledFrom([]tree.Action{tree.ActionSet, tree.ActionCreate, tree.ActionUpdate, tree.ActionCompareAndSwap, tree.ActionDelete, tree.ActionExpire}).Draw(t, "action"),
			Node:   tree.Node{Key: "/a" + rapid.SampledFrom([]string{"", `\`, `"value":"`}).Draw(t, "key"), Value: text.Draw(t, "value"), Modified: 7, Created: 3, Expires: 2_000_000_000},
			Now:    1_000_000_000,
		}
		if e.Action.Removes() {
			e.Node.Value = nil
		}
		if e.HasPrev = rapid.Bool().Draw(t, "has prev"); e.HasPrev {
			e.Prev = tree.Node{Key: e.Node.Key, Value: text.Draw(t, "previous"), Modified: 3, Created: 3}
		}
		want := string(tree.AppendEvent(nil, &e))
		n := e.Late(nil)
		if n.Size() != len(want) {
			t.Fatalf("its size is %d, want %d", n.Size(), len(want))
		}
		var got []byte
		parts := n.Late.Parts()
		for more := true; more; {
			part, m, err := parts.Next()
			if err != nil {
				t.Fatal(err)
			}
			got, more = append(got, part...), m
		}
		if string(got) != want {
			t.Fatalf("in parts it is %.300q, want %.300q", got, want)
		}
		want64 := e.Encoded([]byte(want))
		whole64 := string(want64.AppendBase64(nil))
		for as64, all := range map[bool]string{false: want, true: whole64} {
			if _, size := n.Whole(as64); size != len(all) {
				t.Fatalf("as base64: %v; its size is %d, want %d", as64, size, len(all))
			}
			for again := range 2 {
				got = got[:0]
				for i, more := 0, true; more; i++ {
					from := len(got)
					if got, more = n.AppendPart(got, i, as64); again == 0 && len(got)-from > 200_000 {
						t.Fatalf("part %d has %d bytes", i, len(got)-from)
					}
				}
				if string(got) != all {
					t.Fatalf("as base64: %v; in parts it is %.300q, want %.300q", as64, got, all)
				}
			}
		}
		if string(n.Text()) != want {
			t.Fatalf("it is %.300q, want %.300q", n.Text(), want)
		}
		if now := e.Encoded([]byte(want)); string(now.AppendBase64(nil)) != string(n.AppendBase64(nil)) {
			t.Fatal("in base64 it differs")
		}
	})
}

// What is left keeps no memory but its own: a short value is a slice of the raft entry.
func TestWhatIsLeftIsApart(t *testing.T) {
	value := []byte("short")
	e := tree.Event{Action: tree.ActionSet, Node: tree.Node{Key: "/a", Value: value, Modified: 7}, HasPrev: true, Prev: tree.Node{Key: "/a", Value: make([]byte, 100<<10)}}
	got := e
	n := e.Late(func(left *tree.Event) (n tree.EncodedEvent, ok bool) { got = *left; return n, false })
	n = n.Left(nil)
	if n.Late.JSON() != nil || string(got.Node.Value) != "short" || &got.Node.Value[0] == &value[0] || got.Prev.Len() != 100<<10 || got.Prev.Value != nil {
		t.Errorf("left: %+v", got)
	}
}
