package portable_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"copse/statemachine/portable"
)

const head = `{"copse":1,"clusterId":"0000000000000abc","index":9,"term":3,"time":"2026-11-29T22:00:00Z","shards":1,"authEnabled":false,"nodes":%d}`

// text completes lines of nodes with a header and a right end.
func text(head string, nodes int, lines ...string) string {
	all := head + "\n"
	for _, line := range lines {
		all += line + "\n"
	}
	return all + fmt.Sprintf(`{"end":true,"nodes":%d,"sha256":"%x"}`, nodes, sha256.Sum256([]byte(all))) + "\n"
}

func node1(key, more string) string {
	return `{"key":"` + key + `"` + more + `,"modifiedIndex":2,"createdIndex":1}`
}

func TestWhatIsRefused(t *testing.T) {
	file := func(key string) string { return node1(key, `,"value":""`) }
	dir := func(key string) string { return node1(key, `,"dir":true`) }
	header := func(n int) string { return fmt.Sprintf(head, n) }
	window := func(n int) string { return strings.Replace(header(n), "}", `,"window":2}`, 1) }
	event := func(at int) string {
		return fmt.Sprintf(`{"action":"set","node":{"key":"/a","value":"","modifiedIndex":%d,"createdIndex":1},"now":0}`, at)
	}
	for _, c := range []struct {
		name, text, want string // "" is accepted
	}{
		{"a small tree", text(header(3), 3, dir("/a"), file("/a/b"), file("/a!")), ""},
		{"nothing", text(header(0), 0), ""},
		{"a tree out of order", text(header(2), 2, file("/b"), file("/a")), "line 3: the key"},
		{"a key twice", text(header(2), 2, file("/a"), file("/a")), "line 3: the key"},
		{"the byte order of whole keys", text(header(3), 3, dir("/a"), file("/a!"), file("/a/b")), "line 4: the key"},
		{"no parent", text(header(1), 1, file("/a/b")), "line 2: the key"},
		{"a file as parent", text(header(2), 2, file("/a"), file("/a/b")), "line 3: the key"},
		{"the parent is too far up", text(header(2), 2, dir("/a"), file("/a/b/c")), "line 3: the key"},
		{"back from the depth", text(header(4), 4, dir("/a"), dir("/a/b"), file("/a/b/c"), file("/a/d")), ""},
		{"a sibling's directory", text(header(3), 3, dir("/a"), dir("/b"), file("/c/d")), "line 4: the key"},
		{"the root", text(header(1), 1, dir("/")), "is not a key"},
		{"an unclean key", text(header(1), 1, file("/a//b")), "is not a key"},
		{"dots", text(header(1), 1, file("/..")), "is not a key"},
		{"fewer nodes", text(header(2), 1, file("/a")), "line 3: 1 nodes"},
		{"more nodes", text(header(1), 2, file("/a"), file("/b")), "line 3: more nodes"},
		{"another number at the end", text(header(1), 2, file("/a")), "at the end is wrong"},
		{"a directory with a value", text(header(1), 1, node1("/a", `,"dir":true,"value":"v"`)), "form"},
		{"a field twice", text(header(1), 1, node1("/a", `,"value":"","value":""`)), "form"},
		{"a field again at the end", text(header(1), 1, strings.Replace(file("/a"), "}", `,"key":"/a"}`, 1)), "form"},
		{"an unknown field", text(header(1), 1, node1("/a", `,"value":"","x":1`)), "form"},
		{"a space", text(header(1), 1, node1("/a", `, "value":""`)), "form"},
		{"an escape that isn't needed", text(header(1), 1, file(`/\u0061`)), "form"},
		{"half an escape", text(header(1), 1, file(`/\u00`)), "form"},
		{"an unknown escape", text(header(1), 1, file(`/\x`)), "form"},
		{"a string without end", text(header(1), 1, `{"key":"/a\"`), "form"},
		{"invalid UTF-8 as it is", text(header(1), 1, file("/\xff")), "form"},
		{"base64 of what is valid", text(header(1), 1, node1("/a", `,"value64":"YQ=="`)), "form"},
		{"bits behind base64", text(header(1), 1, node1("/a", `,"value64":"/x=="`)), "form"},
		{"binary", text(header(1), 1, node1("/a", `,"value64":"/w=="`)), ""},
		{"a zero in front", text(header(1), 1, strings.Replace(file("/a"), ":2,", ":02,", 1)), "form"},
		{"a number too large", text(header(1), 1, strings.Replace(file("/a"), ":2,", ":99999999999999999999,", 1)), "form"},
		{"newer than the tree", text(header(1), 1, strings.Replace(file("/a"), ":2,", ":10,", 1)), "in a tree at 9"},
		{"created after it was modified", text(header(1), 1, strings.Replace(file("/a"), ":1}", ":3}", 1)), "created at 3"},
		{"no index", text(header(1), 1, strings.Replace(file("/a"), ":1}", ":0}", 1)), "created at 0"},
		{"an expiration at 0", text(header(1), 1, node1("/a", `,"value":"","expiration":"1970-01-01T00:00:00Z"`)), "form"},
		{"an expiration too far away", text(header(1), 1, node1("/a", `,"value":"","expiration":"9999-01-01T00:00:00Z"`)), "form"},
		{"an expiration elsewhere", text(header(1), 1, node1("/a", `,"value":"","expiration":"2027-01-01T00:00:00+01:00"`)), "form"},
		{"users before nodes", text(header(1), 1, `{"user":"u","hash":"h"}`, file("/a")), "order"},
		{"a user twice", text(header(0), 0, `{"user":"u","hash":"h"}`, `{"user":"u","hash":"h"}`), "the name"},
		{"a user without a name", text(header(0), 0, `{"user":""}`), "the name"},
		{"the role root", text(header(0), 0, `{"role":"root"}`), "built in"},
		{"roles and users", text(header(0), 0, `{"role":"r","read":["/a","/b"],"write":[]}`, `{"user":"a","hash":"h","roles":[]}`), ""},
		{"an event without a window", text(header(0), 0, event(2)), "no window"},
		{"events", text(window(0), 0, event(2), event(9)), ""},
		{"an event before the window", text(window(0), 0, event(1)), "an event at 1"},
		{"an event above the index", text(window(0), 0, event(10)), "an event at 10"},
		{"an event twice", text(window(0), 0, event(2), event(2)), "an event at 2"},
		{"an unknown action", text(window(0), 0, strings.Replace(event(2), "set", "get", 1)), "form"},
		{"an empty line", text(header(0), 0, ""), "form"},
		{"another end", text(header(0), 0, `{"end":true}`), "at the end is wrong"},
		{"no header", text(file("/a"), 0), "line 1: not in the form"},
		{"a newer version", text(strings.Replace(header(0), ":1,", ":2,", 1), 0), "line 1: version 2 of the format"},
		{"no cluster", text(strings.Replace(header(0), "abc", "000", 1), 0), "cluster id"},
		{"an index too large", text(strings.Replace(header(0), `"index":9`, `"index":4611686018427387905`, 1), 0), "above the limit"},
		{"no shards", text(strings.Replace(header(0), `"shards":1`, `"shards":0`, 1), 0), "0 shards"},
		{"too many shards", text(strings.Replace(header(0), `"shards":1`, `"shards":65`, 1), 0), "65 shards"},
		{"a window above the index", text(strings.Replace(header(0), "}", `,"window":11}`, 1), 0), "a window"},
		{"no text", "", "cut off"},
		{"one line", header(0), "cut off"},
	} {
		_, _, err := read(zip(c.text))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.Is(err, portable.ErrNotWhole) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: the error is %v, want one with %q", c.name, err, c.want)
		}
	}
	for _, junk := range []string{"", "x", "\x1f\x8b", head} {
		if _, _, err := read([]byte(junk)); !errors.Is(err, portable.ErrNotWhole) {
			t.Errorf("%q: %v", junk, err)
		}
	}
}

