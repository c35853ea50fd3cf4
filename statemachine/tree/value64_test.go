package tree_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"copse/statemachine/tree"

	"pgregory.net/rapid"
)

// anyBytes draws values: text with all that JSON escapes, and what isn't text.
func anyBytes() *rapid.Generator[[]byte] {
	part := rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 12),
		rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }),
		rapid.Map(rapid.SampledFrom([]string{`"value":"`, `\`, `\\`, `"`, `\ufffd`, "\ufffd", "\u2028", "<&>", "\n\r\t\x00", "\xed\xa0\x80"}), func(s string) []byte { return []byte(s) }),
	)
	return rapid.Map(rapid.SliceOfN(part, 0, 5), func(parts [][]byte) []byte { return bytes.Join(parts, nil) })
}

// TestValuesInBase64 has several events printed as one text, and the very bytes of their values read from it.
func TestValuesInBase64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, want := []byte("["), [][]byte(nil)
		var binary tree.Binary
		for i := range rapid.IntRange(1, 4).Draw(t, "events") {
			e := tree.Event{
				Action:  rapid.SampledFrom([]tree.Action{tree.ActionSet, tree.ActionExpire}).Draw(t, "action"),
				Node:    tree.Node{Key: "/k" + string(anyBytes().Draw(t, "key")), Value: anyBytes().Draw(t, "value")},
				HasPrev: rapid.Bool().Draw(t, "prev"),
			}
			if !e.Action.Removes() {
				want = append(want, e.Node.Value)
			}
			if e.HasPrev {
				e.Prev = tree.Node{Key: e.Node.Key, Value: anyBytes().Draw(t, "value before")}
				want = append(want, e.Prev.Value)
			}
			n := e.Encoded(tree.AppendEvent(nil, &e))
			if i > 0 {
				text = append(text, ',')
			}
			text = append(text, n.JSON...)
			if n.Binary != nil {
				binary = append(binary, *n.Binary...)
			}
			if alone := n.AppendBase64(nil); !json.Valid(alone) || bytes.Contains(alone, []byte(`"value":"`)) {
				t.Fatalf("%q becomes %q", n.JSON, alone)
			}
		}
		before := bytes.Join(binary, []byte{0})
		var events []struct{ Node, PrevNode *struct{ Value64 *[]byte } }
		if err := json.Unmarshal(append(binary.AppendBase64(nil, text), ']'), &events); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var got [][]byte
		for _, e := range events {
			for _, n := range []*struct{ Value64 *[]byte }{e.Node, e.PrevNode} {
				if n != nil && n.Value64 != nil {
					got = append(got, *n.Value64)
				}
			}
		}
		if len(got) != len(want) || !bytes.Equal(bytes.Join(got, []byte{0}), bytes.Join(want, []byte{0})) {
			t.Fatalf("%q\ngives %q\nwant  %q", text, got, want)
		}
		if !bytes.Equal(before, bytes.Join(binary, []byte{0})) {
			t.Fatal("the values, which are shared, were changed")
		}
	})
}

// TestOnlyWhatJSONLosesIsKept: an event holds no values beside its JSON, unless they would be lost.
func TestOnlyWhatJSONLosesIsKept(t *testing.T) {
	e := tree.Event{Action: tree.ActionSet, Node: tree.Node{Key: "/k\xff", Value: []byte("v\ufffd")}, HasPrev: true, Prev: tree.Node{Value: []byte("\u2028")}}
	if n := e.Encoded(nil); n.Binary != nil {
		t.Errorf("of text, %q is kept", *n.Binary)
	}
	e.Prev.Value = []byte("\xff")
	if n := e.Encoded(nil); n.Binary == nil || n.Binary.Bytes() != 1 {
		t.Error("the byte that isn't UTF-8 isn't kept")
	}
}

// FuzzBase64 has JSON of others rewritten, of a mirror's source, and compares what that says with package json.
func FuzzBase64(f *testing.F) {
	f.Add([]byte(`{"action":"set","node":{"value":"a\u00e9\ufffd\\"}}`))
	f.Add([]byte(`"value":"\u12`))
	f.Add([]byte(`"value":"\`))
	f.Add([]byte(`{"value":"\b\f\n\r\t\/\"\\\\\""}`))
	f.Add([]byte(`{"value":"\ud83d\ude00\uD83D\uDE00 \ud83d \ude00\ud83d \ud83d\u0041\ud83d\n"}`))
	f.Add([]byte(`{"value":"\\ufffd\\\ufffd\uFFFD"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		out := tree.Binary(nil).AppendBase64(nil, text)
		for _, part := range strings.Split(string(out), `"value64":"`)[1:] {
			encoded, _, ok := strings.Cut(part, `"`)
			if _, err := base64.StdEncoding.DecodeString(encoded); err != nil || !ok {
				t.Fatalf("%q becomes %q: %v", text, out, err)
			}
		}
		var want map[string]string
		if !utf8.Valid(text) || json.Unmarshal(text, &want) != nil || len(want) != 1 || bytes.Count(text, []byte(`"value":"`)) != 1 {
			return
		}
		var got map[string][]byte
		if err := json.Unmarshal(out, &got); err != nil || string(got["value64"]) != want["value"] {
			t.Fatalf("%q becomes %q: %v", text, out, err)
		}
	})
}
