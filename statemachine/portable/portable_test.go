package portable_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/portable"
	"copse/statemachine/tree"

	"pgregory.net/rapid"
)

var texts = rapid.OneOf(rapid.SampledFrom([]string{"", "a", "\xff", "\x00", "\n\"\\<>&\u2028\t", "\ufffd", "ключ", "\x01\x7f"}), rapid.String())

// file draws a header and the items that fit it.
func file(t *rapid.T) (h portable.Header, items []portable.Item) {
	h = portable.Header{
		ClusterID: rapid.Uint64Min(1).Draw(t, "id"), Index: tree.Index(rapid.Uint64Range(10, 1<<62).Draw(t, "index")),
		Term: rapid.Uint64().Draw(t, "term"), Time: time.Unix(rapid.Int64Range(0, 1<<37).Draw(t, "time"), 7).UTC(),
		Shards: rapid.IntRange(1, 64).Draw(t, "shards"), AuthEnabled: rapid.Bool().Draw(t, "auth"),
	}
	var store tree.MemStore
	names := rapid.SampledFrom([]string{"a", "a!", "_h", "b", "\xff", "\x00", "\x01", "<&>", "\"\\", "\u2028"})
	for range rapid.IntRange(0, 12).Draw(t, "files") {
		key := ""
		for range rapid.IntRange(0, 3).Draw(t, "depth") {
			key += "/" + names.Draw(t, "name")
			if n, ok := store.Get(key); ok && !n.Dir {
				store.Remove(&n)
			}
			store.Put(node(t, key, true, h.Index), nil)
		}
		key += "/" + names.Draw(t, "name")
		if n, ok := store.Get(key); !ok || !n.Dir {
			store.Put(node(t, key, rapid.Bool().Draw(t, "dir"), h.Index), nil)
		}
	}
	for _, n := range store.Below("/") {
		items = append(items, portable.Item{Node: &n})
	}
	h.Nodes = uint64(len(items))
	for _, name := range []string{"guest", "r", "\xffr"} {
		if rapid.Bool().Draw(t, "role") {
			r := &auth.Role{Name: name, Permissions: permissions(t)}
			if rapid.Bool().Draw(t, "grant") {
				p := permissions(t)
				r.Grant = &p
			}
			items = append(items, portable.Item{Role: r})
		}
	}
	for _, name := range []string{"root", "u", "\xffu"} {
		if rapid.Bool().Draw(t, "user") {
			items = append(items, portable.Item{User: &auth.User{Name: name, Hash: texts.Draw(t, "hash"), Roles: list(t)}})
		}
	}
	if rapid.Bool().Draw(t, "window") {
		h.Window = h.Index - 5
		for at := h.Window; at <= h.Index; at += tree.Index(rapid.IntRange(1, 3).Draw(t, "step")) {
			e := &tree.Event{Action: tree.Action(rapid.IntRange(int(tree.ActionSet), int(tree.ActionExpire)).Draw(t, "action")), Node: *node(t, "/e", false, at), Refresh: rapid.Bool().Draw(t, "refresh"), Now: rapid.Int64().Draw(t, "now")}
			if e.Node.Modified = at; rapid.Bool().Draw(t, "prev") {
				e.HasPrev, e.Prev = true, *node(t, "/e", rapid.Bool().Draw(t, "dir"), at)
			}
			items = append(items, portable.Item{Event: e})
		}
	}
	return h, items
}

func node(t *rapid.T, key string, dir bool, last tree.Index) *tree.Node {
	n := &tree.Node{Key: key, Dir: dir}
	n.Modified = tree.Index(rapid.Uint64Range(1, uint64(last)).Draw(t, "modified"))
	n.Created = tree.Index(rapid.Uint64Range(1, uint64(n.Modified)).Draw(t, "created"))
	if !dir {
		n.Value = []byte(texts.Draw(t, "value"))
		if rapid.IntRange(0, 19).Draw(t, "large") == 19 {
			n.Value = bytes.Repeat([]byte("<\xff"[:rapid.IntRange(1, 2).Draw(t, "unit")]), 70<<10)
		}
	}
	if rapid.Bool().Draw(t, "ttl") {
		n.Expires = rapid.Int64().Draw(t, "expires")
	}
	return n
}

func list(t *rapid.T) []string {
	if rapid.Bool().Draw(t, "nil") {
		return nil
	}
	return append([]string{}, rapid.SliceOfN(texts, 0, 3).Draw(t, "list")...)
}

func permissions(t *rapid.T) auth.Permissions { return auth.Permissions{Read: list(t), Write: list(t)} }