// FuzzReader reads arbitrary text. What is read is what the Writer writes.
func FuzzReader(f *testing.F) {
	f.Add(text(fmt.Sprintf(head, 2), 2, node1("/a", `,"dir":true`), node1(`/a/\u003c`, `,"value64":"/w==","expiration":"2027-01-01T00:00:00Z"`), `{"role":"r","read":["/a","/b"],"write64":["/w=="]}`, `{"user":"a","hash":"h","roles":[]}`))
	f.Add(text(strings.Replace(fmt.Sprintf(head, 0), "}", `,"window":2}`, 1), 0, `{"action":"set","node":`+node1("/a", `,"value":"\\"`)+`,"prevNode":`+node1("/a", `,"value":"x"`)+`,"refresh":true,"now":0}`))
	f.Fuzz(func(t *testing.T, text string) {
		whole := text
		if i := strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n"); i >= 0 { // let the fuzzer past the checksum
			var nodes uint64
			_, _ = fmt.Sscanf(text[i+1:], `{"end":true,"nodes":%d`, &nodes)
			whole = text[:i+1] + fmt.Sprintf(`{"end":true,"nodes":%d,"sha256":"%x"}`, nodes, sha256.Sum256([]byte(text[:i+1]))) + "\n"
		}
		h, items, err := read(zip(whole))
		if err != nil {
			if !errors.Is(err, portable.ErrNotWhole) {
				t.Fatal(err)
			}
			return
		}
		if again := unzip(t, write(t, h, items)); again != whole {
			t.Fatalf("read %q, written %q", whole, again)
		}
	})
}