func write(t interface{ Fatal(...any) }, h portable.Header, items []portable.Item) []byte {
	var out bytes.Buffer
	w, err := portable.NewWriter(&out, h)
	for _, it := range items {
		err = errors.Join(err, w.Item(it))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// read reads a file whole, and copies what is in it.
func read(data []byte) (h portable.Header, items []portable.Item, err error) {
	r, err := portable.NewReader(bytes.NewReader(data))
	if err != nil {
		return h, nil, err
	}
	for {
		it, err := r.Next()
		if err == io.EOF {
			return r.Header(), items, nil
		} else if err != nil {
			return h, nil, err
		}
		kept := *it
		if it.Node != nil {
			n := *it.Node
			n.Value = slices.Clone(n.Value)
			kept.Node = &n
		}
		if it.Event != nil {
			e := *it.Event
			e.Node.Value, e.Prev.Value = slices.Clone(e.Node.Value), slices.Clone(e.Prev.Value)
			kept.Event = &e
		}
		items = append(items, kept)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, items := file(t)
		data := write(t, h, items)
		gotHeader, got, err := read(data)
		if err != nil || gotHeader != h || len(got) != len(items) {
			t.Fatalf("read %+v with %d items, %v; want %+v with %d", gotHeader, len(got), err, h, len(items))
		}
		for i := range got {
			want := items[i]
			for _, it := range []portable.Item{want, got[i]} { // an empty value is nil or not
				if it.Node != nil && len(it.Node.Value) == 0 {
					it.Node.Value = nil
				}
				if it.Event != nil && len(it.Event.Node.Value) == 0 {
					it.Event.Node.Value = nil
				}
				if it.Event != nil && len(it.Event.Prev.Value) == 0 {
					it.Event.Prev.Value = nil
				}
			}
			if !reflect.DeepEqual(got[i], want) {
				t.Fatalf("item %d is %+v, want %+v", i, got[i], want)
			}
		}
		if again := write(t, gotHeader, got); !bytes.Equal(again, data) {
			t.Fatal("what was read is written in another way")
		}
	})
}

// sample is a small file with all kinds of lines.
func sample(t *testing.T) []byte {
	n := func(key, value string, dir bool, at tree.Index) tree.Node {
		return tree.Node{Key: key, Value: []byte(value), Dir: dir, Modified: at, Created: at}
	}
	a, b, c, x := n("/a", "", true, 1), n("/a/b", "v<", false, 1), n("/a/c", "\xff", false, 2), n("/x", "", false, 4)
	b.Expires = 1_800_000_000_000_000_001
	e := &tree.Event{Action: tree.ActionSet, Node: x, HasPrev: true, Prev: n("/x", "p", false, 3), Now: 5}
	return write(t, portable.Header{ClusterID: 0xabc, Index: 9, Term: 3, Time: time.Unix(1_790_000_000, 0), Shards: 4, AuthEnabled: true, Nodes: 4, Window: 3}, []portable.Item{
		{Node: &a}, {Node: &b}, {Node: &c}, {Node: &x},
		{Role: &auth.Role{Name: "guest", Permissions: auth.Permissions{Read: []string{"/a*"}}}},
		{User: &auth.User{Name: "root", Hash: "$2a$10$hash", Roles: []string{"root"}}}, {Event: e},
	})
}

func unzip(t *testing.T, data []byte) string {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func zip(text string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return out.Bytes()
}

// A changed bit is noticed, or it is one of those that gzip gives no meaning.
func TestEveryFlippedBitAndEveryCutIsNoticed(t *testing.T) {
	data := sample(t)
	text := unzip(t, data)
	harmless := 0
	for i := range 8 * len(data) {
		bad := slices.Clone(data)
		bad[i/8] ^= 1 << (i % 8)
		if _, _, err := read(bad); err == nil {
			if harmless++; unzip(t, bad) != text {
				t.Errorf("bit %d of %d changed the text and was not noticed", i, 8*len(data))
			}
		} else if !errors.Is(err, portable.ErrNotWhole) || !strings.Contains(err.Error(), "line ") {
			t.Errorf("bit %d: %v", i, err)
		}
	}
	if harmless > 8*7+16 { // the time, the kind of system and the hints in gzip's header, and bits before a byte's end
		t.Errorf("%d bits have no meaning", harmless)
	}
	for n := range len(data) {
		if _, _, err := read(data[:n]); !errors.Is(err, portable.ErrNotWhole) {
			t.Errorf("the first %d of %d bytes: %v", n, len(data), err)
		}
	}
	for i := range text {
		bad := []byte(text)
		bad[i] ^= 0x01
		if _, _, err := read(zip(string(bad))); err == nil {
			t.Errorf("byte %d of the text, in %q, was changed and not noticed", i, text[max(0, i-20):min(i+20, len(text))])
		}
		if _, _, err := read(zip(text[:i])); err == nil {
			t.Errorf("the first %d bytes of the text", i)
		}
	}
	for _, more := range []string{"\n", "{}\n", "x"} {
		if _, _, err := read(zip(text + more)); err == nil {
			t.Errorf("%q behind the end was not noticed", more)
		}
		if _, _, err := read(append(slices.Clone(data), more...)); err == nil {
			t.Errorf("%q behind the file was not noticed", more)
		}
	}
	if _, _, err := read(append(slices.Clone(data), data...)); err == nil {
		t.Error("a second file behind the first was not noticed")
	}
	if _, _, err := read(zip(text)); err != nil {
		t.Errorf("compressed again: %v", err)
	}
}

func TestLargeValues(t *testing.T) {
	h := portable.Header{ClusterID: 1, Index: 1, Time: time.Unix(0, 0).UTC(), Shards: 1, Nodes: 1}
	n := tree.Node{Key: "/a", Modified: 1, Created: 1}
	for _, unit := range []string{"<", "\xff", "a", "<aaaaaaaaaaaaaaaaaaaaaaa", "\u2028"} {
		n.Value = bytes.Repeat([]byte(unit), 4<<20/len(unit))
		data := write(t, h, []portable.Item{{Node: &n}})
		_, items, err := read(data)
		if err != nil || len(items) != 1 || !bytes.Equal(items[0].Node.Value, n.Value) {
			t.Errorf("%q, 4 MiB of it: %v", unit, err)
		}
		if text := unzip(t, data); len(text) > 6<<20 {
			t.Errorf("%q, 4 MiB of it, takes %d bytes", unit, len(text))
		}
	}
	n.Value = make([]byte, portable.ValueLimit+1)
	if w, err := portable.NewWriter(io.Discard, h); err != nil || w.Node(&n) == nil || w.Close() == nil {
		t.Errorf("a value above the limit was written: %v", err)
	}
}
